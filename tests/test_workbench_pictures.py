"""Which maps of a tensor does the page show? The first, the strongest, and bounded parts of large ones."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from inspector.errors import BadInput
from inspector.workbench import pictured, usual_order

RANDOM = np.random.default_rng(3)


def test_first_maps_are_counted_along_the_leading_axes() -> None:
    array = RANDOM.normal(size=(2, 3, 4, 5)).astype(np.float32)
    maps, numbers = pictured(array, 4)
    assert numbers == (0, 1, 2, 3)
    assert np.array_equal(maps, array.reshape(6, 4, 5)[:4])


def test_strongest_maps_come_first_of_all_of_them() -> None:
    array = RANDOM.normal(size=(1, 300, 3, 3))
    power = np.square(array[0]).mean((1, 2))
    maps, numbers = pictured(array, 5, array)
    assert numbers == tuple(np.argsort(-power)[:5])
    assert np.array_equal(maps, array[0][list(numbers)])


def test_maps_may_be_ranked_by_another_tensor() -> None:
    array, other = np.zeros((2, 2, 2)), np.array([[[0, 0], [0, 1]], [[0, 0], [0, -5]]])
    assert pictured(array, 2, other)[1] == (1, 0)


def test_maps_with_nan_are_ranked_last() -> None:
    array = np.array([[[np.nan, 9.0]] * 2, [[1.0, 1.0]] * 2])
    assert pictured(array, 2, array)[1] == (1, 0)


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.float16, np.complex64, ml_dtypes.bfloat16])
def test_every_type_of_number_is_ranked(kind: type) -> None:
    array = np.array([[[0, 0], [0, 0]], [[1, 1], [1, 1]]]).astype(kind)
    assert pictured(array, 1, array)[1] == (1,)


@pytest.mark.parametrize("shape", [(), (7,), (1, 7), (7, 1), (1, 7, 1), (1, 1, 1, 1)])
def test_vectors_and_scalars_are_one_row(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    maps, numbers = pictured(array, 64)
    assert (maps.shape, numbers) == ((1, 1, array.size), (0,))
    assert np.array_equal(maps.reshape(-1), array.reshape(-1))


def test_long_vectors_are_thinned_evenly() -> None:
    maps, _ = pictured(np.arange(43_844.0).reshape(1, -1, 1), 64)
    assert maps.shape[-1] <= 4096
    assert len(np.unique(np.diff(maps.reshape(-1)))) == 1


@pytest.mark.parametrize("shape", [(3, 0, 4), (0, 2, 2), (2, 3, 0)])
def test_empty_tensors_have_no_pixels(shape: tuple[int, ...]) -> None:
    maps, _ = pictured(np.zeros(shape, np.float32), 64)
    assert (maps.size, maps.ndim) == (0, 3)


def test_large_maps_are_fewer_and_cut() -> None:
    maps, numbers = pictured(np.zeros((64, 600, 700), np.int8), 64)
    assert maps.shape == (32, 512, 512)
    assert numbers == tuple(range(32))


def test_text_has_no_pictures() -> None:
    with pytest.raises(BadInput, match="no pictures"):
        pictured(np.array(["a"]), 1)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((1, 64, 5, 5), (0, 1, 2, 3)),
        ((1, 36, 1, 172), (0, 2, 1, 3)),
        ((16, 3, 1, 1), (2, 3, 0, 1)),
        ((1, 7, 1), (0, 1, 2)),
        ((), ()),
    ],
)
def test_axes_of_one_are_no_rows_or_columns(shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    assert usual_order(shape) == order
