"""Which files can be opened, what do they give, and what do they need?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

import converters
from inspector.actions.registry import action
from inspector.actions.result import Result

if TYPE_CHECKING:
    from converters.registry import Format
    from inspector.views import Figure

__all__ = ["Formats", "formats"]


@dataclass(frozen=True)
class Formats(Result):
    """Every format that can be opened."""

    rows: tuple[Format, ...]

    def to_dict(self) -> dict[str, Any]:
        """Name, suffixes, what it gives and needs, and a sentence, by format."""
        return {
            "formats": [
                {
                    "name": f.name,
                    "suffixes": list(f.suffixes),
                    "gives": list(f.gives),
                    "needs": list(f.needs),
                    "about": f.about,
                }
                for f in self.rows
            ]
        }

    def to_text(self) -> Table:
        """One row a format."""
        table = Table("format", "suffixes", "gives", "needs", "about", box=None, pad_edge=False)
        for f in self.rows:
            table.add_row(
                f.name, " ".join(f.suffixes), ", ".join(f.gives), ", ".join(f.needs) or "–", f.about
            )
        return table

    def figures(self) -> Mapping[str, Figure]:
        """None."""
        return {}


@action(group="About the tool", examples=("inspector formats",))
def formats() -> Formats:
    """List the file formats that can be opened. Content decides, not the suffix."""
    return Formats(tuple(converters.formats().values()))
