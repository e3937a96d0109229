"""How is a plan carried out? Sessions for the whole graph or its parts, values fetched and replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from inspector.errors import BadInput
from inspector.execution.devices import Device, choose_device
from inspector.execution.exposing import Exposed, Outlet, expose
from inspector.execution.graph_statistics import Counters, add_statistics
from inspector.execution.moments import Moments
from inspector.execution.open_sizes import sizes_told
from inspector.execution.parts import Absent, Found, Part, fetch, on_host, varies
from inspector.execution.planner import Plan
from inspector.execution.reshaped import Reshaped, reshaped
from inspector.execution.segments import Segment, segment_graph
from inspector.execution.session import Fusion, Session, Settings, open_session, weight_bytes
from inspector.execution.shelf import Shelf
from inspector.model import Model

__all__ = ["Runner"]

Array = np.ndarray[Any, np.dtype[Any]]

WORKSPACE = 64 << 20
"""Bytes that a session on a GPU may need besides weights and values, where memory is bounded."""

SESSION = 1 << 20
"""The same on the CPU, where weights are mapped or packed and values come from one arena."""

WHOLE = -1
"""Key of the session over the whole graph; those of parts are their numbers."""

_LISTED = 8
"""Nodes that a note names."""


@dataclass(frozen=True)
class _Draft:
    """What a session is made from, and what is read off it besides its outputs."""

    exposed: Exposed
    settings: Settings
    views: Mapping[str, Reshaped] = field(default_factory=dict)


@dataclass(eq=False)
class Runner:
    """Sessions of one plan, made when first needed."""

    model: Model
    plan: Plan
    asked: str = "cpu"
    threads: int = 0
    budget: int | None = None
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
        """Whether a GPU's memory is bounded: it then holds one part's values at a time."""
        return self.budget is not None and self.chosen.name == "cuda"

    @cached_property
    def shelf(self) -> Shelf[Part]:
        """Sessions that were made: all of them, or of a given budget those that fit `memory`."""
        return Shelf(self.memory)

    @property
    def device(self) -> str:
        """What the sessions run on, as they themselves report it."""
        return " and ".join(sorted(self.ran)) or self.chosen.name

    @property
    def notes(self) -> tuple[str, ...]:
        """Why the device is not the one that was asked for, and which nodes a GPU session left to the CPU."""
        left = sorted(self.left)
        if not left:
            return (self.chosen.note,) if self.chosen.note else ()
        listed = ", ".join(left[:_LISTED]) + ", …" * (len(left) > _LISTED)
        return (f"{len(left)} nodes ran on the CPU, to which the CUDA provider left them: {listed}.",)

    def run(self, feeds: Mapping[str, Array]) -> tuple[Found, Absent]:
        """The kept values (all, or checkpoints) and the values that have none."""
        if self.plan.strategy == "segments":
            found: Found = {}
            absent: Absent = {}
            for values, missing in self.stream(feeds):
                found.update(values)
                absent.update(missing)
            return found, absent
        everything = self.shelf.limit or 0
        with sizes_told(self.model, feeds):
            return self._run(WHOLE, self._draft_whole, (), everything, feeds, shrink=self.sparing)

    def stream(self, feeds: Mapping[str, Array]) -> Iterator[tuple[Found, Absent]]:
        """One part after the other: its wanted values, which the caller may drop, and those without one.

        A plan of another strategy has one part: the whole. Nothing of a part is held here when the next one
        runs but what crosses; where a GPU's memory is bounded, that waits in the host's.
        """
        if self.plan.strategy != "segments":
            yield self.run(feeds)
            return
        with sizes_told(self.model, feeds):
            yield from self._stream(feeds)

    def _stream(self, feeds: Mapping[str, Array]) -> Iterator[tuple[Found, Absent]]:
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
            if not self.shelf.fits(self._most):
                self.shelf.drop(index)  # the next pass begins with the first parts: those stay

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
        again = self.shelf.get(index) is not None  # another look into this part: now all of it
        names = self._wanted(segment) if again else before
        wanted = [name for name in names if not self._is_counted(name)]
        short = replace(segment, stop=segment.stop if again else stop, outputs=())
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
            self.shelf.make_room(self.shelf.limit or 0)
            part = Part(self._open(exposed.proto, self._settings("none")), exposed)
            try:
                return fetch(part, feeds, shrink=self.sparing)
            except BadInput as cause:
                if last or not varies(cause):
                    raise
        return {}, {}

    def _run(
        self,
        place: int,
        draft: Callable[[bool], _Draft],
        keys: Iterable[str],
        values: int,
        feeds: Mapping[str, Any],
        *,
        shrink: bool,
    ) -> tuple[Found, Absent]:
        """Values of the session of this place, made where none is kept that gives these keys.

        A run needs `values` bytes beside the sessions; those that leave no room go first.
        """
        part = self.shelf.get(place)
        if part is None or not part.keys.issuperset(keys):
            part = self._made(place, draft(False), values)
        self.shelf.make_room(values, keep=place)
        try:
            return fetch(part, feeds, shrink=shrink)
        except BadInput as cause:
            if not varies(cause):
                raise
            return fetch(self._made(place, draft(True), values), feeds, shrink=shrink)

    def _made(self, place: int, draft: _Draft, values: int) -> Part:
        self.shelf.drop(place)
        nbytes = weight_bytes(draft.exposed.proto) + self._overhead
        self.shelf.make_room(nbytes + values)
        part = Part(self._open(draft.exposed.proto, draft.settings), draft.exposed, draft.views)
        self.shelf.put(place, part, nbytes)
        return part

    @property
    def _overhead(self) -> int:
        return WORKSPACE if self.chosen.name == "cuda" else SESSION

    @cached_property
    def _loads(self) -> tuple[int, ...]:
        """Bytes of values that a run of each part needs: what it takes and makes, and kept checkpoints."""
        values, nodes = self.plan.values, self.plan.graph.graph.node
        standing = self.plan.checkpoints if self.plan.strategy != "segments" else ()
        loads: list[int] = []
        for part in self.plan.segments:
            inside = [node for node in nodes[part.start : part.stop] if node.op_type != "Constant"]
            names = {*part.inputs, *standing, *(name for node in inside for name in node.output)}
            loads.append(sum(values[name].nbytes or 0 for name in names if name in values))
        return tuple(loads)

    @cached_property
    def _most(self) -> int:
        """Bytes that the largest part needs, with its session."""
        if self.shelf.limit is None:
            return 0
        stored = (weight_bytes(self._graph_of(part)) for part in self.plan.segments)
        return max((size + load for size, load in zip(stored, self._loads, strict=True)), default=0) + (
            self._overhead
        )

    def _draft_whole(self, last: bool) -> _Draft:
        plan = self.plan
        if plan.strategy == "statistics":
            return self._draft_counting()
        keys = plan.keys if plan.strategy == "all" else plan.checkpoints
        later = self._in_bodies if plan.strategy == "checkpoint" else ()
        settings = self._settings(self._fusion(keys), scattered=plan.strategy == "all")
        return self._draft(plan.graph, keys, settings, last=last, flagged=later)

    def _draft(
        self,
        proto: onnx.ModelProto,
        keys: Sequence[str],
        settings: Settings,
        *,
        last: bool,
        flagged: Sequence[str] = (),
    ) -> _Draft:
        """The graph with these values as outputs; in the host's memory one shape of them views another."""
        values = self.plan.values
        views = reshaped(proto.graph, keys, values) if self.chosen.name == "cpu" else {}
        exposed = expose(proto, [k for k in keys if k not in views], values, last=last, flagged=flagged)
        return _Draft(exposed, settings, views)

    @property
    def _in_bodies(self) -> list[str]:
        return [key for key in self.plan.keys if self.model.producers[key].body]

    @cached_property
    def counters(self) -> Counters:
        """The graph with its counting nodes."""
        top = [key for key in self.plan.keys if key in self.plan.values]
        return add_statistics(self.plan.graph, top, self.plan.values)

    def _draft_counting(self) -> _Draft:
        exposed = expose(self.counters.proto, [], self.plan.values, flagged=self._in_bodies)
        outlets = {name: Outlet(name, name) for name in self.counters.outputs}
        settings = Settings("extended", frugal=True, threads=self.threads)
        return _Draft(Exposed(exposed.proto, outlets, {}, exposed.flags), settings)

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
        fusion: Fusion = "none" if self.plan.mode == "exact" else "extended"

        def draft(last: bool) -> _Draft:
            return self._draft(self._graph_of(segment), keys, self._settings(fusion, shared=True), last=last)

        return self._run(index, draft, keys, self._loads[index], feeds, shrink=shrink)

    def _graph_of(self, segment: Segment) -> onnx.ModelProto:
        nodes = self.plan.graph.graph.node[segment.start : segment.stop]
        return segment_graph(self.plan.graph, nodes, segment.inputs, self.plan.values)

    def _settings(self, fusion: Fusion, *, shared: bool = False, scattered: bool = False) -> Settings:
        return Settings(fusion, shared=shared, scattered=scattered, threads=self.threads)

    def _open(self, proto: onnx.ModelProto, settings: Settings) -> Session:
        session = open_session(self.model, proto, device=self.chosen, settings=settings)
        if session.device != self.chosen.name:
            self.chosen = Device(session.device, session.note)
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
