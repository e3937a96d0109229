"""Is a derivative right? Autograd against differences in float64, on sampled elements of each input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from operator_suite import Case, to_input
from torch import Tensor

from inspector.autograd import Network, to_torch
from inspector.errors import InspectorError

SAMPLES = 4
STEP = 1e-6
RTOL, ATOL = 1e-3, 1e-5


@dataclass(frozen=True)
class Verdict:
    """`kind` is pass, kink, not finite, no float path, missing, wrong, nan or crash; `detail` says where."""

    kind: str
    detail: str = ""


def check(case: Case) -> Verdict:
    """Compare the gradients of a case's first data set."""
    inputs, _ = case.data()[0]
    values = [to_input(value) for value in inputs]
    real = [
        i for i, v in enumerate(values) if isinstance(v, Tensor) and v.dtype in (torch.float32, torch.float64)
    ]
    if not real:
        return Verdict("no float path", "no float input")
    try:
        net = to_torch(case.load()).double()
        for i in real:
            values[i] = values[i].double().requires_grad_()
        return _compared(net, values, real)
    except (InspectorError, RuntimeError, TypeError, ValueError) as error:
        return Verdict("crash", f"{type(error).__name__}: {error}")


def _floats(value: Any) -> list[Tensor]:
    if isinstance(value, list):
        return [t for item in value for t in _floats(item)]
    return [value] if isinstance(value, Tensor) and value.dtype == torch.float64 else []


def _score(net: Network, values: list[Any]) -> Tensor | None:
    """The outputs contracted with a fixed random vector; infinite and NaN elements are left out."""
    parts: list[Tensor] = []
    rng = torch.Generator().manual_seed(7)
    for output in (t for value in net(*values) for t in _floats(value)):
        weight = torch.rand(output.shape, generator=rng, dtype=torch.float64) + 0.5
        parts.append(torch.where(torch.isfinite(output), output, 0.0).mul(weight).sum())
    return torch.stack(parts).sum() if parts else None


def _compared(net: Network, values: list[Any], real: list[int]) -> Verdict:
    score = _score(net, values)
    if score is None:
        return Verdict("no float path", "no float output")
    if not all(bool(torch.isfinite(t).all()) for value in net(*values) for t in _floats(value)):
        return Verdict("not finite", "an output is infinite or NaN")
    gradients: tuple[Tensor | None, ...] = (None,) * len(real)
    if score.requires_grad:
        gradients = torch.autograd.grad(score, [values[i] for i in real], allow_unused=True)
    checked = kinks = 0
    for i, gradient in zip(real, gradients, strict=True):
        if gradient is not None and bool(torch.isnan(gradient).any()):
            return Verdict("nan", f"input {i}")
        for element in _sampled(values[i]):
            left, right = _slopes(net, values, i, element)
            noise = abs(float(score.detach())) * np.finfo(np.float64).eps * 8 / STEP
            steep = max(abs(left), abs(right))
            rough = not np.isfinite(steep) or abs(left - right) > RTOL * steep + ATOL
            if rough or noise > RTOL * steep + ATOL * 10:
                kinks += 1
                continue
            checked += 1
            numeric = (left + right) / 2
            if gradient is None:
                if abs(numeric) > ATOL:
                    return Verdict("missing", f"input {i}: slope {numeric:.4g}")
            elif abs(float(gradient.reshape(-1)[element]) - numeric) > RTOL * abs(numeric) + ATOL * 10:
                got = float(gradient.reshape(-1)[element])
                return Verdict("wrong", f"input {i}, element {element}: {got:.6g}, slope {numeric:.6g}")
    return Verdict(
        "pass" if checked else "kink", f"{checked} elements, {kinks} on a kink or drowned in round-off"
    )


def _sampled(value: Tensor) -> list[int]:
    count = min(SAMPLES, value.numel())
    return np.random.default_rng(3).choice(value.numel(), count, replace=False).tolist() if count else []


def _slopes(net: Network, values: list[Any], position: int, element: int) -> tuple[float, float]:
    """The one-sided difference quotients; where they disagree the point is a kink or a jump."""
    centre = float(values[position].detach().reshape(-1)[element])
    step = STEP * max(1.0, abs(centre))
    found: list[float] = []
    for x in (centre - step, centre, centre + step):
        moved = [v.detach() if isinstance(v, Tensor) else v for v in values]
        moved[position] = moved[position].clone()
        moved[position].view(-1)[element] = x
        with torch.no_grad():
            score = _score(net, moved)
        assert score is not None
        found.append(float(score))
    return (found[1] - found[0]) / step, (found[2] - found[1]) / step
