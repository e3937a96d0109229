"""What kind of work does an operator do? One table from operator types to families and their colours."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAMILIES", "Family", "family"]


@dataclass(frozen=True)
class Family:
    """A group of operators that a drawing shows alike; colours are sRGB hex, `text` reads on `fill`."""

    name: str
    label: str
    fill: str
    text: str
    border: str


_DARK = "#16202c"

FAMILIES: dict[str, Family] = {
    row.name: row
    for row in (
        Family("linear", "convolution, matrix product, RNN", "#0072b2", "#ffffff", "#00507d"),
        Family("activation", "activation", "#c4510a", "#ffffff", "#893907"),
        Family("arithmetic", "arithmetic, comparison", "#00865f", "#ffffff", "#005e43"),
        Family("normalisation", "normalisation", "#cc79a7", _DARK, "#a03d74"),
        Family("pooling", "pooling, reduction, resize", "#e69f00", _DARK, "#a16f00"),
        Family("attention", "softmax, attention", "#f0e442", _DARK, "#b5aa0e"),
        Family("control", "control, quantisation, sequence", "#7cc4ee", _DARK, "#2592d2"),
        Family("data", "shape, data movement", "#dfe4ea", _DARK, "#97a5b5"),
        Family("unknown", "not a known operator", "#ffffff", _DARK, "#5b7196"),
    )
}
"""In legend order. Fills are told apart under the common colour-vision deficiencies."""

_OPERATORS: dict[str, str] = {
    "linear": """Conv ConvTranspose ConvInteger QLinearConv DeformConv Gemm MatMul MatMulInteger QLinearMatMul
        Einsum LSTM GRU RNN DFT STFT CausalConvWithState FusedConv FusedGemm FusedMatMul TransposeMatMul
        NhwcConv QGemm MatMulNBits MatMulBnb4 MatMulFpQ4 MatMulIntegerToFloat DynamicQuantizeMatMul
        DynamicQuantizeLSTM GemmFloat8 QMoE MoE Linear LinearAttention Bilinear LinearClassifier
        LinearRegressor FusedMatMulActivation GemmFastGelu ConvTransposeWithDynamicPads""",
    "activation": """Relu LeakyRelu PRelu ThresholdedRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish
    Swish Mish
        Softplus Softsign Tanh Clip Shrink Erf QuickGelu FastGelu BiasGelu BiasSplitGelu SiLU QLinearSigmoid
        QLinearLeakyRelu ScaledTanh ParametricSoftplus Affine""",
    "arithmetic": """Add Sub Mul Div Pow Sqrt Exp Log Neg Abs Reciprocal Sign Floor Ceil Round Mod Min Max
    Mean Sum
        Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh And Or Xor Not Equal Greater GreaterOrEqual
        Less LessOrEqual Where IsNaN IsInf BitShift BitwiseAnd BitwiseOr BitwiseXor BitwiseNot CumSum CumProd
        Det Inverse QLinearAdd QLinearMul BiasAdd ScatterElementsAdd RotaryEmbedding BiasDropout""",
    "normalisation": """BatchNormalization LayerNormalization InstanceNormalization GroupNormalization
        RMSNormalization LRN LpNormalization MeanVarianceNormalization Dropout SimplifiedLayerNormalization
        SkipLayerNormalization SkipSimplifiedLayerNormalization GroupNorm SkipGroupNorm
        EmbedLayerNormalization Normalizer Scaler Bernoulli RandomNormal RandomNormalLike RandomUniform
        RandomUniformLike Multinomial""",
    "pooling": """MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool MaxRoiPool RoiAlign
    MaxUnpool
        ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
        ReduceSumSquare ArgMax ArgMin TopK Resize Upsample GridSample AffineGrid NonMaxSuppression Unique
        QLinearAveragePool QLinearGlobalAveragePool QLinearReduceMean NhwcMaxPool""",
    "attention": """Softmax LogSoftmax Hardmax Attention MultiHeadAttention GroupQueryAttention QAttention
        PagedAttention SparseAttention PackedAttention PackedMultiHeadAttention
        DecoderMaskedMultiHeadAttention DecoderAttention LongformerAttention FlexAttention BiasSoftmax
        QLinearSoftmax GatedRelativePositionBias SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss""",
    "control": """If Loop Scan SequenceMap QuantizeLinear DequantizeLinear DynamicQuantizeLinear SequenceAt
        SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength SplitToSequence
        ConcatFromSequence Optional OptionalGetElement OptionalHasElement BeamSearch GreedySearch Sampling
        ZipMap TreeEnsembleClassifier TreeEnsembleRegressor TreeEnsemble SVMClassifier SVMRegressor""",
    "data": """Reshape Transpose Gather GatherElements GatherND Scatter ScatterElements ScatterND Concat
    Split Slice
        Squeeze Unsqueeze Flatten Expand Tile Pad Cast CastLike BitCast Identity Constant ConstantOfShape
        Shape Size Range EyeLike OneHot NonZero Compress DepthToSpace SpaceToDepth ReverseSequence Trilu
        CenterCropPad TensorScatter Col2Im BlackmanWindow HannWindow HammingWindow MelWeightMatrix
        StringConcat StringSplit StringNormalizer RegexFullMatch TfIdfVectorizer ImageDecoder
        ArrayFeatureExtractor Binarizer CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder
        OneHotEncoder CropAndResize QLinearConcat GatherBlockQuantized ConstantFill Crop ImageScaler""",
}
_FAMILY_OF: dict[str, str] = {op: name for name, ops in _OPERATORS.items() for op in ops.split()}
_KNOWN_DOMAINS = frozenset(
    (
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.preview",
        "com.microsoft",
        "com.microsoft.nchwc",
        "com.ms.internal.nhwc",
    )
)


def family(op: str, domain: str = "") -> Family:
    """The family of an operator; `unknown` outside the ONNX and ONNX Runtime domains."""
    if domain not in _KNOWN_DOMAINS:
        return FAMILIES["unknown"]
    return FAMILIES[_FAMILY_OF.get(op, "unknown")]
