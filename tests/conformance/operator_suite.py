"""What does the onnx package demand of an operator? Its 2,033 backend cases, and how a result is judged."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
from onnx import ModelProto, TypeProto, numpy_helper

from inspector.autograd import narrow, to_torch
from inspector.errors import InspectorError

DATA = Path(onnx.backend.test.__file__).parent / "data"
RTOL, ATOL = 1e-3, 1e-5
LOOSER = {"float16": (1e-3, 1e-3), "bfloat16": (1e-2, 1e-3)}
"""Types whose last digit is larger than the tolerance for float32."""


@dataclass(frozen=True)
class Case:
    """One model with data sets of (inputs, expected outputs), all numpy arrays, lists or None."""

    name: str
    group: str
    load: Callable[[], ModelProto]
    data: Callable[[], list[tuple[list[Any], list[Any]]]]


@functools.cache
def node_cases() -> tuple[Case, ...]:
    """The cases that the package generates in memory, one or more for each operator."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = collect_testcases(None)  # pyright: ignore[reportArgumentType]
    return tuple(_node_case(case) for case in found)


def _node_case(case: Any) -> Case:
    def data() -> list[tuple[list[Any], list[Any]]]:
        return [
            ([_plain(v) for v in inputs], [_plain(v) for v in outputs]) for inputs, outputs in case.data_sets
        ]

    return Case(case.name, "node", lambda: case.model, data)


def _plain(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if value is None else np.asarray(value)


@functools.cache
def stored_cases() -> tuple[Case, ...]:
    """The cases that lie in the package as files."""
    cases = [
        Case(
            folder.name,
            group,
            functools.partial(onnx.load, folder / "model.onnx"),
            functools.partial(_sets, folder),
        )
        for group in ("pytorch-converted", "pytorch-operator", "simple")
        for folder in sorted((DATA / group).iterdir())
        if folder.is_dir()
    ]
    for path in sorted((DATA / "light").glob("*.onnx")):
        cases.append(
            Case(path.stem, "light", functools.partial(onnx.load, path), functools.partial(_light, path))
        )
    return tuple(cases)


def _sets(folder: Path) -> list[tuple[list[Any], list[Any]]]:
    graph = onnx.load(folder / "model.onnx").graph
    return [
        (
            [
                _read(item / f"input_{i}.pb", v.type)
                for i, v in enumerate(graph.input)
                if (item / f"input_{i}.pb").exists()
            ],
            [_read(item / f"output_{i}.pb", v.type) for i, v in enumerate(graph.output)],
        )
        for item in sorted(folder.glob("test_data_set_*"))
    ]


def _read(path: Path, kind: TypeProto) -> Any:
    content = path.read_bytes()
    if kind.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    if kind.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))
    return numpy_helper.to_array(onnx.TensorProto.FromString(content))


def _light(path: Path) -> list[tuple[list[Any], list[Any]]]:
    graph = onnx.load(path).graph
    held = {tensor.name for tensor in graph.initializer}
    (data,) = [value for value in graph.input if value.name not in held]
    shape = [d.dim_value or 1 for d in data.type.tensor_type.shape.dim]
    ramp = (np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)).astype(np.float32)
    expected = [
        numpy_helper.to_array(
            onnx.TensorProto.FromString(path.with_name(f"{path.stem}_output_{i}.pb").read_bytes())
        )
        for i in range(len(graph.output))
    ]
    return [([ramp], expected)]


def to_input(value: Any) -> Any:
    """A numpy array (or list, or None) as the engine takes it."""
    if isinstance(value, list):
        return [to_input(item) for item in value]
    return None if value is None else narrow.to_value(value)


def to_output(value: Any) -> Any:
    """A result of the engine as numpy."""
    if isinstance(value, list):
        return [to_output(item) for item in value]
    return None if value is None else narrow.to_array(value)


def judge(got: Any, expected: Any, *, shape_only: bool = False) -> str:
    """The empty string if a result is right, else what is wrong with it."""
    if expected is None or got is None:
        return (
            "" if expected is got is None else f"got {type(got).__name__}, expected {type(expected).__name__}"
        )
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return f"expected a sequence of {len(expected)}"
        return "; ".join(filter(None, (judge(g, e) for g, e in zip(got, expected, strict=True))))
    if got.shape != expected.shape:
        return f"shape {list(got.shape)}, expected {list(expected.shape)}"
    if expected.dtype.kind in "OUS":
        same = got.dtype.kind in "OUS" and got.astype(object).tolist() == _texts(expected)
        return "" if same else f"strings differ: {got.reshape(-1)[:3]} for {expected.reshape(-1)[:3]}"
    if got.dtype != expected.dtype:
        return f"dtype {got.dtype}, expected {expected.dtype}"
    if shape_only:
        return ""
    return _numbers(got, expected)


def _texts(array: Any) -> Any:
    return (
        np.vectorize(lambda s: s.decode() if isinstance(s, bytes) else str(s), otypes=[object])(
            array
        ).tolist()
        if array.size
        else array.tolist()
    )


def _numbers(got: Any, expected: Any) -> str:
    name = expected.dtype.name
    if expected.dtype.kind in "iub" or name.startswith(("int", "uint")):
        return "" if np.array_equal(got, expected) else f"{int(np.sum(got != expected))} elements differ"
    rtol, atol = (0.0, 1e-3) if name.startswith("float8") else LOOSER.get(name, (RTOL, ATOL))
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    a, b = got.astype(wide), expected.astype(wide)
    if np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True):
        return ""
    with np.errstate(invalid="ignore"):
        return f"max |difference| {np.nanmax(np.abs(a - b)):.3g}"


def outcome(
    case: Case,
    change: Callable[[Any], Any] = lambda value: value,
    *,
    shape_only: bool = False,
    fixed: bool = False,
    bodies: bool = False,
) -> str:
    """The empty string if the engine passes the case, else the kind of failure and its message.

    `change` disturbs every output (the self-check); `fixed` makes every input but the first an initializer;
    `bodies` prefers ONNX function bodies to our own functions.
    """
    try:
        model = case.load()
        for inputs, expected in case.data():
            feeds, ready = frozen(model, inputs) if fixed else (inputs, model)
            got = to_torch(ready, prefer_bodies=bodies)(*[to_input(value) for value in feeds])
            for one, wanted in zip(got, expected, strict=True):
                if problem := judge(change(to_output(one)), wanted, shape_only=shape_only):
                    return f"wrong: {problem}"
    except InspectorError as error:
        return f"{type(error).__name__}: {error}"
    except (
        RuntimeError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        AssertionError,
    ) as error:
        return f"crash: {type(error).__name__}: {error}"
    return ""


def frozen(model: ModelProto, inputs: list[Any]) -> tuple[list[Any], ModelProto]:
    """The model with every tensor input but the first as an initializer, and the inputs that are left."""
    changed = ModelProto()
    changed.CopyFrom(model)
    kept: list[Any] = []
    for position, (value, info) in enumerate(zip(inputs, model.graph.input, strict=False)):
        tensor = isinstance(value, np.ndarray) and info.type.HasField("tensor_type")
        if position == 0 or not tensor:
            kept.append(value)
            continue
        changed.graph.initializer.append(numpy_helper.from_array(_storable(value), info.name))
        changed.graph.input.remove(info)
    return kept, changed


def _storable(value: Any) -> Any:
    return value.astype(object) if value.dtype.kind in "US" else value


def family(case: Case) -> str:
    """The operator of a node case, else its group."""
    if case.group != "node":
        return case.group
    return case.load().graph.node[0].op_type
