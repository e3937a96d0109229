"""Which form does a file name ask for? Markdown, a page or a picture."""

from __future__ import annotations

import os
from pathlib import Path

from inspector.comparison.comparing import Comparison
from inspector.comparison.reports.markdown import to_markdown
from inspector.comparison.reports.page import to_page
from inspector.comparison.reports.picture import to_svg
from inspector.errors import BadInput

__all__ = ["write_report"]

_FORMS = {".md": to_markdown, ".html": to_page, ".svg": to_svg}


def write_report(found: Comparison, path: str | os.PathLike[str]) -> Path:
    """Write a comparison as .md, .html or .svg, whole or not at all."""
    target = Path(path)
    form = _FORMS.get(target.suffix.lower())
    if form is None:
        raise BadInput(f"{os.fspath(path)!r}: a comparison is written as {', '.join(_FORMS)}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    partial.write_text(form(found), "utf-8")
    partial.replace(target)
    return target
