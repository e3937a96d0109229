"""Which attribution methods are there, where do they come from and what do they need?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table

from inspector import methods
from inspector.actions.registry import action
from inspector.actions.result import Result

if TYPE_CHECKING:
    from inspector.methods import Method
    from inspector.views import Figure

__all__ = ["Methods", "list_methods"]


@dataclass(frozen=True)
class Methods(Result):
    """A row a method, families in order."""

    rows: tuple[Method, ...]

    def to_dict(self) -> dict[str, Any]:
        """Every method with its options and their defaults."""
        return {
            "methods": [
                {
                    "method": row.name,
                    "family": row.family,
                    "paper": row.paper,
                    "unit": row.unit,
                    "needs": list(row.needs),
                    "cost": row.cost,
                    "summary": row.summary,
                    "options": {
                        name: p.default
                        if isinstance(p.default, (int, float, str, type(None)))
                        else str(p.default)
                        for name, p in row.options.items()
                    },
                }
                for row in self.rows
            ]
        }

    def to_text(self) -> RenderableType:
        """The table."""
        table = Table("method", "family", "paper", "needs", "cost", box=None, pad_edge=False)
        for row in self.rows:
            table.add_row(row.name, row.family, row.paper, ", ".join(row.needs) or "–", row.cost or "–")
        return table

    def figures(self) -> Mapping[str, Figure]:
        """None."""
        return {}


@action(name="methods", group="About the tool", examples=("inspector methods",))
def list_methods() -> Methods:
    """List the attribution methods: family, paper, what they need of a model, and cost in passes."""
    return Methods(tuple(methods.known_methods().values()))
