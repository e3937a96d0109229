"""How does the page fit into one file? Script, style and data inside, allowed by their hashes alone."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from typing import Any

from inspector.workbench.assets import asset

__all__ = ["single_page"]


def single_page(record: dict[str, Any]) -> str:
    """A page that shows `record` without a server and without any request.

    The data are compressed JSON; equal records give equal pages. Nothing but the page's own script and
    style may run: their SHA-256 stand in its Content-Security-Policy.
    """
    script = asset("page.js").decode("utf-8").replace("</script", "<\\/script")
    style = asset("page.css").decode("utf-8")
    packed = gzip.compress(
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8"), 6, mtime=0
    )
    policy = (
        f"default-src 'none'; script-src 'sha256-{_hash(script)}'; style-src 'sha256-{_hash(style)}'; "
        "img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'"
    )
    title = html.escape(str(record["model"]["name"])[:200])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>{style}</style></head><body>"
        f'<div id="page"></div><script type="application/octet-stream" id="data">'
        f"{base64.b64encode(packed).decode('ascii')}</script>"
        f'<script type="module">{script}</script></body></html>\n'
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
