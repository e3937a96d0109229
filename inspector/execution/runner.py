"""How is a plan carried out? Sessions for the whole graph or its parts, values fetched and replayed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from inspector.errors import BadInput, InspectorError
from inspector.execution.binding import can_stay, run_bound
from inspector.execution.devices import Device, choose_device
from inspector.execution.exposing import Exposed, Outlet, expose
from inspector.execution.graph_statistics import Counters, add_statistics
from inspector.execution.moments import Moments
from inspector.execution.planner import Plan
from inspector.execution.reshaped import Reshaped, reshaped
from inspector.execution.segments import Segment, segment_graph
from inspector.execution.session import Fusion, Session, Settings, open_session, run
from inspector.model import Model

__all__ = ["Runner", "on_host"]

Array = np.ndarray[Any, np.dtype[Any]]
Found = dict[str, Any]
Absent = dict[str, str]

WORKSPACE = 64 << 20
"""Bytes of a GPU that kernels may need besides values, where memory is bounded."""

NOT_TAKEN = "the If branch that computes it did not run"
EMPTY_OPTIONAL = "it is an empty optional"


_LISTED = 8
"""Nodes that a note names."""


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


@dataclass(eq=False)
class Runner:
    """Sessions of one plan, made when first needed."""

    model: Model
    plan: Plan
    asked: str = "cpu"
    threads: int = 0
    budget: int | None = None
    parts: dict[int, Part] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    """Nodes, "operator name", that sessions on a GPU left to the CPU."""
    ran: set[str] = field(default_factory=set)
    """Devices of the sessions so far, as they themselves report it."""

    @cached_property
    def chosen(self) -> Device:
        """The device to ask for; on a GPU it gets no more memory than `memory`."""
        return replace(choose_device(self.asked), memory=self.memory)

    @property
    def memory(self) -> int | None:
        """Bytes for the weights, a given budget of values (or the largest that a node needs), and work."""
        if self.budget is None:
            return None
        sizes = [value.nbytes or 0 for value in self.plan.values.values()]
        weights = sum(weight.nbytes for weight in self.model.weights.values())
        return weights + max(self.budget, 3 * max(sizes, default=0)) + WORKSPACE

    @property
    def sparing(self) -> bool:
        """Whether a GPU's memory is bounded: it then holds one part's session and values at a time."""
        return self.budget is not None and self.chosen.name == "cuda"

    @property
    def device(self) -> str:
        """What the sessions run on, as they themselves report it."""
        if self.plan.strategy != "segments":
            return self._whole.session.device
        return next(iter(self.ran), self.chosen.name)

    @property
    def notes(self) -> tuple[str, ...]:
        """Why the device is not the one that was asked for, and which nodes a GPU session left to the CPU."""
        left = sorted(self.left)
        if not left:
            return (self.chosen.note,) if self.chosen.note else ()
        listed = ", ".join(left[:_LISTED]) + ", …" * (len(left) > _LISTED)
        return (f"{len(left)} nodes ran on the CPU, to which the CUDA provider left them: {listed}.",)

    @cached_property
    def _whole(self) -> Part:
        return self._build_whole(last=False)

    def run(self, feeds: Mapping[str, Array]) -> tuple[Found, Absent]:
        """The kept values (all, or checkpoints) and the values that have none."""
        if self.plan.strategy == "segments":
            found: Found = {}
            absent: Absent = {}
            for values, missing in self.stream(feeds):
                found.update(values)
                absent.update(missing)
            return found, absent
        try:
            return _fetch(self._whole, feeds, shrink=self.sparing)
        except BadInput as cause:
            if not _varies(cause):
                raise
            self.__dict__["_whole"] = self._build_whole(last=True)
            return _fetch(self._whole, feeds)

    def stream(self, feeds: Mapping[str, Array]) -> Iterator[tuple[Found, Absent]]:
        """One part after the other: its wanted values, which the caller may drop, and those without one.

        A plan of another strategy has one part: the whole. Nothing of a part is held here when the next one
        runs but what crosses; where a GPU's memory is bounded, that waits in the host's.
        """
        if self.plan.strategy != "segments":
            yield self.run(feeds)
            return
        crossing: Found = dict(feeds)
        segments = self.plan.segments
        last_use = {name: i for i, part in enumerate(segments) for name in part.inputs}
        for index, segment in enumerate(segments):
            last = index == len(segments) - 1
            found, absent = self._run_part(
                index, segment, crossing, self._wanted(segment), shrink=last or self.sparing
            )
            for name in segment.outputs:
                if name in found:
                    crossing[name] = on_host(found[name]) if self.sparing else found[name]
            for name in [n for n in crossing if last_use.get(n, -1) <= index and n not in feeds]:
                del crossing[name]
            wanted = set(self._wanted(segment))
            for name in [name for name in found if name not in wanted]:
                del found[name]
            yield found, absent
            del found
            if self.sparing:
                del self.parts[index]

    def replay(self, key: str, feeds: Mapping[str, Array], kept: Mapping[str, Any]) -> tuple[Found, Absent]:
        """The value, with those before it in its part, computed from the nearest kept values before them."""
        home = self._segment_of(key)
        if home is None:
            return self._replay_whole(key, feeds)
        index, segment = home
        crossing = {name: kept[name] for name in segment.inputs if name in kept}
        if any(name not in crossing for name in segment.inputs):
            return self._replay_whole(key, feeds)
        stop = self._positions[key] + 1
        before = (name for name in self._wanted(segment) if self._positions[name] < stop)
        wanted = [name for name in before if not self._is_counted(name)]
        if self.sparing and index not in self.parts:
            self.parts.clear()
        short = replace(segment, stop=stop, outputs=())
        return self._run_part(index, short, {**feeds, **crossing}, list(dict.fromkeys([*wanted, key])))

    def counted(self, key: str, kept: Mapping[str, Any]) -> Moments | None:
        """Statistics that the graph itself computed, where the plan asked for them."""
        if self.plan.strategy != "statistics" or key in kept:
            return None
        return self.counters.moments(key, kept)

    def _is_counted(self, key: str) -> bool:
        return self.plan.strategy == "statistics" and key in self.counters.counted

    def _replay_whole(self, key: str, feeds: Mapping[str, Array]) -> tuple[Found, Absent]:
        """Without checkpoints: one run for this value alone."""
        for last in (False, True):
            exposed = expose(self.plan.graph, [key], self.plan.values, last=last)
            if key in exposed.refused:
                return {}, {key: exposed.refused[key]}
            part = Part(self._open(exposed.proto, self._settings("none")), exposed)
            try:
                return _fetch(part, feeds)
            except BadInput as cause:
                if last or not _varies(cause):
                    raise
        return {}, {}

    def _build_whole(self, *, last: bool) -> Part:
        plan = self.plan
        if plan.strategy == "statistics":
            return self._build_counting()
        keys = plan.keys if plan.strategy == "all" else plan.checkpoints
        later = self._in_bodies if plan.strategy == "checkpoint" else ()
        settings = self._settings(self._fusion(keys), scattered=plan.strategy == "all")
        return self._part(plan.graph, keys, settings, last=last, flagged=later)

    def _part(
        self,
        proto: onnx.ModelProto,
        keys: Sequence[str],
        settings: Settings,
        *,
        last: bool,
        flagged: Sequence[str] = (),
    ) -> Part:
        """A session for these values; in the host's memory one shape of them is another's view."""
        values = self.plan.values
        views = reshaped(proto.graph, keys, values) if self.chosen.name == "cpu" else {}
        exposed = expose(proto, [k for k in keys if k not in views], values, last=last, flagged=flagged)
        return Part(self._open(exposed.proto, settings), exposed, views)

    @property
    def _in_bodies(self) -> list[str]:
        return [key for key in self.plan.keys if self.model.producers[key].body]

    @cached_property
    def counters(self) -> Counters:
        """The graph with its counting nodes."""
        top = [key for key in self.plan.keys if key in self.plan.values]
        return add_statistics(self.plan.graph, top, self.plan.values)

    def _build_counting(self) -> Part:
        exposed = expose(self.counters.proto, [], self.plan.values, flagged=self._in_bodies)
        outlets = {name: Outlet(name, name) for name in self.counters.outputs}
        settings = Settings("extended", frugal=True, threads=self.threads)
        return Part(self._open(exposed.proto, settings), Exposed(exposed.proto, outlets, {}, exposed.flags))

    def _fusion(self, keys: Sequence[str]) -> Fusion:
        if self.plan.mode == "exact":
            return "none"
        return "extended" if self.plan.strategy == "all" and len(keys) > 0 else "all"

    def _run_part(
        self,
        index: int,
        segment: Segment,
        feeds: Mapping[str, Any],
        wanted: Sequence[str],
        *,
        shrink: bool = False,
    ) -> tuple[Found, Absent]:
        keys = list(dict.fromkeys([*wanted, *segment.outputs]))
        part = self.parts.get(index)
        if part is None or not part.keys.issuperset(keys):
            part = self._build_part(segment, keys, last=False)
            self.parts[index] = part
        try:
            return _fetch(part, feeds, shrink=shrink)
        except BadInput as cause:
            if not _varies(cause):
                raise
            self.parts[index] = part = self._build_part(segment, keys, last=True)
            return _fetch(part, feeds)

    def _build_part(self, segment: Segment, keys: Sequence[str], *, last: bool) -> Part:
        nodes = self.plan.graph.graph.node[segment.start : segment.stop]
        proto = segment_graph(self.plan.graph, nodes, segment.inputs, self.plan.values)
        fusion: Fusion = "none" if self.plan.mode == "exact" else "extended"
        shared = self.plan.strategy == "segments"
        return self._part(proto, keys, self._settings(fusion, shared=shared), last=last)

    def _settings(self, fusion: Fusion, *, shared: bool = False, scattered: bool = False) -> Settings:
        return Settings(fusion, shared=shared, scattered=scattered, threads=self.threads)

    def _open(self, proto: onnx.ModelProto, settings: Settings) -> Session:
        session = open_session(self.model, proto, device=self.chosen, settings=settings)
        self.ran.add(session.device)
        self.left.update(session.left)
        return session

    def _wanted(self, segment: Segment) -> list[str]:
        return self._homes.get(segment.start, [])

    @cached_property
    def _homes(self) -> dict[int, list[str]]:
        """Wanted keys by the start of the segment that makes them."""
        found: dict[int, list[str]] = {}
        for key in self.plan.keys:
            home = self._segment_of(key)
            if home is not None:
                found.setdefault(home[1].start, []).append(key)
        return found

    def _segment_of(self, key: str) -> tuple[int, Segment] | None:
        position = self._positions.get(key)
        if position is None:
            return None
        for index, segment in enumerate(self.plan.segments):
            if segment.start <= position < segment.stop:
                return index, segment
        return None

    @cached_property
    def _positions(self) -> dict[str, int]:
        """Place of the top-level node that makes a value, or holds the body that does."""
        places = {node.name: index for index, node in enumerate(self.plan.graph.graph.node)}
        found: dict[str, int] = {}
        for node in self.model.nodes.values():
            if node.body:
                continue
            for key in node.outputs:
                found[key] = places[node.key]
        for node in self.model.nodes.values():
            if node.body:
                top = _top_label(node.body, places)
                found.update((key, places[top]) for key in node.outputs)
        return found


def _top_label(body: str, places: Mapping[str, int]) -> str:
    """The top-level node whose key starts a body prefix; names may hold dots and slashes themselves."""
    return max((label for label in places if body.startswith(label + ".")), key=len)


def _fetch(part: Part, feeds: Mapping[str, Any], *, shrink: bool = False) -> tuple[Found, Absent]:
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


def _varies(cause: InspectorError) -> bool:
    """Whether a run failed because a value's shape changes from one iteration to the next."""
    return bool(re.search(r"Loop|Scan|scan output|concat|iteration", str(cause)))
