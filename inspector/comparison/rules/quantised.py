"""What does a quantised file compute? Quantise and dequantise pairs go, the ReLU they swallowed returns."""

from __future__ import annotations

from inspector.comparison.draft import Draft, Operand, Step
from inspector.comparison.rules.integers import is_lowest

__all__ = ["drop_quantisation"]

_LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Dense")


def drop_quantisation(draft: Draft) -> None:
    """Drop QuantizeLinear followed by DequantizeLinear.

    A zero point at the smallest integer clips at zero: behind a convolution, a dense layer or a sum of two
    computed values this is the ReLU that the quantiser removed. Behind an added constant it is not.
    """
    producers = draft.producers()
    links: dict[str, Operand] = {}
    gone: set[int] = set()
    for step in draft.steps:
        maker = producers.get(step.slots[0].value) if step.slots else None
        if step.op != "DequantizeLinear" or maker is None:
            continue
        if maker.op == "QuantizeLinear" and _swallowed(draft, maker, producers):
            maker.op, maker.attributes, maker.slots = "Relu", {}, maker.slots[:1]
            maker.value = step.outputs[0]
            maker.proto = None
        elif maker.value not in draft.model.producers:
            maker.value = step.outputs[0]
        links[step.outputs[0]] = Operand(maker.outputs[0])
        gone.add(id(step))
    for step in draft.steps:
        if step.op == "QuantizeLinear" and step.slots[0].value not in draft.constants:
            links[step.outputs[0]] = step.slots[0]
            gone.add(id(step))
    draft.keep(gone, "quantise and dequantise nodes ignored")
    draft.forward(links)


def _swallowed(draft: Draft, quantise: Step, producers: dict[str, Step]) -> bool:
    if not is_lowest(draft.constant(quantise, 2)):
        return False
    maker = producers.get(quantise.slots[0].value)
    if maker is None:
        return False
    computed = [slot for slot in maker.slots if slot.value not in draft.constants]
    return maker.op in _LINEAR or (maker.op == "Add" and len(computed) == 2)
