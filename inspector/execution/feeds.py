"""Do these arrays fit the model's inputs, and what fills the ones that are left out?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from inspector import dtypes
from inspector.errors import BadInput, UnknownName
from inspector.model import Model, Value

__all__ = ["complete_feeds", "fill_missing", "random_feeds"]

Array = np.ndarray[Any, np.dtype[Any]]
Feeds = dict[str, Array]

STATE = re.compile(
    r"(^|[_./])(h|c|hx|cx|h_?0|c_?0|[a-z]*state[a-z0-9]*|hidden|cell|memory|mem|cache|past.*)([_./0-9]|$)",
    re.I,
)
RATE = re.compile(r"(^|_)(sr|sample_?rate|sampling_?rate)$", re.I)
MASK = re.compile(r"(attention|padding|input)_?mask", re.I)
SEGMENT = re.compile(r"(token_?type|segment)_?ids?", re.I)
POSITION = re.compile(r"position_?ids?", re.I)

DEFAULT_SIZES = {"height": 224, "width": 224, "sequence": 16, "samples": 16000}
"""Sizes for axes that the model leaves open: pictures 224, token sequences 16, sound one second."""


def complete_feeds(
    model: Model, feeds: Mapping[str, npt.ArrayLike] | npt.ArrayLike
) -> tuple[Feeds, tuple[str, ...]]:
    """The feeds as arrays of the model's types, missing states and masks filled, and notes on what was done.

    A single array stands for the first input. Whole numbers and other widths are converted where no
    value changes; anything else that does not fit is refused.

    Raises:
        UnknownName: a name that is no input.
        BadInput: wrong element type, rank or size, or an input that cannot be guessed is missing.
    """
    if not isinstance(feeds, Mapping):
        if not model.inputs:
            raise BadInput(f"{model.name} has no inputs; nothing can be fed to it.")
        feeds = {model.inputs[0].key: feeds}
    known = {value.key: value for value in model.inputs}
    overridable = {info.name for info in model.proto.graph.input} - set(known)
    notes: list[str] = []
    found: Feeds = {}
    for name, given in feeds.items():
        if name in known:
            found[name] = _fitting(known[name], given, notes)
        elif name in overridable:
            found[name] = np.asarray(given)
        else:
            raise UnknownName.among("input", name, known)
    _agree(known, found)
    fill_missing(model, found, notes)
    return found, tuple(notes)


def _fitting(value: Value, given: npt.ArrayLike, notes: list[str]) -> Array:
    array = given if isinstance(given, np.ndarray) else np.asarray(given)
    if value.kind != "tensor":
        raise BadInput(f"input {value.key!r} is a {value.kind}, which cannot be fed from an array.")
    array = _typed(value, array)
    if value.shape is not None:
        wanted = "×".join(str(d) if d is not None else "?" for d in value.shape) or "scalar"
        got = "×".join(map(str, array.shape)) or "scalar"
        if array.ndim != len(value.shape):
            raise BadInput(
                f"input {value.key!r} takes {wanted} ({len(value.shape)} axes), "
                f"got {got} ({array.ndim} axes)." + _axis_hint(value.shape, array.shape)
            )
        for axis, (want, have) in enumerate(zip(value.shape, array.shape, strict=True)):
            if isinstance(want, int) and want != have:
                raise BadInput(
                    f"input {value.key!r} takes {wanted}, got {got}: axis {axis} must be {want}, not {have}."
                    + _layout_hint(value.shape, array.shape)
                )
            if have == 0 and want != 0:
                raise BadInput(f"input {value.key!r} takes {wanted}, got {got}: axis {axis} is empty.")
    _say_not_finite(value.key, array, notes)
    return array


def _typed(value: Value, array: Array) -> Array:
    want = dtypes.numpy_of(dtypes.number_of(value.dtype)) if value.dtype else array.dtype
    if array.dtype == want or value.dtype == "string":
        return array
    if array.dtype.kind in "OUSMmc" or want.kind in "OUS":
        raise BadInput(f"input {value.key!r} takes {value.dtype}, got {array.dtype}. {_as_numbers(array)}")
    converted = array.astype(want)
    if not dtypes.is_floating(dtypes.number_of(value.dtype)):
        lossless = bool(np.array_equal(converted.astype(array.dtype), array))
    else:
        lossless = True  # a narrower float rounds, which is what the model asks for
    if not lossless:
        raise BadInput(
            f"input {value.key!r} takes {value.dtype}; the {array.dtype} array holds values that would "
            "change. Round or rescale it first."
        )
    return converted


def _as_numbers(array: Array) -> str:
    """What to do with an array that holds something else."""
    if array.dtype.kind == "c":
        return "Give magnitudes or another real array: abs(array), array.real, or both on an axis."
    if array.dtype.kind in "OUS":
        return "Texts must be turned into numbers first, as the model was trained to read them."
    return "Give an array of numbers."


def _axis_hint(want: tuple[object, ...], have: tuple[int, ...]) -> str:
    if len(have) + 1 != len(want):
        return ""
    if len(have) == 3 and have[2] in (1, 3, 4) and want[1] == have[2] != have[0]:
        return (
            " It looks like a picture (height, width, channels): save it as .png, so that it is prepared as "
            "the model wants, or transpose(2, 0, 1)[None]."
        )
    return " Add an axis for the batch: array[None]."


def _layout_hint(want: tuple[object, ...], have: tuple[int, ...]) -> str:
    if len(want) == 4 and want[1] == have[3] and have[1] != want[1]:
        return " It looks like NHWC; the model takes NCHW: transpose(0, 3, 1, 2)."
    if len(want) == 4 and want[3] == have[1] and have[3] != want[3]:
        return " It looks like NCHW; the model takes NHWC: transpose(0, 2, 3, 1)."
    return " Give as many inputs as that." * (want[1:] == have[1:] and have[0] == 1)


def _say_not_finite(key: str, array: Array, notes: list[str]) -> None:
    if array.dtype.kind not in "f" and array.dtype != np.dtype(ml_dtypes.bfloat16):
        return
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        notes.append(
            f"Input {key!r} holds {bad:,} value{'s' * (bad > 1)} that {'are' if bad > 1 else 'is'} "
            "NaN or infinite; results that depend on them mean nothing."
        )


def _agree(known: Mapping[str, Value], feeds: Feeds) -> None:
    """Refuse two sizes for one named dimension."""
    seen: dict[str, tuple[int, str]] = {}
    for name, array in feeds.items():
        shape = known[name].shape if name in known else None
        for dim, size in zip(shape or (), array.shape, strict=False):
            if not isinstance(dim, str):
                continue
            first = seen.setdefault(dim, (size, name))
            if first[0] != size:
                raise BadInput(
                    f"dimension {dim!r} is {first[0]} in input {first[1]!r} and {size} in input {name!r}."
                )


def fill_missing(model: Model, feeds: Feeds, notes: list[str]) -> None:
    """Add what has a natural default: states 0, masks 1, positions 0, 1, 2, …, the sample rate 16,000.

    Raises:
        BadInput: an input is left that has none.
    """
    missing = [value for value in model.inputs if value.key not in feeds]
    sizes = _sizes(model, feeds)
    batch = next((array.shape[0] for array in feeds.values() if array.ndim), 1)
    for value in missing:
        made = _default(value, sizes, batch) if feeds or len(missing) < len(model.inputs) else None
        if made is None:
            listed = ", ".join(f"{v.key} ({v})" for v in missing)
            raise BadInput(
                f"{model.name} needs {len(model.inputs)} inputs; missing: {listed}. "
                "Give each as name=path, or random."
            )
        feeds[value.key], what = made
        notes.append(f"Input {value.key!r} was not given; {what}.")


def _default(value: Value, sizes: Mapping[str, int], batch: int) -> tuple[Array, str] | None:
    if value.kind != "tensor" or not value.dtype or value.dtype == "string":
        return None
    dtype = dtypes.numpy_of(dtypes.number_of(value.dtype))
    if RATE.search(value.key) and value.shape is not None and len(value.shape) <= 1:
        shape = tuple(1 for _ in value.shape)
        return np.full(shape, 16000, dtype), "16,000 samples a second were assumed"
    if value.shape is None:
        return None
    open_size = next(iter(sizes.values()), 1) if MASK.search(value.key) else 1
    shape = tuple(
        d
        if isinstance(d, int)
        else sizes.get(d or "", batch if axis == 0 or STATE.search(value.key) else open_size)
        for axis, d in enumerate(value.shape)
    )
    if MASK.search(value.key):
        return np.ones(shape, dtype), "ones were used (everything attended to)"
    if SEGMENT.search(value.key):
        return np.zeros(shape, dtype), "zeros were used (one segment)"
    if POSITION.search(value.key):
        return np.broadcast_to(np.arange(shape[-1], dtype=dtype), shape).copy(), "0, 1, 2, … was used"
    if STATE.search(value.key):
        return np.zeros(shape, dtype), "zeros were used (the state before the first step)"
    return None


def _sizes(model: Model, feeds: Feeds) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in model.inputs:
        if value.key in feeds and value.shape is not None:
            for dim, size in zip(value.shape, feeds[value.key].shape, strict=False):
                if isinstance(dim, str):
                    found[dim] = size
    return found


def random_feeds(
    model: Model,
    *,
    seed: int = 0,
    batch: int = 1,
    sizes: Mapping[str, int] | None = None,
    only: tuple[str, ...] | None = None,
    notes: list[str] | None = None,
) -> Feeds:
    """Seeded arrays for every input, or `only` some: normal floats, whole numbers 0 … 9, true and false.

    Sizes that the model leaves open come from `sizes` (by dimension name), else 224 for picture axes, 16
    for tokens, 16,000 for sound, `batch` for the first axis. What is not random is told in `notes`.
    """
    rng = np.random.default_rng(seed)
    found: Feeds = {}
    for value in model.inputs:
        if only is not None and value.key not in only:
            continue
        if value.kind != "tensor" or not value.dtype:
            raise BadInput(f"input {value.key!r} is a {value.kind}; feed it yourself.")
        if only is None and _has_default(value):
            continue
        shape = _open_shape(value, batch, sizes or {})
        found[value.key] = _random(rng, shape, value.dtype)
    if only is None:
        fill_missing(model, found, [] if notes is None else notes)
    return found


def _has_default(value: Value) -> bool:
    return any(rule.search(value.key) for rule in (STATE, RATE, MASK, SEGMENT, POSITION))


def _open_shape(value: Value, batch: int, sizes: Mapping[str, int]) -> tuple[int, ...]:
    if value.shape is None:
        raise BadInput(f"input {value.key!r} has no known rank; feed an array of the right shape.")
    names = list(value.shape)
    picture = len(names) == 4
    channels_first = picture and isinstance(names[1], int) and names[1] in (1, 3, 4)
    spatial = (2, 3) if channels_first else (1, 2)
    shape: list[int] = []
    for axis, dim in enumerate(names):
        if isinstance(dim, int):
            shape.append(dim)
        elif isinstance(dim, str) and dim in sizes:
            shape.append(sizes[dim])
        elif axis == 0 and len(names) > 1:
            shape.append(batch)
        elif picture and axis in spatial:
            shape.append(DEFAULT_SIZES["height"])
        elif "int" in value.dtype:
            shape.append(DEFAULT_SIZES["sequence"])
        elif len(names) in (1, 2):
            shape.append(512 if re.search("audio|wave|input", value.key, re.I) else DEFAULT_SIZES["sequence"])
        else:
            shape.append(DEFAULT_SIZES["sequence"])
    return tuple(shape)


def _random(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    if dtype == "string":
        return np.full(shape, "", dtype=object)
    kind = dtypes.numpy_of(dtypes.number_of(dtype))
    if kind == np.dtype(np.bool_):
        return rng.integers(0, 2, shape).astype(np.bool_)
    if kind == np.dtype(np.uint8):
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if "int" in dtype:
        return rng.integers(0, 2 if kind.itemsize == 1 else 10, shape).astype(kind)
    return rng.standard_normal(shape).astype(kind)
