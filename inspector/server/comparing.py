"""How do two open models differ, for the page? The comparison, and a run of each with the same sample."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspector import comparison
from inspector.comparison import Probe
from inspector.comparison.mirrored import turned
from inspector.errors import UnknownName
from inspector.server.workplace import Workplace

__all__ = ["Comparisons"]

_KEPT = 4
"""Comparisons kept with their sample; a page that is loaded again finds them."""


@dataclass(frozen=True, eq=False)
class _Known:
    record: dict[str, Any]
    probe: Probe | None
    runs: dict[str, str]


class Comparisons:
    """The comparisons of one server, by the two models and the input."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        self._known: OrderedDict[tuple[str, str, str], _Known] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, a: str, b: str, source: str) -> dict[str, Any]:
        """The record of `comparison.SCHEMA`, and a run of each model with what both were fed.

        `source` is the id of an uploaded input or "random". `runs` is null where activations were not
        compared; else it has for "a" and "b" the answer of a run: its id and the ranking of classes.
        """
        known = self._known.get((a, b, source)) or self._compared(a, b, source)
        with self._lock:
            self._known[a, b, source] = known
            self._known.move_to_end((a, b, source))
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return {"comparison": known.record, "runs": self._runs(a, b, known)}

    def _compared(self, a: str, b: str, source: str) -> _Known:
        first, second = self._workplace.model(a), self._workplace.model(b)
        inputs = None if source == "random" else [str(self._workplace.file(source).path)]
        found = comparison.compare(first, second, inputs)
        if not found.samples:
            return _Known(comparison.record(found), None, {})
        probe = comparison.probes(found.alignment, inputs)[0]
        return _Known(
            comparison.record(found), turned(found.alignment, probe) if found.mirrored else probe, {}
        )

    def _runs(self, a: str, b: str, known: _Known) -> dict[str, Any] | None:
        if known.probe is None:
            return None
        return {
            "a": self._run("a", a, known.probe.a, known.runs),
            "b": self._run("b", b, known.probe.b, known.runs),
        }

    def _run(self, side: str, digest: str, feeds: Mapping[str, Any], runs: dict[str, str]) -> dict[str, Any]:
        try:
            made = self._workplace.find_run(runs.get(side, ""))
        except UnknownName:
            made = self._workplace.run_feeds(digest, feeds)
            runs[side] = made.id
        return {"run": made.id} | made.prediction.to_dict()
