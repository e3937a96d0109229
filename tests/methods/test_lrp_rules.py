"""Does every rule of LRP replicate its paper's sum over all pairs of units, and what do biases keep?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graphs import graph_of, normal
from onnx import helper
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

import inspector
from inspector.methods import Attribution, attribute
from inspector.methods.rules.lrp import COMPOSITES

GAMMA, ALPHA, EPSILON = 0.25, 2.0, 1e-6
X = normal(0, 1, 2, 5, 5)
WEIGHTS = {
    "w1": normal(1, 3, 2, 3, 3) * 0.4,
    "b1": normal(2, 3) * 0.3,
    "w2": normal(3, 4, 3, 2, 2) * 0.4,
    "b2": normal(4, 4) * 0.3,
    "w3": normal(11, 3, 4) * 0.6,
    "b3": normal(6, 3) * 0.3,
}
TARGET = 1


def convolutional() -> inspector.Model:
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Flatten", ["r2"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], transB=1),
    ]
    return graph_of(nodes, WEIGHTS, ["n", 2, 5, 5])


def layers() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Matrix (outputs, inputs), bias and where units are connected, of every layer with weights."""
    w = {name: torch.from_numpy(value).double() for name, value in WEIGHTS.items()}

    def matrix(kernel: Tensor, size: tuple[int, int, int], **options: int) -> Tensor:
        basis = torch.eye(int(np.prod(size)), dtype=torch.float64).reshape(-1, *size)
        return F.conv2d(basis, kernel, **options).flatten(1).T

    first, second = {"stride": 2, "padding": 1}, {"stride": 2}
    return [
        (
            matrix(w["w1"], (2, 5, 5), **first),
            w["b1"].repeat_interleave(9),
            matrix(torch.ones_like(w["w1"]), (2, 5, 5), **first),
        ),
        (
            matrix(w["w2"], (3, 3, 3), **second),
            w["b2"],
            matrix(torch.ones_like(w["w2"]), (3, 3, 3), **second),
        ),
        (w["w3"], w["b3"], torch.ones_like(w["w3"])),
    ]


def ratio(part: float, whole: float) -> float:
    return part / (whole + (EPSILON if whole >= 0 else -EPSILON))


def terms(
    rule: str, x: Tensor, row: Tensor, linked: Tensor, bias: float
) -> list[tuple[float, list[float], float]]:
    """For one output: a factor, what each input puts in, and the sum of which that is a share."""
    products = [float(a * b) for a, b in zip(x, row, strict=True)]
    low, high = float(X.min()), float(X.max())
    positive, negative = [max(p, 0) for p in products], [min(p, 0) for p in products]
    match rule:
        case "epsilon":
            return [(1, products, sum(products) + bias)]
        case "gamma":
            up = sum(products) + bias >= 0
            favoured, clipped = (positive, max(bias, 0)) if up else (negative, min(bias, 0))
            put = [p + GAMMA * f for p, f in zip(products, favoured, strict=True)]
            return [(1, put, sum(put) + bias + GAMMA * clipped)]
        case "z-plus":
            return [(1, positive, sum(positive) + max(bias, 0))]
        case "alpha-beta":
            above, below = sum(positive) + max(bias, 0), sum(negative) + min(bias, 0)
            return [(ALPHA, positive, above), (1 - ALPHA, negative, below)]
        case "w-square":
            put = [float(w) ** 2 for w in row]
            return [(1, put, sum(put))]
        case "flat":
            put = [float(c) for c in linked]
            return [(1, put, sum(put))]
        case _:
            put = [
                p - low * max(float(w), 0) - high * min(float(w), 0)
                for p, w in zip(products, row, strict=True)
            ]
            return [(1, put, sum(put))]


def replicated(composite: str) -> np.ndarray:
    """Bach et al.'s R_j = sum over k of (share of j in k) R_k, one pair of units after the other."""
    found, x = layers(), torch.from_numpy(X).double().flatten()
    inputs = [x]
    for weight, bias, _ in found[:-1]:
        inputs.append((weight @ inputs[-1] + bias).clamp(min=0))
    score = float(found[-1][0][TARGET] @ inputs[-1] + found[-1][1][TARGET])
    relevance = [score if k == TARGET else 0.0 for k in range(3)]
    for (weight, bias, linked), rule, entered in reversed(
        list(zip(found, COMPOSITES[composite], inputs, strict=True))
    ):
        handed = [0.0] * len(entered)
        for k, part in enumerate(relevance):
            if not part:
                continue
            for factor, put, whole in terms(rule, entered, weight[k], linked[k], float(bias[k])):
                for j, number in enumerate(put):
                    handed[j] += factor * part * ratio(number, whole)
        relevance = handed
    return np.asarray(relevance).reshape(X.shape)


def relevance(model: inspector.Model, x: np.ndarray, **options: object) -> Attribution:
    return attribute(model, x, "lrp", TARGET, dtype="float64", **options)


@pytest.mark.parametrize("composite", sorted(COMPOSITES))
def test_rules_replicate_the_sums_over_pairs(composite: str) -> None:
    got = relevance(convolutional(), X, composite=composite, epsilon=EPSILON)
    wanted = replicated(composite)
    assert np.abs(wanted).max() > 1e-3
    assert np.abs(got.values - wanted).max() < 1e-10


@pytest.mark.parametrize("composite", ["epsilon", "gamma", "z-plus", "epsilon-gamma-box"])
def test_what_biases_keep_explains_the_residual(composite: str) -> None:
    got = relevance(convolutional(), X, composite=composite, epsilon=0.0)
    assert got.residual is not None
    assert got.residual > 1e-2
    missing = got.score - got.values.sum()
    assert abs(missing - sum(got.kept.values())) < 1e-10
    assert set(got.kept) == {"b1", "b2", "b3"}
    assert "biases keep" in " ".join(got.notes)
    assert got.to_dict()["kept"] == got.kept


def test_what_the_last_bias_keeps_is_its_share() -> None:
    """With the epsilon rule the last bias holds itself: R_b = b / z · z."""
    got = relevance(convolutional(), X, epsilon=0.0)
    assert got.kept["b3"] == pytest.approx(float(WEIGHTS["b3"][TARGET]), abs=1e-12)


def test_an_added_constant_keeps_its_share() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    weights = {"w": normal(1, 4, 6), "b": normal(2, 6), "v": normal(3, 6, 3)}
    x = normal(4, 1, 4)
    got = relevance(graph_of(nodes, weights, ["n", 4]), x, epsilon=0.0)
    hidden = x.astype(float) @ weights["w"] + weights["b"] > 0
    wanted = ((hidden * weights["b"]) @ weights["v"][:, TARGET].astype(float)).item()
    assert got.kept == {"b": pytest.approx(wanted, abs=1e-6)}
    assert abs(got.score - got.values.sum() - got.kept["b"]) < 1e-12


T, D = 4, 3
ATTENTION = {"wq": normal(1, D, D), "wk": normal(2, D, D), "wv": normal(3, D, D), "wy": normal(4, D, 2)}


def attending(norm: bool) -> inspector.Model:
    """Attention without biases, a normalisation on its values if asked, and the mean over tokens."""
    nodes = [
        helper.make_node("MatMul", ["x", "wq"], ["q"]),
        helper.make_node("MatMul", ["x", "wk"], ["k"]),
        helper.make_node("MatMul", ["x", "wv"], ["v0"]),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["s"]),
        helper.make_node("Softmax", ["s"], ["a"], axis=-1),
        helper.make_node("LayerNormalization", ["v0", "scale"], ["v"])
        if norm
        else helper.make_node("Identity", ["v0"], ["v"]),
        helper.make_node("MatMul", ["a", "v"], ["o"]),
        helper.make_node("MatMul", ["o", "wy"], ["z"]),
        helper.make_node("ReduceSum", ["z", "axis"], ["y"], keepdims=0),
    ]
    weights = ATTENTION | {"axis": np.array([1]), "scale": normal(5, D)}
    used = {name for node in nodes for name in node.input}
    return graph_of(nodes, {k: w for k, w in weights.items() if k in used}, ["n", T, D])


def by_attnlrp(x: np.ndarray, norm: bool, target: int) -> np.ndarray:
    """Achtibat et al., section 3.3: epsilon for linear layers, half of a product to each factor, the Taylor
    expansion of Softmax, and a normalisation passed unchanged; one number after the other."""
    wq, wk, wv, wy = (ATTENTION[name].astype(float) for name in ("wq", "wk", "wv", "wy"))
    q, k, v0 = x @ wq, x @ wk, x @ wv
    v = v0
    if norm:
        middle = v0 - v0.mean(1, keepdims=True)
        v = middle / np.sqrt((middle**2).mean(1, keepdims=True) + 1e-5) * normal(5, D).astype(float)
    s = q @ k.T
    a = np.exp(s - s.max(1, keepdims=True))
    a /= a.sum(1, keepdims=True)
    o = a @ v
    r_o = np.array([[o[i, p] * wy[p, target] for p in range(D)] for i in range(T)])
    r_a, r_v, r_q, r_k, r_x = (np.zeros(shape) for shape in ((T, T), (T, D), (T, D), (T, D), (T, D)))
    for i in range(T):
        for j in range(T):
            for p in range(D):
                half = a[i, j] * v[j, p] * r_o[i, p] / (2 * o[i, p])
                r_a[i, j] += half
                r_v[j, p] += half
    r_s = np.array([[s[i, j] * (r_a[i, j] - a[i, j] * r_a[i].sum()) for j in range(T)] for i in range(T)])
    for i in range(T):
        for j in range(T):
            for p in range(D):
                half = q[i, p] * k[j, p] * r_s[i, j] / (2 * s[i, j])
                r_q[i, p] += half
                r_k[j, p] += half
    for given, weight, output in ((r_q, wq, q), (r_k, wk, k), (r_v, wv, v0)):
        for i in range(T):
            for d in range(D):
                for p in range(D):
                    r_x[i, d] += x[i, d] * weight[d, p] * given[i, p] / output[i, p]
    return r_x


@pytest.mark.parametrize("norm", [False, True])
def test_attention_replicates_its_rules(norm: bool) -> None:
    x = normal(9, 1, T, D)
    got = relevance(attending(norm), x, epsilon=0.0)
    wanted = by_attnlrp(x[0].astype(float), norm, TARGET)
    assert np.abs(wanted).max() > 1e-2
    assert np.abs(got.values[0] - wanted).max() < 1e-10
