"""How much of the input does one position of the last feature map see? Windows summed along the graph."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.model import Model, Node

__all__ = ["receptive_field"]

_WINDOWS = ("Conv", "MaxPool", "AveragePool", "LpPool", "QLinearConv", "ConvInteger")
_ALL = ("GlobalAveragePool", "GlobalMaxPool", "Gemm", "ReduceMean", "Flatten")


@dataclass(frozen=True)
class _View:
    """Input positions seen, and the distance of neighbours in the input, both along each axis of space."""

    seen: tuple[int, ...]
    jump: tuple[float, ...]


def receptive_field(model: Model) -> tuple[int, ...] | None:
    """Input positions along each axis of space: seen += (kernel - 1) · dilation · jump, jump *= stride.

    Where paths join, the largest counts; the search ends at layers that see everything (global pooling,
    dense layers). None where the model has no windows.
    """
    views: dict[str, _View] = {}
    largest: tuple[int, ...] | None = None
    for node in model.nodes.values():
        if node.op in _ALL or node.body:
            continue
        above = [views[key] for key in node.inputs if key in views]
        view = _joined(above)
        if node.op in _WINDOWS or node.op == "ConvTranspose":
            view = _through(model, node, view)
        if view is None:
            continue
        for key in node.outputs:
            views[key] = view
        if largest is None or (len(view.seen) == len(largest) and max(view.seen) > max(largest)):
            largest = view.seen
    return largest


def _joined(views: list[_View]) -> _View | None:
    rank = max((len(view.seen) for view in views), default=0)
    same = [view for view in views if len(view.seen) == rank]
    if not same:
        return None
    return _View(
        tuple(max(sizes) for sizes in zip(*(view.seen for view in same), strict=True)),
        tuple(max(jumps) for jumps in zip(*(view.jump for view in same), strict=True)),
    )


def _through(model: Model, node: Node, view: _View | None) -> _View | None:
    kernel = node.attributes.get("kernel_shape")
    if not kernel:
        weight = model.weight_behind(node.inputs[1]) if len(node.inputs) > 1 else None
        kernel = weight.shape[2:] if weight is not None else ()
    rank = len(kernel)
    if not rank:
        return view
    if view is None or len(view.seen) != rank:
        view = _View((1,) * rank, (1.0,) * rank)
    strides = tuple(node.attributes.get("strides") or (1,) * rank)
    dilations = tuple(node.attributes.get("dilations") or (1,) * rank)
    wider = node.op == "ConvTranspose"
    step = [jump / s if wider else jump for jump, s in zip(view.jump, strides, strict=True)]
    seen = tuple(
        int(seen + (k - 1) * d * jump)
        for seen, k, d, jump in zip(view.seen, kernel, dilations, step, strict=True)
    )
    jump = tuple(now if wider else now * s for now, s in zip(step, strides, strict=True))
    return _View(seen, jump)
