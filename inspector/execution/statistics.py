"""How does every channel behave over a whole folder of data? One streamed pass that can be resumed."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from inspector.errors import BadInput, InspectorError
from inspector.execution.axes import axes_of_value, channel_axis
from inspector.execution.capturing import Prepared, prepare
from inspector.execution.channel_counts import ChannelCounts, Spread
from inspector.execution.data_folder import data_files
from inspector.execution.engines import run_each
from inspector.execution.inputs import read_inputs
from inspector.execution.preprocess import Preprocess, parse_preprocess
from inspector.execution.streaming import drain
from inspector.model import Model
from inspector.progress import track

__all__ = ["DataStatistics", "UnitStatistics", "data_statistics"]

Array = np.ndarray[Any, np.dtype[Any]]

BOUNDS: Mapping[str, tuple[float, float]] = {
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
}
"""Activations with two limits; a unit that stays at them no longer passes anything on."""

MOSTLY = 0.95
"""Share of values at a limit from which a unit counts as saturated."""

SAVE_EVERY = 50
"""Files between two saves of the state, and the most of one task on a cluster."""

TASKS = 16
"""Tasks into which a small folder is cut on a cluster."""

COUNTING = "Counting activations"


@dataclass(frozen=True)
class UnitStatistics:
    """Statistics of the channels of one value over the data; arrays are (channels,).

    `dead` marks channels that were constant over all data, `saturated` those that stayed at a limit.
    """

    key: str
    axis: int
    counts: ChannelCounts

    @property
    def channels(self) -> int:
        """How many channels the value has."""
        return len(self.counts.mean)

    @property
    def zeros(self) -> Array:
        """Share of exact zeros."""
        return self.counts.zeros / max(1, self.counts.count)

    @property
    def dead(self) -> Array:
        """Channels that gave the same number everywhere."""
        return self.counts.minimum == self.counts.maximum

    @property
    def saturated(self) -> Array:
        """Channels at a limit of their activation for at least 95 % of values."""
        return self.counts.saturated / max(1, self.counts.count) >= MOSTLY

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        counts = self.counts
        return {
            "key": self.key,
            "channel_axis": self.axis,
            "channels": self.channels,
            "values_per_channel": counts.count,
            "mean": counts.mean.tolist(),
            "std": counts.std.tolist(),
            "min": counts.minimum.tolist(),
            "max": counts.maximum.tolist(),
            "zeros": self.zeros.tolist(),
            "not_finite": counts.not_finite.tolist(),
            "dead": np.flatnonzero(self.dead).tolist(),
            "saturated": np.flatnonzero(self.saturated).tolist(),
            "histogram": {"range": 2.0**counts.exponent, "counts": counts.histogram.tolist()},
        }


@dataclass(frozen=True)
class DataStatistics:
    """What a pass over a folder gave: statistics by value key, and the files that could not be read."""

    units: Mapping[str, UnitStatistics]
    files: int
    skipped: Mapping[str, str]
    recipe: Preprocess | None
    device: str
    notes: tuple[str, ...]


def data_statistics(
    model: Model,
    folder: str | Path,
    values: str | list[str] = "all",
    *,
    preprocess: str | Preprocess | None = None,
    state: str | Path | None = None,
    device: str = "cpu",
    budget: int | None = None,
    engine: str = "embedded",
) -> DataStatistics:
    """Run every file of a folder through the model and keep statistics by channel of the wanted values.

    `state` names a file that is saved every 50 files; a later call with the same model, recipe and values
    goes on from it. Files that cannot be read are counted and listed, not fatal. `engine` is "embedded" or
    "ray[:address]"; both give the same bits.

    Raises:
        BadInput: the folder holds no file that can be fed, or none of them could be read.
    """
    files = data_files(Path(folder))
    if preprocess is not None:
        parse_preprocess(preprocess)  # a recipe that does not exist is no fault of every single file
    job = _Job(model, values, preprocess, device, budget)
    mark = job.mark()
    if state is not None:
        job.load(Path(state), mark)
        job.save(Path(state), mark)  # a place that cannot be written is known now, not after hours
    done_before = len(job.done)
    pending = [path for path in files if path.relative_to(folder).as_posix() not in job.done]
    for count in job.passed(Path(folder), pending, engine):
        if state is not None and count % SAVE_EVERY == 0:
            job.save(Path(state), mark)
    if state is not None:
        job.save(Path(state), mark)
    if not job.counts:
        if state is not None:
            Path(state).unlink(missing_ok=True)  # it would stand in the way of another recipe
        first = next(iter(job.skipped.items()))
        raise BadInput(f"{folder}: none of {len(files)} files could be fed; {first[0]}: {first[1]}")
    notes = [f"{done_before} files were counted by an earlier run."] if done_before else []
    notes += job.remarks
    units = {key: UnitStatistics(key, job.axes[key], counts) for key, counts in job.counts.items()}
    return DataStatistics(
        units, len(job.done) - len(job.skipped), job.skipped, job.recipe, job.used or device, tuple(notes)
    )


@dataclass(frozen=True)
class _Share:
    """What a task counted over some files: `spreads` has, by file and value, what depends on their order."""

    counts: Mapping[str, ChannelCounts]
    spreads: list[dict[str, Spread]]
    axes: Mapping[str, int]
    skipped: Mapping[str, str]
    recipe: Preprocess | None
    used: str
    remarks: Mapping[str, None]


@dataclass
class _Job:
    model: Model
    values: str | list[str]
    preprocess: str | Preprocess | None
    device: str
    budget: int | None
    counts: dict[str, ChannelCounts] = field(default_factory=dict)
    axes: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    prepared: Prepared | None = None
    recipe: Preprocess | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    used: str = ""
    remarks: dict[str, None] = field(default_factory=dict)
    """What the runs had to say, once each: why they were on the CPU, which nodes a GPU left to it."""

    def passed(self, folder: Path, files: list[Path], engine: str) -> Iterator[int]:
        """Count the files, and give after some of them how many are done."""
        if engine == "embedded":
            for index, path in enumerate(track(files, COUNTING)):
                self.add(path, path.relative_to(folder).as_posix())
                yield index + 1
            return
        size = max(1, min(SAVE_EVERY, -(-len(files) // TASKS)))
        shares = [files[start : start + size] for start in range(0, len(files), size)]
        fresh = _Job(self.model, self.values, self.preprocess, self.device, self.budget)
        work = functools.partial(_counted, fresh, folder)
        for share, found in zip(
            shares, run_each(engine, work, shares, COUNTING, gpu=self.device == "cuda"), strict=True
        ):
            self.merge(found)
            self.done.update(path.relative_to(folder).as_posix() for path in share)
            yield SAVE_EVERY

    def merge(self, share: _Share) -> None:
        """Add what a task counted, as if its files had been counted here."""
        self.skipped |= share.skipped
        self.axes = dict(share.axes) | self.axes
        self.recipe, self.used = self.recipe or share.recipe, self.used or share.used
        self.remarks.update(share.remarks)
        for key, theirs in share.counts.items():
            counts = self.counts.setdefault(key, ChannelCounts.empty(len(theirs.mean)))
            if len(counts.mean) == len(theirs.mean):
                counts.join(theirs)
                for spreads in share.spreads:
                    if key in spreads:
                        counts.fold(*spreads[key])

    def mark(self) -> str:
        """What a saved state must agree with."""
        recipe = self.preprocess.describe() if isinstance(self.preprocess, Preprocess) else self.preprocess
        text = json.dumps([self.model.digest, self.values, recipe])
        return hashlib.sha256(text.encode()).hexdigest()

    def add(self, path: Path, name: str) -> dict[str, Spread]:
        """Count one file, or note why it cannot be."""
        self.done.add(name)
        spreads: dict[str, Spread] = {}
        try:
            read = read_inputs(self.model, str(path), preprocess=self.preprocess)
        except InspectorError as cause:
            self.skipped[name] = str(cause)
            return spreads
        self.recipe = self.recipe or read.preprocess
        shapes = tuple(array.shape for array in read.feeds.values())
        if self.prepared is None or shapes != self.shapes:
            self.prepared = prepare(
                self.model, read.feeds, self.values, device=self.device, budget=self.budget, sweep=True
            )
            self.shapes = shapes
        for found, _ in self.prepared.runner.stream(read.feeds):
            for key, value in drain(found):
                spread = self._count(key, np.asarray(value))
                if spread is not None:
                    spreads[key] = spread
        self.used = self.prepared.runner.device
        self.remarks.update(dict.fromkeys(self.prepared.runner.notes))
        return spreads

    def _count(self, key: str, value: Array) -> Spread | None:
        if value.dtype.kind in "OUSb" or value.ndim < 2 or not value.size:
            return None
        if key not in self.axes:
            names = axes_of_value(self.model, key, value.shape)
            self.axes[key] = channel_axis(names, value.ndim)
        axis = self.axes[key]
        rows = np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)
        counts = self.counts.setdefault(key, ChannelCounts.empty(rows.shape[0]))
        if len(counts.mean) != rows.shape[0]:
            return None  # an axis whose size follows the input is no channel axis
        producer = self.model.producers.get(key)
        return counts.add(rows, value.shape[0], BOUNDS.get(producer.op) if producer is not None else None)

    def save(self, path: Path, mark: str) -> None:
        """Write the state, whole or not at all."""
        arrays: dict[str, Array] = {}
        facts: list[dict[str, Any]] = []
        for index, (key, counts) in enumerate(self.counts.items()):
            facts.append(
                {"key": key, "axis": self.axes[key], "count": counts.count, "exponent": counts.exponent,
                 "images": counts.images}
            )  # fmt: skip
            arrays |= {f"{index}.{name}": getattr(counts, name) for name in _ARRAYS}
        head = {"mark": mark, "done": sorted(self.done), "skipped": self.skipped, "values": facts}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        try:
            with partial.open("wb") as file:
                np.savez(file, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)  # pyright: ignore[reportArgumentType]  # numpy's stub takes the names for options
            os.replace(partial, path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def load(self, path: Path, mark: str) -> None:
        """Go on from a saved state; one of another model, recipe or choice is refused."""
        if not path.exists():
            return
        try:
            with np.load(path, allow_pickle=False) as stored:
                head = json.loads(bytes(stored["head"]).decode())
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as cause:
            raise BadInput(f"state {path} cannot be read: {cause}. Delete it to start anew.") from None
        if head["mark"] != mark:
            raise BadInput(
                f"state {path} is of another model, recipe or choice of values. Delete or rename it."
            )
        self.done, self.skipped = set(head["done"]), dict(head["skipped"])
        for index, facts in enumerate(head["values"]):
            parts = {name: arrays[f"{index}.{name}"] for name in _ARRAYS}
            self.axes[facts["key"]] = facts["axis"]
            self.counts[facts["key"]] = ChannelCounts(
                count=facts["count"], exponent=facts["exponent"], images=facts["images"], **parts
            )


def _counted(job: _Job, folder: Path, files: list[Path]) -> _Share:
    """A task's share of the folder."""
    spreads = [job.add(path, path.relative_to(folder).as_posix()) for path in files]
    return _Share(job.counts, spreads, job.axes, job.skipped, job.recipe, job.used, job.remarks)


_ARRAYS = ("mean", "m2", "minimum", "maximum", "zeros", "saturated", "not_finite", "histogram")
