"""How does a drawing become a PDF? The SVG's shapes and text on one page of its size, still vectors."""

from __future__ import annotations

import shutil
from io import BytesIO

from reportlab.graphics import renderPDF
from svglib.svglib import svg2rlg

from inspector.errors import InspectorError

__all__ = ["to_pdf"]


def to_pdf(svg: bytes) -> bytes:
    """One page as large as the picture; equal drawings give equal bytes.

    Raises:
        InspectorError: the SVG holds something that cannot be put on a page.
    """
    if shutil.which("fc-match") is None:
        # Without fontconfig the PDF falls back on its built-in Helvetica, which has no arrow.
        svg = svg.replace("→".encode(), "›".encode())
    page = svg2rlg(BytesIO(svg))
    if page is None:
        raise InspectorError("the drawing could not be turned into a PDF. SVG and PNG can be written.")
    made = BytesIO()
    renderPDF.drawToFile(page, made, invariant=1)
    return made.getvalue()
