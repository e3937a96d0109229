"""Which places does the score draw on, in the input and in every bias of the net? FullGrad."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from inspector.autograd.network import Network
from inspector.errors import BadInput
from inspector.methods.registry import Map, method
from inspector.methods.rules.multipliers import BILINEAR, LARGEST
from inspector.methods.rules.relevance import Call, recorded
from inspector.methods.subject import Subject
from inspector.methods.tail import differentiate

__all__ = ["full_grad"]

AFFINE = frozenset(
    {
        *("Conv", "ConvTranspose", "Gemm", "BatchNormalization", "Add", "Sub", "Sum"),
        *("LayerNormalization", "GroupNormalization", "InstanceNormalization"),
    }
)
"""Operators that may add numbers of their own; what they give for an input of zeros is their bias."""

STRAIGHT = BILINEAR | LARGEST | {"Relu", "LeakyRelu", "PRelu", "Abs", "Max", "Min", "Where", "Shape"}
"""Operators that full-gradients are complete for, products where one factor depends on the input."""
PRODUCTS = frozenset({"Mul", "MatMul", "Gemm", "Conv", "ConvTranspose"})


@method(
    "full-grad",
    family="cams",
    paper="arXiv:1905.00780",
    unit="sum of maps, each 0 to 1",
    needs=("gradient",),
    cost="1 forward, 1 backward to every bias",
)
def full_grad(subject: Subject, *, rescaled: bool = True) -> Map:
    """Magnitudes of input × gradient and of every bias × its gradient, laid over each other (eq. 6).

    `rescaled` brings each of these maps to 0 … 1 before they are summed, as the paper does. `residual` is
    the score minus the sum of all full-gradients (eq. 2): zero where all but biases is homogeneous, as
    rectifiers and pooling are; a note names the operators that are not.
    Biases without places (of a linear head) count in the residual only.

    Raises:
        BadInput: the input is no picture or signal with channels first.
    """
    if subject.is_embedding or subject.x.ndim not in (3, 4):
        raise BadInput(
            f"full-grad lays biases over the places of (n, c, h, w) or (n, c, t); {subject.entry!r} is "
            f"{list(subject.x.shape)}. Use integrated-gradients or deeplift, which are complete too."
        )
    maps, missed = zip(*(_of_row(subject.row(i), rescaled) for i in range(len(subject.x))), strict=True)
    axes, residual = ("n", "h", "w") if subject.x.ndim == 4 else ("n", "t"), torch.cat(missed)
    return Map(torch.cat(maps), axes, residual, notes=_on_curves(subject, residual))


def _on_curves(subject: Subject, residual: Tensor) -> tuple[str, ...]:
    """Which operators the residual comes from, where it is more than rounding."""
    if bool((residual.abs() <= 1e-4 * subject.own_score.abs()).all()):
        return ()
    calls = recorded(subject, subject.x).calls
    curved = {call.kind for call in calls if not _is_straight(call)}
    if not curved:
        return ()
    return (
        f"The residual is what {', '.join(sorted(curved))} add by curving or saturating: full-gradients "
        "count the input and biases alone. integrated-gradients and deeplift share that out too.",
    )


def _is_straight(call: Call) -> bool:
    if call.kind == "Div":
        return call.varying == (0,)
    return call.kind in STRAIGHT and not (call.kind in PRODUCTS and len(call.varying) > 1)


def _of_row(subject: Subject, rescaled: bool) -> tuple[Tensor, Tensor]:
    found: list[tuple[Tensor, Tensor]] = []
    x = subject.x.detach().requires_grad_()
    score, _ = subject.forward(x, overrides=_watching(subject.net, found))
    outputs = [output for output, _ in found]
    slopes = list[Tensor | None](
        torch.autograd.grad(score.sum(), outputs, allow_unused=True, retain_graph=True)
    )
    whole = differentiate(score, x, subject.entry) * subject.x
    size = subject.input_size()
    total, given = _spread(whole, size, rescaled), whole.flatten(1).sum(1)
    for (_, bias), slope in zip(found, slopes, strict=True):
        if slope is None:
            continue
        part = slope * bias
        given = given + part.reshape(1, -1).sum(1)
        if part.ndim == subject.x.ndim > 2:
            total = total + _spread(part, size, rescaled)
    return total.detach(), (score - given).detach()


def _spread(part: Tensor, size: tuple[int, ...], rescaled: bool) -> Tensor:
    """|part| (n, c, places) rescaled, upsampled and summed over channels: psi of the paper."""
    part = part.abs()
    if rescaled:
        part = part - part.amin()
        part = part / part.amax().clamp(min=torch.finfo(part.dtype).tiny)
    if part.ndim < 3:
        return part
    mode = "bilinear" if len(size) == 2 else "linear"
    return torch.nn.functional.interpolate(part, size, mode=mode, align_corners=False).sum(1)


def _watching(net: Network, found: list[tuple[Tensor, Tensor]]) -> Mapping[Any, Callable[..., Tensor]]:
    """Overrides that note the output and the bias of every affine step that depends on the input."""

    def watch(*inputs: Any, original: Callable[..., Any]) -> Any:
        made = original(*inputs)
        output: Tensor = made[0] if isinstance(made, tuple) else made
        if isinstance(output, Tensor) and output.requires_grad:
            with torch.no_grad():
                empty = original(*(torch.zeros_like(v) if _depends(v) else v for v in inputs))
            bias: Tensor = empty[0] if isinstance(empty, tuple) else empty
            if bool(bias.any()):
                found.append((output, bias))
        return made

    affine = (step for step in net.block.steps if step.node.op_type in AFFINE and not step.node.domain)
    return {("node", step.key): watch for step in affine}


def _depends(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad
