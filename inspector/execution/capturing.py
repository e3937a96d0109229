"""What value does every edge of the graph have for this input?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector import execution
from inspector.errors import BadInput, UnknownName
from inspector.execution.feeds import complete_feeds
from inspector.execution.inputs import Inputs, feeds_of
from inspector.execution.moments import Moments, measure
from inspector.execution.parts import on_host
from inspector.execution.planner import Mode, Plan, Strategy, plan_capture
from inspector.execution.runner import Runner
from inspector.execution.showing import show_capture
from inspector.model import Model, open_model

__all__ = ["Capture", "Prepared", "capture", "prepare"]

Array = np.ndarray[Any, np.dtype[Any]]


class NotCaptured(UnknownName, KeyError):
    """A value that a capture cannot give; also a KeyError, as mappings promise."""

    __str__ = Exception.__str__


@dataclass(frozen=True, eq=False)
class Capture(Mapping[str, Array]):
    """Values by key, read-only, for one set of inputs.

    Iterating lists the captured values in graph order. Look-up also gives inputs and stored constants, and
    replays a value that was not kept; of replayed values only the last part is held, so memory stays within
    the plan. `graph` is "exact" (no operator fused) or "fused"; `device` is what ran. `absent` says which
    values have none, and why (an `If` branch that did not run, …).
    """

    model: Model
    feeds: Mapping[str, Array]
    plan: Plan
    graph: Mode
    device: str
    notes: tuple[str, ...]
    absent: Mapping[str, str]
    runner: Runner = field(repr=False)
    kept: dict[str, Any] = field(repr=False)
    recent: dict[str, Any] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """Model, count, graph and device; values are looked up by name."""
        made = f"{len(self)} values of the {self.graph} graph, on {self.device}"
        return f"<Capture of {self.model.name!r}: {made}>"

    def _repr_html_(self) -> str:
        return show_capture(self)

    def __getitem__(self, key: str) -> Array:
        """The value.

        Raises:
            UnknownName: no such value, or it has none for this input; the reason is given.
        """
        return on_host(self._find(key))

    def _find(self, key: str) -> Any:
        found = self.kept.get(key, self.recent.get(key))
        if found is None and key in self.feeds:
            return self.feeds[key]
        if found is None:
            weight = self.model.weight_behind(key)
            if weight is not None:
                return weight.array()
        if found is None and key not in self.absent and key in self.model.values:
            found = self._replay(key)
        if found is None:
            raise self._missing(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (key for key in self.plan.keys if key not in self.absent)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        if key in self.absent:
            return False
        return key in self.kept or key in self.feeds or key in self.model.values

    @property
    def statistics(self) -> Mapping[str, Moments]:
        """Range, mean, spread and zeros of every captured value, computed when looked up."""
        return _Statistics(self)

    @property
    def left_to_cpu(self) -> tuple[str, ...]:
        """Nodes, "operator name", that a run on CUDA gave to the CPU because CUDA has no kernel for them."""
        return tuple(sorted(self.runner.left))

    def on_device(self, key: str) -> Any:
        """The value where the device left it: an `OrtValue` with DLPack on CUDA, an array on the CPU."""
        return self._find(key)

    def torch(self, key: str) -> Any:
        """The value as a torch tensor over the same memory, on the device that ran; treat it as read-only."""
        return execution.tensor_of(self.on_device(key))

    def _replay(self, key: str) -> Any:
        self.recent.clear()
        found, absent = self.runner.replay(key, self.feeds, self.kept)
        self.recent.update(found)
        if key in absent:
            raise NotCaptured(f"value {key!r} has none for this input: {absent[key]}.")
        return self.recent.get(key)

    def _missing(self, key: str) -> NotCaptured:
        if key in self.absent:
            return NotCaptured(f"value {key!r} has none for this input: {self.absent[key]}.")
        if key in self.plan.refused:
            return NotCaptured(f"value {key!r} cannot be captured: {self.plan.refused[key]}.")
        return NotCaptured(str(UnknownName.among("value", key, self.model.values)))


@dataclass(frozen=True)
class _Statistics(Mapping[str, Moments]):
    of: Capture

    def __getitem__(self, key: str) -> Moments:
        counted = self.of.runner.counted(key, self.of.kept)
        if counted is not None and counted.is_finite:
            return counted
        value = self.of.on_device(key)
        if self.of.device == "cuda" and not isinstance(value, np.ndarray) and execution.sees_cuda():
            return execution.measure_tensor(execution.tensor_of(value))
        return measure(np.asarray(self.of[key]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A planned capture whose sessions exist; `run` it with any feeds of the planned shapes."""

    model: Model
    plan: Plan
    runner: Runner

    def run(self, feeds: Mapping[str, npt.ArrayLike] | npt.ArrayLike) -> Capture:
        """Capture the planned values for these inputs.

        Raises:
            BadInput: the feeds do not fit, or have other shapes than those planned for.
        """
        arrays, notes = complete_feeds(self.model, feeds)
        for name, array in arrays.items():
            planned = self.plan.values[name].shape if name in self.plan.values else array.shape
            if array.shape != planned:
                raise BadInput(
                    f"input {name!r} has shape {array.shape}; this capture was prepared for {planned}. "
                    "Prepare one for the new shape."
                )
        kept, absent = self.runner.run(arrays)
        ran = self.runner.device
        notes = (*notes, *self.runner.notes)
        return Capture(
            self.model, arrays, self.plan, self.plan.mode, ran, notes, absent | dict(self.plan.refused),
            self.runner, kept,
        )  # fmt: skip


def prepare(
    model: Model,
    feeds: Mapping[str, npt.ArrayLike] | npt.ArrayLike,
    values: str | Iterable[str] = "all",
    *,
    device: str = "cpu",
    mode: Mode = "exact",
    budget: int | None = None,
    strategy: Strategy | None = None,
    threads: int = 0,
    sweep: bool = False,
) -> Prepared:
    """Plan a capture for inputs of these shapes and make its sessions, to be run many times.

    With `sweep` every value is to be used once, from `runner.stream`, and the planner may stream.
    """
    arrays, _ = complete_feeds(model, feeds)
    plan = plan_capture(model, arrays, values, mode=mode, budget=budget, strategy=strategy, sweep=sweep)
    return Prepared(model, plan, Runner(model, plan, device, threads, budget))


def capture(
    model: Any,
    feeds: Mapping[str, npt.ArrayLike] | npt.ArrayLike | Inputs,
    values: str | Iterable[str] = "all",
    device: str = "cpu",
    mode: Mode = "exact",
    budget: int | None = None,
    strategy: Strategy | None = None,
) -> Capture:
    """Run the model once and give the wanted values.

    `model` is anything that can be opened; `feeds` are arrays by input name, one array for the first
    input, `Inputs`, or files as `read_inputs` takes them.
    `values` is "all", a name, a glob over value keys, a layer, or a list of those. `mode="exact"` gives
    bit for bit what an unfused run gives; "fused" lets ONNX Runtime fuse what is not looked at. `budget`
    is the number of bytes of values to hold at once; above it values are replayed when looked up.

    Raises:
        BadInput: the feeds do not fit.
        NotRunnable: the model cannot be executed.
        DeviceUnavailable: the device cannot be used here.
    """
    opened = open_model(model)
    given = feeds_of(opened, feeds)
    prepared = prepare(opened, given, values, device=device, mode=mode, budget=budget, strategy=strategy)
    return prepared.run(given)
