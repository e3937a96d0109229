"""What does the user want to feed? Pictures, arrays, sound, tokens or random numbers, by input name."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector import dtypes
from inspector.errors import BadInput, UnknownName
from inspector.execution.feeds import complete_feeds, random_feeds
from inspector.execution.guessing import is_picture, picture_input, preprocess_of
from inspector.execution.picture_files import PICTURE_SUFFIXES, read_picture
from inspector.execution.preprocess import Preprocess
from inspector.execution.sound_files import read_sound
from inspector.model import Model, Value

__all__ = ["Inputs", "feeds_of", "read_inputs"]

Array = np.ndarray[Any, np.dtype[Any]]

_CUT = re.compile(r"(.+\.wav)\[(\d*):(\d*)\]", re.IGNORECASE)
_OTHER_SOUND = frozenset((".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma"))


@dataclass(frozen=True)
class Inputs:
    """What is fed, and how it came about.

    `pictures` holds the original (h, w, 3) of every picture input by name, `recipes` how it was prepared.
    """

    feeds: Mapping[str, Array]
    pictures: Mapping[str, npt.NDArray[np.uint8]]
    recipes: Mapping[str, Preprocess]
    notes: tuple[str, ...]

    @property
    def preprocess(self) -> Preprocess | None:
        """The recipe of the first picture."""
        return next(iter(self.recipes.values()), None)

    def describe(self) -> list[str]:
        """A line for each recipe and note."""
        lines = [f"{name}: {recipe.describe()}" for name, recipe in self.recipes.items()]
        return [*lines, *self.notes]


def read_inputs(
    model: Model,
    sources: str | Path | Iterable[str | Path] | Mapping[str, npt.ArrayLike] | npt.ArrayLike,
    *,
    preprocess: str | Preprocess | None = None,
    seed: int = 0,
    sizes: Mapping[str, int] | None = None,
) -> Inputs:
    """Inputs from files or words: `cat.png`, `name=cat.png`, `x.npy`, `all.npz`, `speech.wav`,
    `speech.wav[8000:8512]`, `ids=1,2,3`, `tokens.txt`, `random`, `name=random:7`.
    Arrays are taken as they are.

    A source without a name goes to the first input that it fits. Several pictures become a batch.

    Raises:
        BadInput: unreadable, or it does not fit; the message says what the model takes.
        UnknownName: a name that is no input.
    """
    given = _as_list(sources)
    if isinstance(given, dict):
        feeds, notes = complete_feeds(model, given.get("", given))
        return Inputs(feeds, {}, {}, notes)
    work = _Reading(model, preprocess, seed, sizes or {}, {}, {}, {}, [])
    if not given or given == ["random"]:
        filled: list[str] = []
        feeds = random_feeds(model, seed=seed, sizes=sizes, notes=filled)
        return Inputs(feeds, {}, {}, (f"Inputs are random numbers (seed {seed}).", *filled))
    for source in given:
        work.add(source)
    feeds, notes = complete_feeds(model, work.feeds)
    return Inputs(feeds, work.pictures, work.recipes, (*work.notes, *notes))


def feeds_of(model: Model, given: Any) -> Any:
    """What a capture is fed: `Inputs` and file names become arrays, anything else is left as it is."""
    if isinstance(given, Inputs):
        return given.feeds
    files = isinstance(given, (str, Path)) or (
        isinstance(given, (list, tuple)) and bool(given) and all(isinstance(s, (str, Path)) for s in given)
    )
    return read_inputs(model, given).feeds if files else given


def _as_list(sources: Any) -> list[str] | dict[str, Any]:
    if isinstance(sources, Mapping):
        return dict(sources)
    if isinstance(sources, (str, Path)):
        return [str(sources)]
    if isinstance(sources, (list, tuple)) and all(isinstance(s, (str, Path)) for s in sources):
        return [str(s) for s in sources]
    if sources is None:
        return []
    return {"": sources}


@dataclass
class _Reading:
    model: Model
    preprocess: str | Preprocess | None
    seed: int
    sizes: Mapping[str, int]
    feeds: dict[str, Array]
    pictures: dict[str, npt.NDArray[np.uint8]]
    recipes: dict[str, Preprocess]
    notes: list[str]

    def add(self, source: str) -> None:
        """Read one source into the feeds."""
        name, source = self._named(source)
        suffix = Path(source).suffix.lower()
        if not source:
            raise BadInput(f"an input {name} is empty. Give a file, numbers or random.".replace("  ", " "))
        if Path(source).is_dir():
            raise BadInput(f"input {source!r} is a folder: give one of its files.")
        if source == "random" or source.startswith("random:"):
            self._random(name, source)
        elif suffix == ".npz":
            self._archive(source)
        elif suffix == ".npy":
            self._put(self._target(name, lambda v: True, source), _load_array(source))
        elif cut := _CUT.fullmatch(source):
            self._sound(name, cut[1], slice(int(cut[2] or 0), int(cut[3]) if cut[3] else None))
        elif suffix == ".wav":
            self._sound(name, source, slice(None))
        elif suffix in _OTHER_SOUND:
            raise BadInput(f"input {source!r}: of sounds only .wav is read. Convert it to .wav.")
        elif suffix == ".txt" or re.fullmatch(r"[-+\d.eE,\s]+", source):
            self._numbers(name, source)
        elif suffix in PICTURE_SUFFIXES or Path(source).exists():
            self._picture(name, source)
        else:
            raise BadInput(
                f"input {source!r} is neither a file that exists nor `random` nor numbers. Known: pictures, "
                ".npy, .npz, .wav, .txt with numbers, name=path."
            )

    def _named(self, source: str) -> tuple[str, str]:
        names = [value.key for value in self.model.inputs]
        for name in sorted(names, key=len, reverse=True):
            if source.startswith(name + "="):
                return name, source[len(name) + 1 :]
        head, equals, rest = source.partition("=")
        if equals and rest and not Path(source).exists():
            raise UnknownName.among("input", head, names)
        return "", source

    def _target(self, name: str, fits: Any, source: str) -> Value:
        for value in self.model.inputs:
            if (value.key == name) if name else (value.key not in self.feeds and fits(value)):
                return value
        listed = ", ".join(f"{v.key} ({v})" for v in self.model.inputs) or "none"
        raise BadInput(f"{source}: no input is left that it fits. Inputs: {listed}.")

    def _put(self, value: Value, array: Array) -> None:
        if value.key in self.feeds:
            raise BadInput(f"input {value.key!r} was given twice.")
        self.feeds[value.key] = array

    def _random(self, name: str, source: str) -> None:
        given = source.partition(":")[2]
        if given and not given.isdecimal():
            raise BadInput(f"input {source!r}: the seed behind `random:` must be a whole number from 0.")
        seed = int(given) if given else self.seed
        left = (name,) if name else tuple(v.key for v in self.model.inputs if v.key not in self.feeds)
        self.feeds.update(random_feeds(self.model, seed=seed, sizes=self.sizes, only=left))
        self.notes.append(f"Input {', '.join(left)} is random numbers (seed {seed}).")

    def _archive(self, source: str) -> None:
        try:
            with zipfile.ZipFile(source), np.load(source, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as cause:
            raise BadInput(f"{source} cannot be read as arrays: {_short(cause)}.") from None
        names = [value.key for value in self.model.inputs]
        if not set(arrays) & set(names) and len(arrays) == len(names):
            self.notes.append(f"{Path(source).name}: its names are not the model's; taken in order.")
            arrays = dict(zip(names, arrays.values(), strict=True))
        self.feeds.update(arrays)

    def _picture(self, name: str, source: str) -> None:
        picture = read_picture(source)
        first = picture_input(self.model) if not name else self._target(name, is_picture, source)
        if not is_picture(first):
            raise BadInput(f"{source}: input {first.key!r} takes {first}, not a picture.")
        recipe = preprocess_of(self.model, self.preprocess, first)
        dtype = dtypes.numpy_of(dtypes.number_of(first.dtype))
        array = recipe.apply(picture, dtype)
        if first.key not in self.feeds:
            self.pictures[first.key] = picture
            self.recipes[first.key] = recipe
            self.feeds[first.key] = array
            return
        if "N" not in recipe.layout or self.feeds[first.key].shape[1:] != array.shape[1:]:
            raise BadInput(f"{source}: pictures of one batch must end up with one size.")
        self.feeds[first.key] = np.concatenate([self.feeds[first.key], array])

    def _sound(self, name: str, source: str, part: slice) -> None:
        whole, rate, lack = read_sound(source)
        samples = whole[part]
        if not len(samples):
            raise BadInput(f"{source} holds {len(whole):,} samples; none lie in the part asked for.")
        value = self._target(name, lambda v: v.dtype.startswith("float") and not is_picture(v), source)
        if is_picture(value):
            raise BadInput(f"{source}: input {value.key!r} takes {value}, a picture and no sound.")
        array, note = _shaped_sound(value, samples)
        self._put(value, array)
        self.notes.append(
            f"{Path(source).name}: {len(samples):,} samples at {rate:,} Hz{lack}, not resampled{note}."
        )
        for other in self.model.inputs:
            if re.fullmatch(r"sr|sample_?rate|sampling_?rate", other.key, re.IGNORECASE):
                dtype = dtypes.numpy_of(dtypes.number_of(other.dtype))
                self.feeds.setdefault(other.key, np.full((1,) * len(other.shape or ()), rate, dtype))

    def _numbers(self, name: str, source: str) -> None:
        text = source
        if source.endswith(".txt"):
            try:
                text = Path(source).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as cause:
                raise BadInput(f"{source} cannot be read: {cause}.") from None
        try:
            rows = [
                [float(n) for n in re.split(r"[,\s]+", line.strip())]
                for line in text.split("\n")
                if line.strip()
            ]
        except ValueError:
            raise BadInput(
                f"{source} holds words; give token numbers (`ids=101,2023,102`): a tokenizer is not part of "
                "the model file."
            ) from None
        if not rows or len({len(row) for row in rows}) != 1:
            raise BadInput(
                f"{source}: expected rows of numbers of one length, got {[len(r) for r in rows][:5]}."
            )
        value = self._target(name, lambda v: "int" in v.dtype or len(rows[0]) > 0, source)
        array = np.array(rows)
        rank = 2 if value.shape is None else len(value.shape)
        if rank < 2 and len(rows) == 1:
            array = array.reshape(-1) if rank else array.reshape(())
        while array.ndim < rank:
            array = array[None] if array.ndim < rank - 1 or value.shape is None else array[..., None]
        if is_picture(value) and not _fits(value, array):
            count = f"{len(rows):,} × {len(rows[0]):,}"
            raise BadInput(f"{source}: {count} numbers do not fit input {value.key!r}, which takes {value}.")
        self._put(value, array)


def _fits(value: Value, array: Array) -> bool:
    return all(not isinstance(d, int) or d == n for d, n in zip(value.shape or (), array.shape, strict=False))


def _load_array(source: str) -> Array:
    try:
        with open(source, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as cause:
        raise BadInput(f"{source} cannot be read as an array: {_short(cause)}.") from None


def _short(cause: Exception) -> str:
    """The reason without numbers of the system and names of Python's options."""
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    if "allow_pickle" in str(cause):
        return "it is no .npy file, or holds Python objects instead of plain numbers"
    return str(cause).strip().rstrip(".") or type(cause).__name__


def _shaped_sound(value: Value, samples: npt.NDArray[np.float32]) -> tuple[Array, str]:
    """The samples in the input's axes, cut or padded where its length is fixed."""
    shape = value.shape if value.shape is not None else (None, None)
    sizes = [d if isinstance(d, int) else None for d in shape]
    fixed = max((d for d in sizes if d is not None and d > 2), default=None)
    note = ""
    if fixed is not None and len(samples) != fixed:
        note = f"; {'cut' if len(samples) > fixed else 'padded'} to the {fixed:,} that the model takes"
        samples = np.pad(samples[:fixed], (0, max(0, fixed - len(samples))))
    axis = (
        sizes.index(fixed)
        if fixed is not None
        else max(0, len(sizes) - 1 - (len(sizes) == 3 and sizes[2] == 1))
    )
    full = [1] * len(sizes)
    if full:
        full[axis] = len(samples)
    return samples.reshape(full), note
