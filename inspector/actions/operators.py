"""Which operators can be differentiated, in general or in one model?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import autograd
from inspector.actions.registry import action
from inspector.actions.result import Result

if TYPE_CHECKING:
    from inspector.autograd import OperatorRow
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Operators", "operators"]


@dataclass(frozen=True)
class Operators(Result):
    """A row an operator; `nodes` counts its uses where the table is that of a model."""

    rows: tuple[OperatorRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """How many operators are in each state, and every row."""
        totals = Counter(row.state for row in self.rows)
        return {"states": dict(totals), "operators": [asdict(row) for row in self.rows]}

    def to_text(self) -> RenderableType:
        """The rows, and the count of each state below."""
        table = Table("operator", "domain", "opset", "state", "family", "nodes", box=None, pad_edge=False)
        for row in self.rows:
            uses = str(row.nodes) if row.nodes else ""
            table.add_row(row.name, row.domain or "ai.onnx", str(row.opset), row.state, row.family, uses)
        totals = Counter(row.state for row in self.rows)
        return Group(table, ", ".join(f"{count} {state}" for state, count in totals.most_common()))

    def figures(self) -> Mapping[str, Figure]:
        """None."""
        return {}


@action(group="About the tool", examples=("inspector operators", "inspector operators model.onnx"))
def operators(model: Model | None = None) -> Operators:
    """List the operators of the differentiable engine and their state, for a model or in general.

    Args:
        model: the model whose operators are listed; without one, all that are known
    """
    return Operators(autograd.operator_table(model))
