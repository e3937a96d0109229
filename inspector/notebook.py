"""How does a model show itself in a notebook? As the page in a frame of its own, without a server."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

from inspector import model as models
from inspector import workbench
from inspector.actions.report import collect

__all__ = ["Page", "open"]


@dataclass(frozen=True)
class Page:
    """The page of one model with its data; a notebook shows it, `save` keeps it."""

    name: str
    text: str = field(repr=False)
    height: int = 640

    def _repr_html_(self) -> str:
        return (
            f'<iframe title="{html.escape(self.name, quote=True)}" sandbox="allow-scripts allow-downloads" '
            f'width="100%" height="{self.height}" srcdoc="{html.escape(self.text, quote=True)}"></iframe>'
        )


def open(model: Any, input: Any = None, *, height: int = 640) -> Page:
    """The page of a model, to be the last line of a notebook's cell.

    `model` is anything that can be opened; with an input the page also holds the answer, the statistics
    of every value and a heat map. The frame may run its own script only, and makes no request.
    """
    opened = models.open_model(model)
    return Page(opened.name, workbench.single_page(collect(opened, input)[0]), height)
