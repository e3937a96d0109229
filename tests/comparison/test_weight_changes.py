"""Is what became of a weight named rightly, and is nothing explained away?"""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

from inspector.comparison import by_change, difference, weight_change

RNG = np.random.default_rng(5)
KERNEL = RNG.standard_normal((24, 16, 3, 3)).astype(np.float32)
NOISY = KERNEL + 0.01 * RNG.standard_normal(KERNEL.shape).astype(np.float32)


def quantised(kernel: np.ndarray, axis: tuple[int, ...] | None) -> np.ndarray:
    step = np.abs(kernel).max(axis=axis, keepdims=True) / 127
    return (np.round(kernel / step) * step).astype(np.float32)


WIDE = RNG.standard_normal((4, 128, 3, 3)).astype(np.float32)
ROWS, COLUMNS = RNG.permutation(24), RNG.permutation(16)
SCALE = RNG.uniform(-2, 2, (24, 1, 1, 1)).astype(np.float32)
TINY = np.where(np.abs(KERNEL) < 0.01, np.float32(1e-8), KERNEL)
LIFTED = np.where(np.abs(KERNEL) < 0.01, np.float32(1e-7), KERNEL).astype(np.float16)


@pytest.mark.parametrize(
    ("a", "b", "state", "words"),
    [
        (KERNEL, KERNEL.copy(), "equal", ""),
        (KERNEL, KERNEL.transpose(2, 3, 1, 0), "layout", "axes 2, 3, 1, 0"),
        (KERNEL, KERNEL.swapaxes(2, 3), "layout", "height and width swapped"),
        (KERNEL, KERNEL.astype(np.float16), "rounded", "b is rounded to float16"),
        (TINY, LIFTED, "rounded", "b is rounded to float16"),
        (KERNEL.astype(ml_dtypes.bfloat16), KERNEL, "rounded", "a is rounded to bfloat16"),
        (KERNEL, quantised(KERNEL, None), "quantised", "one step"),
        (WIDE, quantised(WIDE, (1, 2, 3)), "quantised", "a step per output channel"),
        (KERNEL, KERNEL * SCALE, "scaled", "one factor per output channel"),
        (KERNEL, (KERNEL * SCALE).swapaxes(2, 3), "scaled", "height and width swapped"),
        (KERNEL, KERNEL[:, ::-1], "permuted", "RGB and BGR"),
        (KERNEL, KERNEL[ROWS][:, COLUMNS], "permuted", "output channels and"),
        (KERNEL, NOISY, "changed", ""),
        (KERNEL, RNG.standard_normal(KERNEL.shape).astype(np.float32), "changed", ""),
        (KERNEL, KERNEL[:12], "incomparable", "[12, 16, 3, 3]"),
    ],
)
def test_what_became_of_a_weight_is_named(a: np.ndarray, b: np.ndarray, state: str, words: str) -> None:
    found = weight_change(a, b)
    assert found.state == state
    assert words in found.detail


def test_one_changed_number_is_a_change() -> None:
    other = KERNEL.copy()
    other[3, 2, 1, 0] += 0.5
    found = weight_change(KERNEL, other)
    assert found.state == "changed"
    assert found.difference is not None
    assert found.difference.max_abs == pytest.approx(0.5, rel=1e-6)
    assert found.histogram is not None
    assert sum(found.histogram[0]) == KERNEL.size


def test_figures_are_those_of_double_precision() -> None:
    x, y = KERNEL.astype(np.float64).ravel(), NOISY.astype(np.float64).ravel()
    found = difference(KERNEL, NOISY)
    assert found.max_abs == pytest.approx(np.abs(x - y).max(), rel=1e-5)
    assert found.relative == pytest.approx(np.linalg.norm(x - y) / np.linalg.norm(x), rel=1e-5)
    assert found.cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y), rel=1e-6)
    assert found.snr == pytest.approx(10 * np.log10((x @ x) / ((x - y) @ (x - y))), rel=1e-5)


def test_what_is_not_finite_is_counted_apart() -> None:
    a, b = KERNEL.copy(), KERNEL.copy()
    a[0, 0, 0, 0] = b[0, 0, 0, 0] = np.nan
    assert difference(a, b).equal
    b[0, 0, 0, 1] = np.inf
    found = difference(a, b)
    assert (found.unlike, found.equal, math.isfinite(found.relative)) == (1, False, True)


def test_the_largest_change_comes_first() -> None:
    near, far = weight_change(KERNEL, NOISY), weight_change(KERNEL, -KERNEL + NOISY)
    same, odd = weight_change(KERNEL, KERNEL), weight_change(KERNEL, KERNEL[:2])
    assert by_change([same, near, odd, far]) == [odd, far, near, same]
