"""Where do time and memory go? ONNX Runtime's profiler, mapped back to nodes, blocks and source layers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from inspector.errors import BadInput
from inspector.execution.open_sizes import sizes_told
from inspector.execution.ordering import ordered_graph
from inspector.execution.planner import Mode
from inspector.execution.session import Settings, open_session, run
from inspector.model import Model, Node
from inspector.model.walk import walk
from inspector.progress import track

__all__ = ["BlockTime", "NodeTime", "Profile", "profile"]

Array = np.ndarray[Any, np.dtype[Any]]

_SUFFIX = "_kernel_time"


@dataclass(frozen=True)
class NodeTime:
    """One operator as it ran. `ms` is the median over the runs, without the nodes of its bodies.

    `calls` counts executions in one run (iterations of a `Loop`, 0 for a branch not taken). Bytes are of
    the outputs, of all inputs computed before, of the weights read, and of all values that are alive when
    the node has run (None where the runtime says nothing, or the node did not run in the first run).
    """

    key: str
    op: str
    scope: str
    ms: float
    share: float
    calls: float
    output_bytes: int
    input_bytes: int
    weight_bytes: int
    live_bytes: int | None
    provider: str


@dataclass(frozen=True)
class BlockTime:
    """The nodes of one block together; `live_bytes` are the most that are alive in it."""

    block: str
    ms: float
    share: float
    nodes: int
    output_bytes: int
    weight_bytes: int
    live_bytes: int | None


@dataclass(frozen=True)
class Profile:
    """Times of one model on one device. `graph` is "exact" (a row a node of the file) or "fused".

    `total_ms` is the sum over nodes, `wall_ms` the median of whole runs, with the profiler's own cost.
    `peak_bytes` is the highest memory in use by values while running, None where the runtime says nothing.
    """

    rows: tuple[NodeTime, ...]
    total_ms: float
    wall_ms: float
    peak_bytes: int | None
    runs: int
    graph: Mode
    device: str
    notes: tuple[str, ...]

    @property
    def overlay(self) -> Mapping[str, float]:
        """Milliseconds by node key, for drawings."""
        return {row.key: row.ms for row in self.rows}

    def blocks(self, homes: Mapping[str, str]) -> tuple[BlockTime, ...]:
        """Times by block, slowest first; `homes` names the block of each node key.

        A fused operator whose first node is in no block counts under its scope.
        """
        groups: dict[str, list[NodeTime]] = {}
        for row in self.rows:
            groups.setdefault(homes.get(row.key, row.scope), []).append(row)
        blocks = [
            BlockTime(
                block,
                sum(row.ms for row in rows),
                sum(row.share for row in rows),
                len(rows),
                sum(row.output_bytes for row in rows),
                sum(row.weight_bytes for row in rows),
                max((row.live_bytes for row in rows if row.live_bytes is not None), default=None),
            )
            for block, rows in groups.items()
        ]
        return tuple(sorted(blocks, key=lambda block: -block.ms))

    def operators(self) -> tuple[tuple[str, int, float], ...]:
        """(operator, nodes, ms), slowest first."""
        groups: dict[str, list[NodeTime]] = {}
        for row in self.rows:
            groups.setdefault(row.op, []).append(row)
        listed = [(op, len(rows), sum(row.ms for row in rows)) for op, rows in groups.items()]
        return tuple(sorted(listed, key=lambda entry: -entry[2]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "total_ms": self.total_ms,
            "wall_ms": self.wall_ms,
            "peak_bytes": self.peak_bytes,
            "runs": self.runs,
            "graph": self.graph,
            "device": self.device,
            "nodes": [asdict(row) for row in self.rows],
            "operators": [{"op": op, "nodes": count, "ms": ms} for op, count, ms in self.operators()],
            "notes": list(self.notes),
        }


def profile(
    model: Model,
    feeds: Mapping[str, Array],
    *,
    device: str = "cpu",
    mode: Mode = "exact",
    runs: int = 5,
    threads: int = 0,
) -> Profile:
    """Run the model `runs` times (after one to warm up) and give the time of every node.

    "exact" keeps the file's nodes, so that every row has its node; "fused" shows what a deployed run
    costs, with rows named after the first node that went into each fused operator.
    """
    if runs < 1:
        raise BadInput(f"runs={runs}: at least one run must be timed.")
    proto = _named_by_key(model)
    with TemporaryDirectory(prefix="inspector-profile-") as folder:
        settings = Settings(
            "none" if mode == "exact" else "all", threads=threads, profile=Path(folder) / "run"
        )
        session = open_session(model, proto, device=device, settings=settings)
        with sizes_told(model, feeds):
            for _ in track(range(runs + 1), "Profiling"):
                run(session, feeds)
        events: list[dict[str, Any]] = json.loads(Path(session.ort.end_profiling()).read_text("utf-8"))
    first, *timed = _by_run(events)
    rows = _rows(model, timed, _live(first))
    walls = _wall(events)[1:]
    peaks = [int(e["args"]["mem_bytes_in_use"]) for e in events if "mem_bytes_in_use" in e.get("args", {})]
    notes = (session.note,) if session.note else ()
    return Profile(
        rows,
        sum(row.ms for row in rows),
        float(np.median(walls)) if walls else 0.0,
        max(peaks, default=None),
        runs,
        mode,
        session.device,
        notes,
    )


def block_of(node: Node) -> str:
    """The recorded scope, else the path in the node's name, else its operator."""
    if node.scope:
        return node.scope
    path = node.key.strip("/").rpartition("/")[0]
    return path or node.op


def _named_by_key(model: Model) -> onnx.ModelProto:
    """Node names that are keys of the whole model, so that an event of a body finds its node too."""
    proto = ordered_graph(model)
    for node in list(walk(proto.graph)):
        node.proto.name = node.key
    return proto


def _by_run(events: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Kernel events of each run; the runtime marks a run's end after its nodes."""
    spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == "model_run")
    kernels = [e for e in events if e["cat"] == "Node" and e["name"].endswith(_SUFFIX)]
    return [[e for e in kernels if start <= e["ts"] <= end] for start, end in spans]


def _wall(events: Iterable[dict[str, Any]]) -> list[float]:
    spans = sorted((e["ts"], e["dur"]) for e in events if e["name"] == "model_run")
    return [duration / 1000 for _, duration in spans]


def _live(first: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Bytes alive after each node of the first run; later ones have one block planned for all values."""
    found: dict[str, int] = {}
    for event in first:
        alive = event["args"].get("mem_bytes_requested_in_use")
        if alive is not None:
            key = event["name"].removesuffix(_SUFFIX)
            found[key] = max(found.get(key, 0), int(alive))
    return found


def _rows(model: Model, timed: list[list[dict[str, Any]]], live: Mapping[str, int]) -> tuple[NodeTime, ...]:
    keys = {event["name"].removesuffix(_SUFFIX): event for run_events in timed for event in run_events}
    spent = {key: [0.0] * len(timed) for key in keys}
    calls = dict.fromkeys(keys, 0)
    for index, run_events in enumerate(timed):
        for event in run_events:
            key = event["name"].removesuffix(_SUFFIX)
            spent[key][index] += event["dur"] / 1000
            calls[key] += 1
    _take_out_bodies(model, spent)
    medians = {key: float(np.median(times)) for key, times in spent.items()}
    total = sum(medians.values()) or 1.0
    order = {key: index for index, key in enumerate(model.nodes)}
    return tuple(
        _row(model, key, keys[key]["args"], medians[key], total, calls[key] / max(1, len(timed)), live)
        for key in sorted(keys, key=lambda k: order.get(k, len(order)))
    )


def _row(
    model: Model,
    key: str,
    facts: Mapping[str, Any],
    ms: float,
    total: float,
    calls: float,
    live: Mapping[str, int],
) -> NodeTime:
    node = model.nodes.get(key) or model.nodes.get(key.split("_token_")[0])
    return NodeTime(
        key,
        str(facts.get("op_name", "")),
        block_of(node) if node is not None else _path(key),
        ms,
        ms / total,
        calls,
        int(facts.get("output_size", 0)),
        int(facts.get("activation_size", 0)),
        _weight_bytes(model, node) if node is not None else int(facts.get("parameter_size", 0)),
        live.get(key),
        str(facts.get("provider", "")).removesuffix("ExecutionProvider"),
    )


def _weight_bytes(model: Model, node: Node) -> int:
    """Bytes of the stored tensors that a node reads; the runtime leaves out those that it has packed."""
    weights = (model.weight_behind(key) for key in dict.fromkeys(node.inputs) if key)
    return sum(weight.nbytes for weight in weights if weight is not None)


def _path(key: str) -> str:
    return key.strip("/").rpartition("/")[0] or "(fused)"


def _take_out_bodies(model: Model, spent: dict[str, list[float]]) -> None:
    """A node with bodies is timed with them; leave only its own share."""
    whole = dict(spent)
    for node in model.nodes.values():
        owner = _owner(model, node) if node.body and node.key in spent else ""
        if owner in spent:
            spent[owner] = [max(0.0, a - b) for a, b in zip(spent[owner], whole[node.key], strict=True)]


def _owner(model: Model, node: Node) -> str:
    head = node.body.rstrip("/")
    while head and head not in model.nodes:
        head = head.rpartition(".")[0]
    return head
