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


@layer("EinsumDense")
def einsum_dense(call: Call) -> Tensor:
    """Einsum with the kernel as it is, and Add."""
    biased = call.config.get("bias_axes") is not None
    own = call.own(*(("kernel", "bias") if biased else ("kernel",)))
    kernel = call.weight("kernel", own["kernel"])
    value = call.g.op("Einsum", call.plain(call.x), kernel, equation=str(call.get("equation", "")))
    if biased:
        value = call.g.op("Add", value, call.weight("bias", own["bias"]))
    return activate(call, Tensor(value), call.config.get("activation"))


@layer("Embedding")
def embedding(call: Call) -> Tensor:
    """Gather; index 0 is masked where asked."""
    own = call.own("embeddings")
    return _look_up(call, call.weight("embeddings", own["embeddings"]))


def _look_up(call: Call, table: Value) -> Tensor:
    indices = call.plain(call.x)
    if indices.type not in (6, 7):
        indices = call.cast(indices, "int32")
    result = Tensor(call.g.op("Gather", table, indices, axis=0))
    if not call.get("mask_zero", False):
        return result
    zero = call.g.op("Equal", indices, call.g.scalar(0, indices))
    return result.masked(Tensor(call.g.op("Not", zero)))


@layer("ReversibleEmbedding")
def reversible_embedding(call: Call) -> Tensor:
    """Gather, or MatMul with the transposed table where it is called in reverse."""
    tied = bool(call.get("tie_weights", True))
    own = call.own(*(("embeddings",) if tied else ("embeddings", "reverse_embeddings")))
    reverse = call.kwargs.get("reverse", call.args[1] if len(call.args) > 1 else False)
    if not reverse:
        return _look_up(call, call.weight("embeddings", own["embeddings"]))
    if tied:
        table = call.g.op("Transpose", call.weight("embeddings", own["embeddings"]), perm=[1, 0])
    else:
        table = call.weight("reverse_embeddings", own["reverse_embeddings"])
    x = call.plain(call.x)
    if call.get("reverse_dtype"):
        dtype = str(call.get("reverse_dtype"))
        x, table = call.cast(x, dtype), call.cast(table, dtype)
    logits = call.g.op("MatMul", x, table)
    cap = call.get("logit_soft_cap")
    if cap is None:
        return Tensor(logits)
    limit = call.g.scalar(float(cap), logits)
    return Tensor(call.g.op("Mul", call.g.op("Tanh", call.g.op("Div", logits, limit)), limit))


@layer("Masking")
def masking(call: Call) -> Tensor:
    """Steps whose values all equal the mask value become zero and are masked from there on."""
    g, x = call.g, call.plain(call.x)
    same = g.op("Equal", x, g.scalar(float(call.get("mask_value", 0.0)), x))
    different = g.op("Cast", g.op("Not", same), to=1)
    kept = g.op("Cast", g.op("ReduceMax", different, g.ints(-1), keepdims=1), to=9)
    result = g.op("Where", kept, x, g.scalar(0.0, x))
    return Tensor(result, mask=Tensor(g.op("Squeeze", kept, g.ints(-1))))


@layer("LayerScale")
def layer_scale(call: Call) -> Tensor:
    """Mul by one factor a channel (ConvNeXt)."""
    x = call.x
    gamma = call.own("gamma")["gamma"]
    shape = [gamma.shape[0], *([1] * (x.rank - 2))] if x.moved else list(gamma.shape)
    return x.like(call.g.op("Mul", x.value, call.weight("gamma", gamma, reshape=shape)))


@layer("CustomScaleLayer")
def residual_scale(call: Call) -> Tensor:
    """First input plus the scaled second (InceptionResNetV2)."""
    (first, second), moved = call.align(call.tensors)
    scaled = call.g.op("Mul", second, call.g.scalar(float(call.get("scale", 1.0)), second))
    return Tensor(call.g.op("Add", first, scaled), moved)


base("the base class of layers", "Layer", "Wrapper")
base("describes a layer's input", "InputSpec")
opaque("a Lambda holds Python bytecode, which is never decoded or run", "Lambda")
opaque("the computation is a TensorFlow SavedModel outside this file", "TFSMLayer")
opaque("the computation is a JAX or Flax function", "JaxLayer", "FlaxLayer")
opaque("the computation is a pickled PyTorch module, which is never loaded", "TorchModuleWrapper")
