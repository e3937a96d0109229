"""How should intermediate values be had: all at once, from checkpoints, in segments, or as statistics only?

all         every wanted value is an output of one run
checkpoint  one run keeps the few values that cross between parts; any other is replayed on demand
segments    the parts run one after the other, and each part's values can be used and dropped
statistics  minimum, maximum, mean and spread are computed inside the graph; values are replayed
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import onnx

from inspector.errors import BadInput, UnknownName
from inspector.execution.exposing import expose
from inspector.execution.ordering import ordered_graph
from inspector.execution.segments import Segment, cut
from inspector.execution.selecting import select_values
from inspector.model import Model, Value
from inspector.model.shapes import infer
from inspector.model.walk import keyed_bodies

__all__ = ["Mode", "Plan", "Strategy", "default_budget", "plan_capture", "sized"]

Array = np.ndarray[Any, np.dtype[Any]]
Strategy = Literal["all", "checkpoint", "segments", "statistics"]
Mode = Literal["exact", "fused"]

CHECKPOINT_PARTS = {"fused": 8, "exact": 16}
"""Every cut costs a fused layout: on ResNet-50 8 parts take 1.06 × the fused run, 16 parts 1.13 ×.

An unfused run has nothing to lose but memory, and finer parts are replayed sooner.
"""

STREAM_PARTS = 64
"""A streamed run holds one part's values: 1/64 of the bytes, as long as single values are not larger.

Against 32 parts a transformer of batch 8 takes 15 MB less, and no more time.
"""

SHARES = 4
"""Where values exceed a given budget, parts of a quarter of it: fewer sessions, which cost memory too."""

MOST_PARTS = 256
"""A part is a session; beyond this many their own cost outweighs what they save."""


@dataclass(frozen=True)
class Plan:
    """What will run, and why. `nbytes` are the wanted values' bytes as far as shapes are known."""

    strategy: Strategy
    mode: Mode
    keys: tuple[str, ...]
    refused: Mapping[str, str]
    nbytes: int
    unsized: int
    budget: int
    reasons: tuple[str, ...]
    graph: onnx.ModelProto
    values: Mapping[str, Value]
    segments: tuple[Segment, ...] = ()

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The values that cross between parts, in graph order."""
        return tuple(dict.fromkeys(name for part in self.segments for name in part.outputs))

    def explain(self) -> str:
        """The choice and its reasons, for a person."""
        lines = [
            f"strategy {self.strategy}, {self.mode} graph: {len(self.keys)} values, {_size(self.nbytes)}"
            + (f" and {self.unsized} of unknown size" if self.unsized else "")
            + f", budget {_size(self.budget)}"
        ]
        lines += [f"- {reason}" for reason in self.reasons]
        if self.segments:
            held = sum(self.values[name].nbytes or 0 for name in self.checkpoints if name in self.values)
            lines.append(
                f"- {len(self.segments)} parts, {len(self.checkpoints)} values cross between them "
                f"({_size(held)})"
            )
        lines += [f"- not reachable: {key}: {why}" for key, why in self.refused.items()]
        return "\n".join(lines)


def plan_capture(
    model: Model,
    feeds: Mapping[str, Array],
    values: str | Iterable[str] = "all",
    *,
    mode: Mode = "exact",
    budget: int | None = None,
    strategy: Strategy | None = None,
    sweep: bool = False,
) -> Plan:
    """Choose a strategy for these values, from the sizes that follow from the feeds' shapes.

    `sweep` says that every value will be used once, in graph order, and not looked up again: what does not
    fit the budget is then streamed in segments.
    """
    if mode not in get_args(Mode):
        raise UnknownName.among("mode", mode, get_args(Mode))
    if strategy is not None and strategy not in get_args(Strategy):
        raise UnknownName.among("strategy", strategy, get_args(Strategy))
    if budget is not None and budget < 0:
        raise BadInput(f"a budget of {budget} bytes: expected 0 or more.")
    known = sized(model, feeds).values
    graph = ordered_graph(model)
    wanted = select_values(model, values)
    keys = tuple(key for key in wanted if key not in model.weights and key not in feeds)
    exposed = expose(graph, keys, known)
    sizes = [known[key].nbytes for key in exposed.outlets]
    nbytes = sum(size for size in sizes if size is not None)
    limit = default_budget() if budget is None else budget
    chosen, reasons = _choose(strategy, nbytes, limit, budget is not None, sweep)
    segments: tuple[Segment, ...] = ()
    if chosen == "segments":
        least = SHARES if budget is not None and nbytes > limit else STREAM_PARTS
        streamed = min(MOST_PARTS, max(least, SHARES * nbytes // max(1, limit)))
        segments, most = _cut_within(graph, known, limit, streamed)
        reasons.append(f"{_size(most)} are held at once, by the part with the most and what crosses it")
    elif chosen in ("checkpoint", "statistics"):
        segments = cut(graph, known, CHECKPOINT_PARTS[mode])
        if (most := _standing(graph, known, segments)) > limit:
            reasons.append(
                f"checkpoints and the part replayed last hold up to {_size(most)}, more than the budget: "
                "strategy segments holds less, where every value is used once"
            )
    reasons.append(_graph_reason(chosen, mode))
    return Plan(
        chosen,
        mode,
        tuple(exposed.outlets),
        exposed.refused,
        nbytes,
        sizes.count(None),
        limit,
        tuple(reasons),
        graph,
        known,
        segments,
    )


def sized(model: Model, feeds: Mapping[str, Array]) -> Model:
    """The model with its input shapes fixed to those of the feeds, and every shape inferred anew."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model.proto)
    for info in copy.graph.input:
        if info.name in feeds:
            shape = info.type.tensor_type.shape
            shape.ClearField("dim")
            for size in np.shape(feeds[info.name]):
                shape.dim.add().dim_value = size
    for _, graph in [("", copy.graph), *keyed_bodies(copy.graph)]:
        graph.ClearField("value_info")
        for info in graph.output:
            if info.type.HasField("tensor_type"):
                info.type.tensor_type.ClearField("shape")
    proto, _ = infer(copy)
    return Model(proto, model.folder, model.origin, model.notes, model.keep)


def default_budget() -> int:
    """Bytes of values to hold at once: 2 GiB, or a quarter of the machine's memory where that is less."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 2 << 30
    return min(2 << 30, memory // 4)


def _choose(
    asked: Strategy | None, nbytes: int, limit: int, given: bool, sweep: bool
) -> tuple[Strategy, list[str]]:
    whose = "the given budget" if given else "the default budget"
    if asked is not None:
        return asked, ["the strategy was asked for"]
    if nbytes <= limit:
        return "all", [f"{_size(nbytes)} fit {whose}: one run returns everything"]
    if sweep:
        return "segments", [
            f"{_size(nbytes)} exceed {whose} and every value is used once: parts run one after the other, "
            "the values of one are dropped before the next"
        ]
    return "checkpoint", [
        f"{_size(nbytes)} exceed {whose}: one run keeps checkpoints, values are replayed when asked for"
    ]


def _cut_within(
    graph: onnx.ModelProto, values: Mapping[str, Value], limit: int, parts: int
) -> tuple[tuple[Segment, ...], int]:
    """Segments to stream, finer until what is held at once is within the limit; and those bytes."""
    segments = cut(graph, values, parts)
    while (most := _held(graph, values, segments)) > limit and parts < MOST_PARTS:
        parts = min(MOST_PARTS, 2 * parts)
        segments = cut(graph, values, parts)
    return segments, most


def _standing(graph: onnx.ModelProto, values: Mapping[str, Value], segments: Sequence[Segment]) -> int:
    """Bytes of all checkpoints, with those of the largest part's values between them."""
    kept = {name for part in segments for name in part.outputs}
    inside = (_made(graph, part) - kept for part in segments)
    largest = max((_bytes_of(names, values) for names in inside), default=0)
    return _bytes_of(kept, values) + largest


def _made(graph: onnx.ModelProto, part: Segment) -> set[str]:
    nodes = graph.graph.node[part.start : part.stop]
    return {name for node in nodes if node.op_type != "Constant" for name in node.output if name}


def _bytes_of(names: Iterable[str], values: Mapping[str, Value]) -> int:
    return sum(values[name].nbytes or 0 for name in names if name in values)


def _held(graph: onnx.ModelProto, values: Mapping[str, Value], segments: Sequence[Segment]) -> int:
    """The most bytes that are alive while a part runs: all it makes, and what later parts still wait for."""
    last_use = {name: index for index, part in enumerate(segments) for name in part.inputs}
    crossing: set[str] = set()
    most = 0
    for index, part in enumerate(segments):
        most = max(most, _bytes_of(crossing | _made(graph, part), values))
        crossing = {name for name in crossing.union(part.outputs) if last_use.get(name, -1) > index}
    return most


def _graph_reason(strategy: Strategy, mode: Mode) -> str:
    if strategy == "statistics":
        return "statistics stand right behind their producers, so that values die early"
    if mode == "exact":
        return "no operator is fused: every value is the one that the file's graph defines"
    return "operators may be fused: values agree with the file's graph up to rounding"


def _size(nbytes: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= factor:
            return f"{nbytes / factor:.1f} {unit}"
    return f"{nbytes} bytes"
