"""What does a session over a part of the graph give, and how are values read off its outputs?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from inspector.errors import InspectorError
from inspector.execution.binding import can_stay, run_bound
from inspector.execution.exposing import Exposed
from inspector.execution.reshaped import Reshaped
from inspector.execution.session import Session, run

__all__ = ["Absent", "Found", "Part", "fetch", "on_host", "varies"]

Found = dict[str, Any]
Absent = dict[str, str]

NOT_TAKEN = "the If branch that computes it did not run"
EMPTY_OPTIONAL = "it is an empty optional"


@dataclass(eq=False)
class Part:
    """A session together with the outlets that it was built for, and what is read off them."""

    session: Session
    exposed: Exposed
    reshaped: Mapping[str, Reshaped] = field(default_factory=dict)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Values that it gives, or says why not."""
        return frozenset((*self.exposed.outlets, *self.exposed.refused, *self.reshaped))

    @cached_property
    def outputs(self) -> list[str]:
        """Outputs of the session that are fetched."""
        return self.exposed.outputs


def fetch(part: Part, feeds: Mapping[str, Any], *, shrink: bool = False) -> tuple[Found, Absent]:
    """Run a part: its values, and those that have none with the reason."""
    outlets = part.exposed.outlets
    if not outlets and not part.exposed.flags:
        return {}, {}
    names = part.outputs
    if part.session.device == "cuda" and can_stay(part.session, feeds, names):
        outputs = run_bound(part.session, feeds, names, "cuda", shrink=shrink)
    else:
        hosted = {name: on_host(value) for name, value in feeds.items()}
        outputs = run(part.session, hosted, names, shrink=shrink)
    results = dict(zip(names, outputs, strict=True))
    found: Found = {}
    absent: Absent = {}
    for key, outlet in outlets.items():
        value = results[outlet.output]
        if outlet.taken and not np.all(on_host(results[outlet.taken])):
            absent[key] = NOT_TAKEN
        elif value is None:
            absent[key] = EMPTY_OPTIONAL
        else:
            found[key] = value
    for key, view in part.reshaped.items():
        found[key] = found[view.source].reshape(view.shape)
    for key, flag in part.exposed.flags.items():
        if not np.all(on_host(results[flag])):
            absent[key] = NOT_TAKEN
    return found, absent


def on_host(value: Any) -> Any:
    """A value of a run as an array (or list, for sequences); copied where the device is not the CPU."""
    return value.numpy() if hasattr(value, "numpy") else value


def varies(cause: InspectorError) -> bool:
    """Whether a run failed because a value's shape changes from one iteration to the next."""
    return bool(re.search(r"Loop|Scan|scan output|concat|iteration", str(cause)))
