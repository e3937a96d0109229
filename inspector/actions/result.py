"""What every action returns: data, text and pictures, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from inspector.cards import card

if TYPE_CHECKING:
    from rich.console import RenderableType

    from inspector.views import Figure

__all__ = ["Result"]


@runtime_checkable
class Result(Protocol):
    """A frozen answer that the command line prints, the server sends and a notebook shows.

    Answers name it as their base, which gives them their form in a notebook.
    """

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON-able data, with what it was made from."""
        ...

    def to_text(self) -> RenderableType:
        """The answer for a terminal."""
        ...

    def figures(self) -> Mapping[str, Figure]:
        """Pictures by file stem; empty where there are none."""
        ...

    def arrays(self) -> Mapping[str, Any]:
        """Raw arrays by name, for whoever draws them himself; empty where there are none."""
        return {}

    def _repr_html_(self) -> str:
        return card(self.to_text(), self.figures().values())
