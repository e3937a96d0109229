"""Which method explains this answer best? Several methods under several measures, on one prepared net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.autograd import steady
from inspector.errors import BadInput, InspectorError
from inspector.methods.attribution import Attribution, explain
from inspector.methods.judging.agreement import agreement
from inspector.methods.judging.measures import Judged, Measurement, find_measure, over_places
from inspector.methods.registry import find_method
from inspector.methods.subject import Subject
from inspector.progress import track

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Measurements by method and measure; `refused` tells why one is missing.

    `agreement` (methods, methods) is the rank correlation of the maps' magnitudes, in the order of `maps`.
    """

    maps: Mapping[str, Attribution]
    measurements: Mapping[str, Mapping[str, Measurement]]
    agreement: npt.NDArray[np.float64]
    refused: Mapping[str, str]
    notes: tuple[str, ...]


@steady()
def evaluate(
    subject: Subject,
    methods: Sequence[str],
    measures: Sequence[str],
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    mask: npt.NDArray[np.bool_] | None = None,
) -> Evaluation:
    """Map and judge the first row by each method; the net, its layer's activations and the mask are shared.

    Raises:
        BadInput: no method could make a map.
    """
    subject = subject.row(0)
    rows = [find_measure(name) for name in measures]
    maps: dict[str, Attribution] = {}
    found: dict[str, dict[str, Measurement]] = {}
    refused: dict[str, str] = {}
    for name in track(methods, "Judging methods", len(methods)):
        method, given = find_method(name), dict((options or {}).get(name, {}))
        try:
            maps[name] = explain(subject, method, **given)
        except InspectorError as why:
            refused[name] = str(why)
            continue
        judged = Judged(subject, method, given, maps[name], mask)
        found[name] = {}
        for row in rows:
            try:
                found[name][row.name] = row.function(judged)
            except InspectorError as why:
                refused[f"{row.name} of {name}"] = str(why)
    if not maps:
        raise BadInput(next(iter(refused.values()), "no method was named. `inspector methods` lists them."))
    notes = [note for made in maps.values() for note in made.notes]
    notes += [note for row in found.values() for one in row.values() for note in one.notes]
    alike = [made for made in maps.values() if over_places(made).shape == subject.input_size()]
    together = (
        agreement([over_places(made) for made in alike]) if len(alike) == len(maps) else np.zeros((0, 0))
    )
    return Evaluation(maps, found, together, refused, tuple(dict.fromkeys(notes)))
