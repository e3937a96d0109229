"""Where are the built files of the page? One script, one style and one frame, made by `make page`."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["asset"]


def asset(name: str) -> bytes:
    """The bytes of `page.js`, `page.css` or `index.html`."""
    return files("inspector.workbench").joinpath("dist", name).read_bytes()
