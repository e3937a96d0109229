"""Does every ONNX element type survive the way into torch and back, and every cast between them?"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from inspector.autograd import narrow, to_torch
from inspector.autograd.narrow import Narrow
from inspector.autograd.ops.casts import convert

Array = np.ndarray[Any, Any]
EVERY = sorted({*narrow.TORCH_TYPES, *narrow.NARROW_TYPES})
CASTABLE = [kind for kind in EVERY if kind not in (TensorProto.COMPLEX64, TensorProto.COMPLEX128)]
NAMES = {kind: TensorProto.DataType.Name(kind) for kind in EVERY}


def dtype_of(kind: int) -> np.dtype[Any]:
    return helper.tensor_dtype_to_np_dtype(kind)


def every_code(kind: int) -> Array:
    """All values of a type of at most 8 bits; a spread of them for wider ones."""
    dtype = dtype_of(kind)
    if kind == TensorProto.BOOL:
        return np.array([[True, False]])
    if kind in narrow.INTEGER_RANGES:
        low, high = narrow.INTEGER_RANGES[kind]
        numbers = (
            range(low, high + 1)
            if high - low < 256
            else [low, low + 1, -1 if low else 1, 0, 2, high - 1, high]
        )
        return np.array(list(numbers), dtype=np.int64 if low else np.uint64).astype(dtype).reshape(1, -1)
    if dtype.itemsize == 1:
        bits = ml_dtypes.finfo(dtype).bits
        return np.arange(1 << bits, dtype=np.uint8).view(dtype).reshape(2, -1)
    return np.array([[0.0, -0.0, 1.5, -2.25], [np.inf, -np.inf, np.nan, 100.0]]).astype(dtype)


def bits(array: Array) -> bytes:
    return array.tobytes()


@pytest.mark.parametrize("kind", EVERY, ids=NAMES.get)
def test_every_type_comes_back_bit_for_bit(kind: int) -> None:
    array = every_code(kind)
    value = narrow.to_value(array)
    back = narrow.to_array(value)
    assert narrow.element_type(value) == kind
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert bits(back) == bits(array)


def test_strings_come_back() -> None:
    array = np.array([["ä", ""], ["b", "日本"]], dtype=object)
    assert (narrow.to_array(narrow.to_value(array)) == array).all()


@pytest.mark.parametrize("kind", sorted(narrow.NARROW_TYPES), ids=NAMES.get)
def test_widening_gives_the_real_values(kind: int) -> None:
    array = every_code(kind)
    value = narrow.to_value(array)
    assert isinstance(value, Narrow)
    np.testing.assert_array_equal(narrow.widen(value).double().numpy(), array.astype(np.float64))


def test_moving_keeps_the_type() -> None:
    value = narrow.to_value(np.arange(-8, 8).astype(ml_dtypes.int4).reshape(4, 4))
    assert isinstance(value, Narrow)
    moved = narrow.carried(lambda tensor: tensor.T, value)
    assert isinstance(moved, Narrow)
    assert moved.element_type == TensorProto.INT4
    assert narrow.to_array(moved)[0, 1] == -4


def numbers_for(source: int, target: int) -> Array:
    """Values of the source type that fit the target, where ONNX defines the cast."""
    array = every_code(source).ravel()
    wide = array.astype(np.float64)
    keep = np.ones(wide.shape, dtype=bool)
    if target in narrow.INTEGER_RANGES and source not in narrow.INTEGER_RANGES:
        low, high = narrow.INTEGER_RANGES[target]
        keep = np.isfinite(wide) & (wide >= low) & (wide <= min(high, 2**53))
    if target == TensorProto.FLOAT8E8M0:
        keep = (wide >= 2.0**-126) & np.isfinite(wide)  # onnx rounds the one smaller power up
    if target in NO_NAN:
        keep = ~np.isnan(wide)
    return array[keep]


NO_NAN = {TensorProto.FLOAT4E2M1, *(k for k, n in NAMES.items() if n.startswith("FLOAT6"))}


@pytest.mark.parametrize("target", CASTABLE, ids=NAMES.get)
@pytest.mark.parametrize("source", CASTABLE, ids=NAMES.get)
def test_cast_equals_the_reference(source: int, target: int) -> None:
    array = numbers_for(source, target)
    if not array.size:
        pytest.skip("no value of the source fits the target")
    node = helper.make_node("Cast", ["x"], ["y"], to=target)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", source, array.shape)],
        [helper.make_tensor_value_info("y", target, array.shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)])
    expected = by_numpy(array, target)
    found = narrow.to_array(to_torch(model)(narrow.to_value(array))[0])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.astype(np.float64), expected.astype(np.float64))


def by_numpy(array: Array, target: int) -> Array:
    """The cast by numpy and onnx's own rounding, over a type that both sides can be cast to."""
    whole = array.dtype.kind in "iub" or array.dtype in NARROW_INTEGERS
    wide = (
        array.astype(np.int64 if whole and array.dtype != np.uint64 else np.float64)
        if exotic(array)
        else array
    )
    with np.errstate(all="ignore"):
        if target == TensorProto.FLOAT8E8M0:
            return numpy_helper.to_float8e8m0(wide.astype(np.float32))
        if NAMES[target].startswith("FLOAT8"):
            return numpy_helper.saturate_cast(wide.astype(np.float32), dtype_of(target))
        return wide.astype(dtype_of(target))


NARROW_INTEGERS = [
    np.dtype(kind) for kind in (ml_dtypes.int2, ml_dtypes.uint2, ml_dtypes.int4, ml_dtypes.uint4)
]


def exotic(array: Array) -> bool:
    """Whether the type is ml_dtypes' own: numpy cannot cast between all pairs of those."""
    return array.dtype.kind == "V" or array.dtype.itemsize == 1 or array.dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize("name", ["FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"])
def test_float8_saturates_as_the_table_of_the_standard_says(name: str, saturate: bool) -> None:
    kind = TensorProto.DataType.Value(name)
    largest = float(ml_dtypes.finfo(dtype_of(kind)).max)
    x = torch.tensor([torch.inf, -torch.inf, 1e6, -1e6, torch.nan, 0.0, -0.0])
    found = narrow.to_array(convert(x, kind, saturate=saturate)).astype(np.float32)
    lost = np.inf if name == "FLOAT8E5M2" else np.nan
    over = [largest, -largest] * 2 if saturate else [lost, -lost] * 2
    np.testing.assert_array_equal(found, [*over, np.nan, 0.0, -0.0])
    assert np.signbit(found[-1]) == (not name.endswith("UZ"))


def test_powers_of_two_round_as_asked() -> None:
    x = torch.tensor([1.0, 1.2, 1.5, 1.9, 3.0, 2.0**-127, 1e39, torch.inf, torch.nan, 0.0])
    rounded = {
        mode: narrow.widen(convert(x, TensorProto.FLOAT8E8M0, round_mode=mode)).tolist()  # pyright: ignore
        for mode in ("up", "down", "nearest")
    }
    top = 2.0**127
    assert rounded["up"][:8] == [1, 2, 2, 2, 4, 2.0**-127, top, top]
    assert rounded["down"][:8] == [1, 1, 1, 1, 2, 2.0**-127, top, top]
    assert rounded["nearest"][:8] == [1, 1, 2, 2, 4, 2.0**-127, top, top]
    assert np.isnan(rounded["up"][8])
    lost = narrow.widen(convert(x[-3:], TensorProto.FLOAT8E8M0, saturate=False))  # pyright: ignore
    assert torch.isnan(lost).all()


@pytest.mark.parametrize("kind", CASTABLE, ids=NAMES.get)
def test_numbers_and_text(kind: int) -> None:
    array = np.array(["0", "1"], dtype=object)
    value = convert(array, kind)
    assert narrow.element_type(value) == kind
    back = convert(value, TensorProto.STRING)
    assert [float(item) if item not in ("True", "False") else item == "True" for item in back] == [
        2.0**-127 if kind == TensorProto.FLOAT8E8M0 else 0,
        1,
    ]


def test_special_numbers_in_text() -> None:
    found = convert(np.array(["+INF", "-inf", "NaN", "1e-5", "100.5"], dtype=object), TensorProto.FLOAT)
    np.testing.assert_array_equal(narrow.to_array(found), np.float32([np.inf, -np.inf, np.nan, 1e-5, 100.5]))
    whole = convert(np.array(["100.5", "-9007199254740993"], dtype=object), TensorProto.INT64)
    assert narrow.to_array(whole).tolist() == [100, -9007199254740993]


@pytest.mark.parametrize("kind", sorted(narrow.NARROW_TYPES), ids=NAMES.get)
def test_initializers_of_narrow_types_run(kind: int) -> None:
    array = every_code(kind)
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["w"], ["y"]),
            helper.make_node("Cast", ["w"], ["z"], to=TensorProto.FLOAT),
        ],
        "g",
        [],
        [
            helper.make_tensor_value_info("y", kind, array.shape),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, array.shape),
        ],
        [numpy_helper.from_array(array, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)])
    same, wide = to_torch(onnx.ModelProto.FromString(model.SerializeToString()))()
    assert bits(narrow.to_array(same)) == bits(array)
    np.testing.assert_array_equal(wide.numpy(), array.astype(np.float32))


@pytest.mark.parametrize(
    "kind",
    [k for k in EVERY if NAMES[k].startswith(("FLOAT4", "FLOAT6", "FLOAT8E4", "FLOAT8E5"))],
    ids=NAMES.get,
)
def test_every_half_is_rounded_as_the_reference_rounds_it(kind: int) -> None:
    """Halves hold every value of these types and every middle between two; also too large ones."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[~np.isnan(halves)]
    with np.errstate(all="ignore"):
        expected = halves.astype(dtype_of(kind)).view(np.uint8)
    for values in (halves, halves.astype(np.float64)):
        found = narrow.to_array(narrow.pack(torch.from_numpy(values), kind)).view(np.uint8)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["Div", "Mod", "Pow", "BitShift"])
def test_unsigned_integers_count_to_their_end(name: str) -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64):
        bits, last = np.iinfo(dtype).bits, np.iinfo(dtype).max
        ends = np.array([last, last, last, last - 1, 0], dtype), np.array([1, 2, last, last, last], dtype)
        a = np.append(rng.integers(0, last, 60, dtype, endpoint=True), ends[0])
        b = np.append(rng.integers(1, last, 60, dtype, endpoint=True), ends[1])
        b[::2] = b[::2] % 7 + 1
        if name in ("Pow", "BitShift"):
            b = b % bits
        reference = {"Div": np.floor_divide, "Mod": np.mod, "Pow": np.power, "BitShift": np.right_shift}[name]
        extra = {"direction": "RIGHT"} if name == "BitShift" else {}
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        shown = [helper.make_tensor_value_info(value, kind, [len(a)]) for value in "aby"]
        graph = helper.make_graph(
            [helper.make_node(name, ["a", "b"], ["y"], **extra)], "g", shown[:2], shown[2:]
        )
        net = to_torch(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
        np.testing.assert_array_equal(narrow.to_array(net(a, b)[0]), reference(a, b))
