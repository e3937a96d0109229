"""Is debiased CKA 1 against itself, blind to rotation, and near 0 for unrelated layers?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from planted import faulty

from inspector.comparison.aligning import align
from inspector.comparison.cka import cka, compare_layers, draw_similarities, hsic
from inspector.comparison.probing import probes
from inspector.errors import BadInput
from inspector.model import open_model

RNG = np.random.default_rng(3)


def batches(count: int = 6, samples: int = 12, features: int = 40) -> list[np.ndarray]:
    return [RNG.standard_normal((samples, features)) for _ in range(count)]


def slow_hsic(k: np.ndarray, other: np.ndarray) -> float:
    """The U-statistic of HSIC straight from its definition: a mean over all ordered quadruples."""
    n = len(k)
    total = count = 0.0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q])
                        count += 1
    return total / count


def test_hsic_is_the_mean_over_quadruples() -> None:
    x, y = RNG.standard_normal((7, 3)), RNG.standard_normal((7, 5))
    k, other = x @ x.T, y @ y.T
    assert hsic(k, other) == pytest.approx(slow_hsic(k, other), rel=1e-10)


def test_equal_and_rotated_layers() -> None:
    turn = np.linalg.qr(RNG.standard_normal((40, 40)))[0]
    x = batches()
    same = cka([[b] for b in x], [[b, 3 * b @ turn + 1] for b in x])
    assert same == pytest.approx(np.ones((1, 2)), abs=1e-9)


def test_unrelated_layers_are_near_zero_although_features_outnumber_samples() -> None:
    x, y = batches(60, 12, 400), batches(60, 12, 400)
    assert abs(cka([[b] for b in x], [[b] for b in y])[0, 0]) < 0.05


def test_mismatched_samples_are_refused() -> None:
    x, y = batches(samples=12), batches(samples=11)
    with pytest.raises(BadInput, match="one number of samples"):
        cka([[b] for b in x], [[b] for b in y])
    with pytest.raises(BadInput, match="4 or more"):
        cka([[x[0][:3]]], [[x[0][:3]]])


def test_layers_of_a_model_against_itself(tmp_path: Path) -> None:
    onnx.save(faulty("clean"), tmp_path / "net.onnx")
    model = open_model(tmp_path / "net.onnx")
    alignment = align(model, model)
    found = compare_layers(alignment, probes(alignment, count=16))
    assert found.values.shape == (8, 8)
    assert np.diag(found.values) == pytest.approx(np.ones(8), abs=1e-6)
    assert found.values.min() < 0.9
    picture = draw_similarities(found, ("A", "B"))
    assert picture.data.startswith(b"\x89PNG")
