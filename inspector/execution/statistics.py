"""How does every channel behave over a whole folder of data? One streamed pass that can be resumed."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inspector.errors import BadInput, InspectorError
from inspector.execution.axes import axes_of_value, channel_axis
from inspector.execution.capturing import Prepared, prepare
from inspector.execution.channel_counts import ChannelCounts
from inspector.execution.inputs import read_inputs
from inspector.execution.picture_files import PICTURE_SUFFIXES
from inspector.execution.preprocess import Preprocess
from inspector.execution.runner import on_host
from inspector.model import Model
from inspector.progress import track

__all__ = ["DataStatistics", "UnitStatistics", "data_statistics"]

Array = np.ndarray[Any, np.dtype[Any]]

DATA_SUFFIXES = PICTURE_SUFFIXES | {".npy", ".npz", ".wav"}

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
"""Files between two saves of the state."""


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
) -> DataStatistics:
    """Run every file of a folder through the model and keep statistics by channel of the wanted values.

    `state` names a file that is saved every 50 files; a later call with the same model, recipe and values
    goes on from it. Files that cannot be read are counted and listed, not fatal.

    Raises:
        BadInput: the folder holds no file that can be fed, or none of them could be read.
    """
    files = list(_files(Path(folder)))
    if not files:
        raise BadInput(f"{folder}: no picture, .npy, .npz or .wav is in it.")
    job = _Job(model, values, preprocess, device, budget, {}, {}, set(), None, None)
    mark = job.mark()
    if state is not None:
        job.load(Path(state), mark)
    done_before = len(job.done)
    for index, path in enumerate(track(files, "Counting activations")):
        name = path.relative_to(folder).as_posix()
        if name not in job.done:
            job.add(path, name)
            if state is not None and index % SAVE_EVERY == SAVE_EVERY - 1:
                job.save(Path(state), mark)
    if state is not None:
        job.save(Path(state), mark)
    if not job.counts:
        first = next(iter(job.skipped.items()))
        raise BadInput(f"{folder}: none of {len(files)} files could be fed; {first[0]}: {first[1]}")
    notes = [f"{done_before} files were counted by an earlier run."] if done_before else []
    units = {key: UnitStatistics(key, job.axes[key], counts) for key, counts in job.counts.items()}
    used = job.prepared.runner.device if job.prepared is not None else device
    return DataStatistics(
        units, len(job.done) - len(job.skipped), job.skipped, job.recipe, used, tuple(notes)
    )


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder.")
    yield from sorted(p for p in folder.rglob("*") if p.suffix.lower() in DATA_SUFFIXES and p.is_file())


@dataclass
class _Job:
    model: Model
    values: str | list[str]
    preprocess: str | Preprocess | None
    device: str
    budget: int | None
    counts: dict[str, ChannelCounts]
    skipped: dict[str, str]
    done: set[str]
    prepared: Prepared | None
    recipe: Preprocess | None
    shapes: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        self.axes: dict[str, int] = {}

    def mark(self) -> str:
        """What a saved state must agree with."""
        recipe = self.preprocess.describe() if isinstance(self.preprocess, Preprocess) else self.preprocess
        text = json.dumps([self.model.digest, self.values, recipe])
        return hashlib.sha256(text.encode()).hexdigest()

    def add(self, path: Path, name: str) -> None:
        """Count one file, or note why it cannot be."""
        self.done.add(name)
        try:
            read = read_inputs(self.model, str(path), preprocess=self.preprocess)
        except InspectorError as cause:
            self.skipped[name] = str(cause)
            return
        self.recipe = self.recipe or read.preprocess
        shapes = tuple(array.shape for array in read.feeds.values())
        if self.prepared is None or shapes != self.shapes:
            self.prepared = prepare(
                self.model, read.feeds, self.values, device=self.device, budget=self.budget, sweep=True
            )
            self.shapes = shapes
        for found, _ in self.prepared.runner.stream(read.feeds):
            for key, value in found.items():
                self._count(key, np.asarray(on_host(value)))

    def _count(self, key: str, value: Array) -> None:
        if value.dtype.kind in "OUSb" or value.ndim < 2 or not value.size:
            return
        if key not in self.axes:
            names = axes_of_value(self.model, key, value.shape)
            self.axes[key] = channel_axis(names, value.ndim)
        axis = self.axes[key]
        rows = np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)
        counts = self.counts.setdefault(key, ChannelCounts.empty(rows.shape[0]))
        if len(counts.mean) != rows.shape[0]:
            return  # an axis whose size follows the input is no channel axis
        producer = self.model.producers.get(key)
        counts.add(rows, value.shape[0], BOUNDS.get(producer.op) if producer is not None else None)

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
        with partial.open("wb") as file:
            np.savez(file, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)  # pyright: ignore[reportArgumentType]  # numpy's stub takes the names for options
        os.replace(partial, path)

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


_ARRAYS = ("mean", "m2", "minimum", "maximum", "zeros", "saturated", "not_finite", "histogram")
