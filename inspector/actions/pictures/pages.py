"""How do several figures with some sentences become one page without further files?"""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.errors import BadInput

if TYPE_CHECKING:
    from inspector.views import Figure

__all__ = ["check_page", "write_page"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1400px; padding: 0 1rem;
  color: #16202c; background: #fff }}
p {{ margin: .2rem 0; color: #55606e; overflow-wrap: anywhere }}
figure {{ margin: 1.5rem 0; overflow-x: auto }}
img {{ max-width: 100%; height: auto; box-sizing: border-box; border: 1px solid #e2e6eb }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""


def check_page(path: Path) -> None:
    """Refuse a name that is no page before work is done."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise BadInput(f"{path}: this result is written as a page; end its name with .html.")


def write_page(path: Path, title: str, lines: Iterable[str], figures: Mapping[str, Figure]) -> None:
    """Write the page, whole or not at all."""
    body = [f"<p>{html.escape(line)}</p>" for line in lines]
    body += [figure.to_html() for figure in figures.values()]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(_PAGE.format(title=html.escape(title), body="\n".join(body)), "utf-8")
    os.replace(partial, path)
