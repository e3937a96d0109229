"""How do Keras' core layers become ONNX? Dense, embeddings, masking, and what does nothing at inference."""

from __future__ import annotations

from converters.keras_layers.activation import activate
from converters.keras_layers.registry import base, layer, opaque
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor, Value

__all__ = ["dense"]


@layer("Identity", masks=True)
def identity(call: Call) -> Tensor:
    """Nothing."""
    return call.x


@layer(
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
    masks=True,
    state="identity",
)
def training_only(call: Call) -> Tensor:
    """Acts in training only."""
    return call.x


@layer("InputLayer", state="base")
def input_layer(call: Call) -> Tensor:
    """A graph input."""
    return call.x


@layer("Dense", masks=True)
def dense(call: Call) -> Tensor:
    """Gemm on matrices, else MatMul and Add."""
    own = call.own(*(("kernel", "bias") if call.get("use_bias", True) else ("kernel",)))
    x = call.plain(call.x)
    kernel = call.weight("kernel", own["kernel"])
    bias = call.weight("bias", own["bias"]) if "bias" in own else None
    return activate(call, Tensor(_affine(call, x, kernel, bias)), call.config.get("activation"))


def _affine(call: Call, x: Value, kernel: Value, bias: Value | None) -> Value:
    if x.rank == 2:
        return call.g.op("Gemm", x, kernel, bias)
    product = call.g.op("MatMul", x, kernel)
    return product if bias is None else call.g.op("Add", product, bias)


base("the base class of layers", "Layer", "Wrapper")
base("describes a layer's input", "InputSpec")
opaque("a Lambda holds Python bytecode, which is never decoded or run", "Lambda")
opaque("the computation is a TensorFlow SavedModel outside this file", "TFSMLayer")
opaque("the computation is a JAX or Flax function", "JaxLayer", "FlaxLayer")
opaque("the computation is a pickled PyTorch module, which is never loaded", "TorchModuleWrapper")
