"""How do raw scores become answers? Post-transforms and linear and support vector models (ai.onnx.ml)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inspector.autograd.narrow import Value
from inspector.autograd.ops.text import strings
from inspector.autograd.registry import operator

DOMAIN = "ai.onnx.ml"
Array = np.ndarray[Any, Any]


def labels_of(whole: list[int] | None, texts: list[str] | None) -> Array:
    """The class labels of a classifier: int64 or an object array of text."""
    return strings(list(texts), (len(texts),)) if texts else np.array(whole or [], dtype=np.int64)


def pick(labels: Array, places: Tensor) -> Value:
    """The label at each place."""
    if labels.dtype == object:
        return labels[places.cpu().numpy()]
    return torch.from_numpy(labels).to(places.device, non_blocking=True)[places]


def transformed(scores: Tensor, post: str) -> Tensor:
    """Scores (n, classes) after a named post-transform."""
    if post == "NONE":
        return scores
    if post == "LOGISTIC":
        return torch.sigmoid(scores)
    if post == "SOFTMAX":
        return torch.softmax(scores, 1)
    if post == "SOFTMAX_ZERO":
        shares = torch.softmax(scores.masked_fill(scores == 0, -math.inf), 1)
        return torch.where(scores == 0, torch.zeros_like(scores), shares)
    if post == "PROBIT":
        return math.sqrt(2) * torch.erfinv(2 * scores - 1)
    raise ValueError(f"post_transform {post!r} is none of NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT")


def _matrix(values: list[float], like: Tensor, *shape: int) -> Tensor:
    work = like.dtype if like.is_floating_point() else torch.float32
    return torch.tensor(values, dtype=work, device=like.device).reshape(*shape)


def _rows(x: Tensor) -> Tensor:
    rows = x if x.ndim > 1 else x.unsqueeze(0)
    return rows if rows.is_floating_point() else rows.float()


@operator("LinearRegressor", since=1, domain=DOMAIN)
def linear_regressor(
    x: Tensor, *, coefficients: list[float], intercepts: list[float] | None, post_transform: str, targets: int
) -> Tensor:
    rows = _rows(x)
    scores = rows @ _matrix(coefficients, rows, targets, -1).T
    scores = scores + _matrix(intercepts, rows, -1) if intercepts else scores
    return transformed(scores, post_transform)


@operator("LinearClassifier", since=1, domain=DOMAIN)
def linear_classifier(
    x: Tensor,
    *,
    classlabels_ints: list[int] | None,
    classlabels_strings: list[str] | None,
    coefficients: list[float],
    intercepts: list[float] | None,
    multi_class: int,
    post_transform: str,
) -> tuple[Value, Tensor]:
    labels = labels_of(classlabels_ints, classlabels_strings)
    rows = _rows(x)
    weights = _matrix(coefficients, rows, -1, rows.shape[1])
    scores = rows @ weights.T
    scores = scores + _matrix(intercepts, rows, -1) if intercepts else scores
    if scores.shape[1] == 1 and len(labels) == 2:
        share = torch.sigmoid(scores) if post_transform == "LOGISTIC" else scores
        return pick(labels, (scores[:, 0] > 0).long()), torch.cat([1 - share, share], 1)
    return pick(labels, scores.argmax(1)), transformed(scores, post_transform)


def _kernel(x: Tensor, vectors: Tensor, kind: str, params: list[float] | None) -> Tensor:
    """Kernel values (n, vectors); params are gamma, coef0, degree."""
    gamma, coef0, degree = params or (0.0, 0.0, 0.0)
    if kind == "RBF":
        return torch.exp(-gamma * (x.unsqueeze(1) - vectors).square().sum(-1))
    product = x @ vectors.T
    if kind == "LINEAR":
        return product
    if kind == "POLY":
        return (gamma * product + coef0) ** degree
    if kind == "SIGMOID":
        return torch.tanh(gamma * product + coef0)
    raise ValueError(f"kernel_type {kind!r} is none of LINEAR, POLY, RBF, SIGMOID")


@operator("SVMRegressor", since=1, domain=DOMAIN)
def svm_regressor(
    x: Tensor,
    *,
    coefficients: list[float],
    kernel_params: list[float] | None,
    kernel_type: str,
    n_supports: int,
    one_class: int,
    post_transform: str,
    rho: list[float],
    support_vectors: list[float] | None,
) -> Tensor:
    rows = _rows(x)
    if n_supports:
        vectors = _matrix(support_vectors or [], rows, n_supports, -1)
        weights = _matrix(coefficients, rows, -1)
        scores = _kernel(rows, vectors, kernel_type, kernel_params) @ weights + rho[0]
    else:
        scores = _kernel(rows, _matrix(coefficients, rows, 1, -1), kernel_type, kernel_params)[:, 0] + rho[0]
    if one_class:
        scores = torch.where(scores > 0, 1.0, -1.0).to(rows.dtype)
    return transformed(scores.unsqueeze(1), post_transform)


@operator("SVMClassifier", since=1, domain=DOMAIN)
def svm_classifier(
    x: Tensor,
    *,
    classlabels_ints: list[int] | None,
    classlabels_strings: list[str] | None,
    coefficients: list[float],
    kernel_params: list[float] | None,
    kernel_type: str,
    post_transform: str,
    prob_a: list[float] | None,
    prob_b: list[float] | None,
    rho: list[float],
    support_vectors: list[float] | None,
    vectors_per_class: list[int] | None,
) -> tuple[Value, Tensor]:
    labels = labels_of(classlabels_ints, classlabels_strings)
    rows = _rows(x)
    if prob_a or prob_b:
        raise ValueError(
            "prob_a/prob_b (coupled pairwise probabilities) are not supported; drop them for scores"
        )
    if not vectors_per_class:
        weights = _matrix(coefficients, rows, len(labels), -1)
        scores = _kernel(rows, weights, kernel_type, kernel_params) + rho[0]
        return pick(labels, scores.argmax(1)), transformed(scores, post_transform)
    pairs, votes = _pairwise(
        rows, coefficients, kernel_type, kernel_params, rho, support_vectors, vectors_per_class
    )
    best = votes.argmax(1)
    if len(labels) == 2 and pairs.shape[1] == 1:
        pairs = torch.cat([-pairs, pairs], 1)
    return pick(labels, best), transformed(pairs, post_transform)


def _pairwise(
    rows: Tensor,
    coefficients: list[float],
    kind: str,
    params: list[float] | None,
    rho: list[float],
    support_vectors: list[float] | None,
    per_class: list[int],
) -> tuple[Tensor, Tensor]:
    """One-against-one scores (n, pairs) and the votes they cast (n, classes)."""
    count, total = len(per_class), sum(per_class)
    vectors = _matrix(support_vectors or [], rows, total, -1)
    kernels = _kernel(rows, vectors, kind, params)
    weights = _matrix(coefficients, rows, count - 1, total)
    starts = np.cumsum([0, *per_class]).tolist()
    scores: list[Tensor] = []
    votes = torch.zeros(len(rows), count, dtype=torch.int64, device=rows.device)
    for i in range(count):
        for j in range(i + 1, count):
            first, second = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
            score = kernels[:, first] @ weights[j - 1, first] + kernels[:, second] @ weights[i, second]
            score = score + rho[len(scores)]
            scores.append(score)
            votes[:, i] += score > 0
            votes[:, j] += score <= 0
    return torch.stack(scores, 1), votes
