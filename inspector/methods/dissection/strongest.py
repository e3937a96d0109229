"""Which images, and which regions of them, excite each unit most? One streamed pass, exact top-k."""

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
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.execution import Preprocess
from inspector.execution.engines import run_each
from inspector.methods.dissection.layer_maps import LayerMaps, open_layers
from inspector.methods.dissection.ranking import Ranking
from inspector.methods.dissection.receptive import receptive_window
from inspector.methods.dissection.sources import count_pictures, listing, stream_pictures
from inspector.model import Model
from inspector.progress import track

__all__ = ["Hit", "TopImages", "top_images"]

SAVE_EVERY = 100
"""Images between two saves of the state, and the most of one task on a cluster."""

TASKS = 16
"""Tasks into which a small data set is cut on a cluster."""

RANKING = "Ranking images"

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Hit:
    """An image that excites a unit: its maximum, the place (row, column) in the layer's map, and the window
    (top, left, bottom, right) of the seen picture that this place depends on.
    """

    image: str
    value: float
    place: tuple[int, int]
    window: tuple[int, int, int, int] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"image": self.image, "value": self.value, "place": list(self.place),
                "window": list(self.window) if self.window else None}  # fmt: skip


@dataclass(frozen=True)
class TopImages:
    """Hits of every unit, strongest first; the images that could not be read, by name.

    `seen` holds, for the units that were asked to be shown, the picture as the model sees it and the
    unit's map (h, w), by (unit, rank).
    """

    layer: str
    hits: tuple[tuple[Hit, ...], ...]
    images: int
    skipped: Mapping[str, str]
    recipe: str
    notes: tuple[str, ...] = ()
    seen: Mapping[tuple[int, int], tuple[Pixels, npt.NDArray[np.float32]]] = field(
        default_factory=dict, repr=False
    )


def top_images(
    model: Model,
    data: str | Path,
    layer: str,
    *,
    k: int = 9,
    show: list[int] | int = 0,
    preprocess: str | Preprocess | None = None,
    state: Path | None = None,
    device: str = "cpu",
    engine: str = "embedded",
) -> TopImages:
    """Stream the data through the model once; memory does not grow with the number of images.

    `show` lists units, or is the number of strongest units, whose pictures are fetched in a second pass
    over their images alone. `state` is a file from which an interrupted run goes on, with whatever engine.
    `engine` is "embedded" or "ray[:address]"; both give the same bits.

    Raises:
        BadInput: no image, or none that could be read.
        UnknownName: the model has no such layer.
    """
    path = Path(data)
    layers = open_layers(model, [layer], preprocess, device)
    work = _Pass(layers, path, k)
    mark = hashlib.sha256(
        json.dumps([model.digest, layers.keys, k, layers.recipe.to_dict(), listing(path)]).encode()
    ).hexdigest()
    resumed = work.load(state, mark)
    saved = resumed
    for done in _passed(work, engine, gpu=device == "cuda"):
        if state is not None and done - saved >= SAVE_EVERY:
            work.save(state, mark)
            saved = done
    if work.ranking is None:
        first = next(iter(work.skipped.items()))
        raise BadInput(f"{data}: none of {work.done} images could be read; {first[0]}: {first[1]}")
    notes = (f"{resumed} images were ranked by an earlier run.",) if resumed else ()
    return work.finished(show, notes)


def _passed(work: _Pass, engine: str, *, gpu: bool) -> Iterator[int]:
    """Rank the images that are left, and give after some of them how many are done."""
    if engine == "embedded":
        for item in track(stream_pictures(work.data, only=_Later(work.done)), RANKING):
            work.add(item.name, item.picture, item.problem)
            yield work.done
        return
    count = count_pictures(work.data)
    size = max(1, min(SAVE_EVERY, -(-count // TASKS)))
    spans = [range(start, min(start + size, count)) for start in range(work.done, count, size)]
    rank = functools.partial(_rank_span, work.layers, work.data, work.k)
    for found in run_each(engine, rank, spans, RANKING, gpu=gpu):
        work.merge(found)
        yield work.done


def _rank_span(layers: LayerMaps, data: Path, k: int, numbers: range) -> _Pass:
    """The ranking of images that follow each other, numbered as in the whole."""
    work = _Pass(layers, data, k)
    for number, item in zip(numbers, stream_pictures(data, only=_Later(numbers.start)), strict=False):
        work.add(item.name, item.picture, item.problem, number)
    layers.forget()
    return work


class _Later:
    """Every name but the first `count` that are asked for."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __contains__(self, _: object) -> bool:
        self.left -= 1
        return self.left < 0


class _Pass:
    def __init__(self, layers: LayerMaps, data: Path, k: int) -> None:
        self.layers, self.data, self.k = layers, data, k
        self.key = layers.keys[0]
        self.ranking: Ranking | None = None
        self.names: dict[int, str] = {}
        self.shapes: dict[int, tuple[int, int]] = {}
        self.skipped: dict[str, str] = {}
        self.done = 0

    def merge(self, other: _Pass) -> None:
        """With the ranking of other images."""
        self.done += other.done
        self.skipped |= other.skipped
        self.names |= other.names
        self.shapes |= other.shapes
        if self.ranking is None or other.ranking is None:
            self.ranking = self.ranking or other.ranking
        else:
            self.ranking = self.ranking.merged(other.ranking)

    def add(self, name: str, picture: Pixels | None, problem: str, place: int | None = None) -> None:
        """One more image, or why it cannot be read."""
        number = self.done if place is None else place
        self.done += 1
        if picture is None:
            self.skipped[name] = problem
            return
        maps = self.layers.maps(picture)[self.key]
        if self.ranking is None:
            self.ranking = Ranking.empty(len(maps), self.k)
        after = self.ranking.with_image(number, maps.reshape(len(maps), -1))
        if after is not self.ranking:
            self.names[number], self.shapes[number] = name, (maps.shape[1], maps.shape[2])
            self.ranking = after
            if len(self.names) > 2 * self.ranking.images.size:
                self._forget()

    def _forget(self) -> None:
        assert self.ranking is not None
        kept = set(self.ranking.images.ravel().tolist())
        self.names = {n: v for n, v in self.names.items() if n in kept}
        self.shapes = {n: v for n, v in self.shapes.items() if n in kept}

    def finished(self, show: list[int] | int, notes: tuple[str, ...]) -> TopImages:
        ranking = self.ranking
        assert ranking is not None
        units = len(ranking.values)
        chosen = (
            np.argsort(-ranking.values[:, 0], kind="stable")[:show].tolist()
            if isinstance(show, int)
            else show
        )
        for unit in chosen:
            if not 0 <= unit < units:
                raise BadInput(f"unit {unit}: layer {self.key} has {units} units, 0 to {units - 1}.")
        seen, sizes = self._fetch(ranking, chosen)
        hits = tuple(
            tuple(
                self._hit(ranking, unit, rank, sizes)
                for rank in range(self.k)
                if ranking.images[unit, rank] >= 0
            )
            for unit in range(units)
        )
        return TopImages(
            self.key, hits, self.done - len(self.skipped), dict(sorted(self.skipped.items())),
            self.layers.recipe.describe(), notes, seen,
        )  # fmt: skip

    def _hit(
        self, ranking: Ranking, unit: int, rank: int, sizes: Mapping[int, dict[str, tuple[int, ...]]]
    ) -> Hit:
        number = int(ranking.images[unit, rank])
        width = self.shapes[number][1]
        row, column = divmod(int(ranking.places[unit, rank]), width)
        window = None
        shapes = sizes.get(number, {})
        if len(shapes.get(self.key, ())) == 4 and self.layers.recipe.layout == "NCHW":
            (top, bottom), (left, right) = receptive_window(
                self.layers.model, self.key, (row, column), self.layers.entry.key, shapes
            )
            window = (top, left, bottom, right)
        return Hit(self.names[number], float(ranking.values[unit, rank]), (row, column), window)

    def _fetch(
        self, ranking: Ranking, units: list[int]
    ) -> tuple[
        dict[tuple[int, int], tuple[Pixels, npt.NDArray[np.float32]]], dict[int, dict[str, tuple[int, ...]]]
    ]:
        """Pictures and maps of the shown units, and the shapes in the net for every ranked image."""
        wanted = {
            int(ranking.images[unit, rank])
            for unit in units
            for rank in range(self.k)
            if ranking.images[unit, rank] >= 0
        }
        numbers = {self.names[number]: number for number in wanted}
        seen: dict[tuple[int, int], tuple[Pixels, npt.NDArray[np.float32]]] = {}
        sizes: dict[int, dict[str, tuple[int, ...]]] = {}
        by_map: dict[tuple[int, int], dict[str, tuple[int, ...]]] = {}
        for item in stream_pictures(self.data, only=numbers) if numbers else ():
            if item.picture is None:
                continue
            number = numbers[item.name]
            maps = self.layers.maps(item.picture)[self.key]
            placed = self.layers.recipe.place(item.picture)[..., :3]
            if placed.shape[:2] not in by_map:
                by_map[placed.shape[:2]] = self.layers.shapes(item.picture)
            sizes[number] = by_map[placed.shape[:2]]
            for unit in units:
                for rank in np.flatnonzero(ranking.images[unit] == number).tolist():
                    seen[unit, rank] = (placed, maps[unit].astype(np.float32))
        if self.layers.recipe.size is not None and by_map:  # one size for all
            sizes = dict.fromkeys(self.names, next(iter(by_map.values())))
        return seen, sizes

    def save(self, path: Path, mark: str) -> None:
        """Write the state, whole or not at all."""
        if self.ranking is None:
            return
        self._forget()
        head = {
            "mark": mark, "done": self.done, "skipped": self.skipped,
            "names": {str(n): [name, *self.shapes[n]] for n, name in self.names.items()},
        }  # fmt: skip
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            np.savez(
                file, head=np.frombuffer(json.dumps(head).encode(), np.uint8), values=self.ranking.values,
                images=self.ranking.images, places=self.ranking.places,
            )  # fmt: skip
        os.replace(partial, path)

    def load(self, path: Path | None, mark: str) -> int:
        """Images already ranked by an earlier run of the same question."""
        if path is None or not path.exists():
            return 0
        try:
            with np.load(path, allow_pickle=False) as stored:
                head = json.loads(bytes(stored["head"]).decode())
                ranking = Ranking(stored["values"], stored["images"], stored["places"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as cause:
            raise BadInput(f"state {path} cannot be read: {cause}. Delete it to start anew.") from None
        if head["mark"] != mark:
            raise BadInput(f"state {path} is of another model, layer or data. Delete or rename it.")
        self.ranking, self.done, self.skipped = ranking, head["done"], head["skipped"]
        self.names = {int(n): facts[0] for n, facts in head["names"].items()}
        self.shapes = {int(n): (facts[1], facts[2]) for n, facts in head["names"].items()}
        return self.done
