"""What follows from the shapes of the inputs and stored numbers? Shape arithmetic, and other shapes."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from inspector.autograd.program import Step

__all__ = ["CHANCE", "ROOTS", "arithmetic", "steady"]

CHANCE = frozenset(
    {
        *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"),
        *("Bernoulli", "Multinomial", "Dropout"),
    }
)
"""Operators that draw: two runs of them differ."""

ROOTS = frozenset({"Shape", "Size"})
"""Operators that read nothing of a value but its shape."""

SHAPED = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Pow", "Neg", "Abs", "Sqrt", "Exp", "Log", "Erf", "Reciprocal"),
        *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "Tanh", "HardSigmoid"),
        *("HardSwish", "Softplus", "Softsign", "Mish", "Swish", "Clip", "Min", "Max", "Sum", "Mean"),
        *("Where", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Not", "Cast"),
        *("Floor", "Ceil", "Round", "Sin", "Cos", "Identity", "Softmax", "LogSoftmax", "Einsum"),
        *("BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization"),
        *("RMSNormalization", "LRN", "Conv", "ConvTranspose", "MaxPool", "AveragePool"),
        *("GlobalAveragePool", "GlobalMaxPool", "MatMul", "Gemm", "Linear", "Attention", "Concat", "Gather"),
        *("Transpose", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Expand", "Slice", "Split", "Tile"),
        *("Pad", "DepthToSpace", "SpaceToDepth", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"),
    }
)
"""Operators of which the shapes, and what they read on the CPU, settle the shapes of all results."""


def steady(steps: Iterable[Step], known: Collection[str], fixed: Collection[str]) -> set[str]:
    """The values of the steps whose shapes are settled by those of `known` and the values of `fixed`."""
    found = {*known, *fixed}
    for step in steps:
        host = step.operator.host if step.operator is not None else ()
        settled = all(
            key is None or key in (fixed if position in host else found)
            for position, key in enumerate(step.inputs)
        )
        if (
            settled
            and step.node.op_type in SHAPED
            and step.node.domain in ("", "ai.onnx")
            and not step.blocks
        ):
            found.update(key for key in step.outputs if key)
    return found


def arithmetic(steps: Iterable[Step], numbers: Collection[str], closed: Collection[str] = ()) -> set[str]:
    """The keys of the steps that read only `numbers`, shapes and what such steps make; none of `closed`."""
    known, found = set(numbers), set[str]()
    for step in steps:
        if step.blocks or step.operator is None or step.node.op_type in CHANCE or step.key in closed:
            continue
        if step.node.op_type in ROOTS or all(key is None or key in known for key in step.inputs):
            found.add(step.key)
            known.update(key for key in step.outputs if key)
    return found
