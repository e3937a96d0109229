"""A block while the hierarchy is still being found: mutable members in graph order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Draft", "Kind"]

Kind = Literal["model", "scope", "body", "control", "region", "unit", "repeat", "similar", "section"]
"""What made a block: the whole model, a recorded scope, a body, an operator with bodies, a single-entry
single-exit region, one period of a repetition, equal copies, alike copies, or a slice of a long list."""


@dataclass(eq=False)
class Draft:
    """A group of node keys and smaller drafts; `repeat` counts equal copies among the members."""

    kind: Kind
    label: str
    members: list[str | Draft] = field(default_factory=list)
    source_class: str = ""
    repeat: int = 1

    def nodes(self) -> Iterator[str]:
        """Every node key below, depth first in member order."""
        stack: list[str | Draft] = list(reversed(self.members))
        while stack:
            member = stack.pop()
            if isinstance(member, Draft):
                stack.extend(reversed(member.members))
            else:
                yield member

    def drafts(self) -> list[Draft]:
        """The direct members that are drafts."""
        return [member for member in self.members if isinstance(member, Draft)]
