"""Does every value of a real model agree with ONNX Runtime, and its gradient with the original module?"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch._dynamo
from architectures import ARCHITECTURES, Architecture
from onnx import numpy_helper
from torch import Tensor, nn

import inspector
from converters.provenance import read_sources
from inspector import autograd
from inspector.autograd import Network
from inspector.model import Model

RELATIVE = 1e-5
FAR = 1e-4
"""Allowed where cancellation eats digits, or where ONNX Runtime approximates (its Sigmoid) and we do not."""

GRADIENT = 1e-10
"""Allowed between gradients, and outputs, in float64."""

FILES = {
    "basic_pitch/nmp.onnx": {},
    "imagenet_squeezenet1_1/squeezenet1_1_imagenet_op13_ts.onnx": {},
    "imagenet_squeezenet1_1/squeezenet1_1_imagenet_op18.onnx": {},
    "mtcnn/onnx/onet.onnx": {0: 1},
    "mtcnn/onnx/pnet.onnx": {0: 1, 1: 40, 2: 40},
    "mtcnn/onnx/rnet.onnx": {0: 1},
    "onnx_misc/ch_ppocr_mobile_v2.0_cls_infer.onnx": {0: 1, 2: 48, 3: 192},
    "silero_vad/silero_vad.onnx": {0: 1, 1: 512},
    "silero_vad/silero_vad_16k_op15.onnx": {0: 1, 1: 512},
}
"""Every ONNX file of the shared models, with the lengths of its free axes."""


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_shared_onnx_file_is_listed(shared_models: Path) -> None:
    assert {str(p.relative_to(shared_models)) for p in shared_models.rglob("*.onnx")} == set(FILES)


@pytest.mark.parametrize("name", list(FILES))
def test_every_value_agrees_with_onnx_runtime(shared_models: Path, name: str) -> None:
    model = onnx.load(shared_models / name)
    net = inspector.to_torch(model)
    _assert_every_value(net, model, _inputs(net, model, FILES[name]))


def _assert_every_value(net: Network, model: onnx.ModelProto | Model, inputs: list[Tensor]) -> None:
    """Within RELATIVE of ONNX Runtime, or the difference is shown to be float32's own or ONNX Runtime's."""
    proto = model.proto if isinstance(model, Model) else model
    agreement = net.verify(model, inputs)
    assert len(agreement.values) >= len(proto.graph.node) * 0.4
    whole = not any(value.is_floating_point() for value in inputs)  # token ids are not moved by verify
    assert whole or agreement.spread > 1e-3
    far = [v for v in agreement.values if not v.shapes_agree or v.relative > RELATIVE]
    # there float32 itself must be as far from float64, or ours must be nearer to float64 than the difference
    taps = [v.name for v in far]
    precise = inspector.to_torch(model).double()
    with torch.no_grad():
        ours = net.run(inputs, taps=taps).taps
        exact = precise.run(inputs, taps=taps).taps
    for value in far:
        assert value.shapes_agree, value
        error = float((ours[value.name].double() - exact[value.name]).abs().max())
        scale = float(exact[value.name].abs().max())
        assert value.relative < FAR, value
        assert value.absolute <= 8 * error or error <= RELATIVE / 10 * scale, (value, error)


def _inputs(net: Network, model: onnx.ModelProto, lengths: dict[int, int]) -> list[Tensor]:
    rng = np.random.default_rng(0)
    declared = {value.name: value.type.tensor_type for value in model.graph.input}
    found: list[Tensor] = []
    for position, name in enumerate(net.input_names):
        kind = declared[name]
        shape = [
            d.dim_value if d.dim_value > 0 else (lengths.get(axis, 1) if position == 0 else 1)
            for axis, d in enumerate(kind.shape.dim)
        ]
        if kind.elem_type == onnx.TensorProto.FLOAT:
            found.append(torch.from_numpy(rng.standard_normal(shape).astype(np.float32)))
        else:
            found.append(torch.full(shape, 16000))
    return found


LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in LIGHT.glob("*.onnx")))
def test_every_value_of_a_light_model_agrees(name: str) -> None:
    """Their weights are constant fills, so they are made random: each node is compared, not the answer."""
    model = onnx.load(LIGHT / f"{name}.onnx")
    _randomise(model)
    net = inspector.to_torch(model)
    agreement = net.verify(model, _inputs(net, model, {}))
    scores = [v.name for v in agreement.values if v.operator in ("Conv", "Gemm")][-1]
    x, y = (net.run([f * _inputs(net, model, {})[0]], taps=[scores]).taps[scores] for f in (1.0, 0.5))
    assert float((x - y).abs().max() / x.abs().max()) > 1e-2, "the scores do not depend on the input"
    assert agreement.worst.relative < 5 * RELATIVE


def _randomise(model: onnx.ModelProto) -> None:
    """Weights that come from ConstantOfShape become random initializers of the same shape."""
    rng = np.random.default_rng(0)
    held = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "ConstantOfShape"]
    shapes = {n.output[0]: held[n.input[0]] for n in nodes if n.input[0] in held}
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    scales = {name for node in norms for name in (node.input[1], node.input[4])}
    products = {name for node in model.graph.node if node.op_type == "Mul" for name in node.input}
    for node in model.graph.node:
        if node.op_type in ("Unsqueeze", "Reshape") and node.output[0] in products:
            products.add(node.input[0])
    scales |= products
    for node in nodes:
        if node.output[0] in shapes:
            shape = tuple(shapes[node.output[0]].tolist())
            fan = max(int(np.prod(shape[1:])), 1)
            value = rng.standard_normal(shape) * (np.sqrt(2 / fan) if len(shape) > 1 else 0.05)
            value = 1 + value if node.output[0] in scales else value
            model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), node.output[0]))
            model.graph.node.remove(node)


QUICK = ("resnet", "tcn")
"""Architectures that every run of the tests checks; the others are slow together."""

ROUNDED = ("vit", "encoder", "bert", "gpt")
"""Torch's new exporter rounds their Python factors to float32; its older one writes them in float64."""

ROWS = [
    pytest.param(row, id=name, marks=() if name in QUICK else pytest.mark.slow)
    for name, row in ARCHITECTURES.items()
]


@pytest.mark.parametrize("row", ROWS)
def test_an_architecture_agrees_value_by_value_and_in_its_gradient(row: Architecture) -> None:
    if row.name in ("bert", "gpt", "swin"):
        pytest.importorskip("transformers")
    module, example = row.module(), row.inputs(row.traced)
    model = inspector.open_model(module, input_shape={"": row.shape}, example=example)
    net = inspector.to_torch(model)
    inputs = row.inputs(row.others[0], 7)
    _assert_every_value(net, model, [inputs])
    other = row.inputs(row.others[0], 8)
    assert (net(inputs)[0] - net(other)[0]).abs().max() > 1e-3, "the output ignores the input"
    module = module.double()
    if row.name in ROUNDED:
        model = inspector.open_model(_exported(module, inputs if row.vocabulary else inputs.double()))
    net = inspector.to_torch(model).double()
    if row.name == "swin":
        _scale_as_the_file_does(module)
    table = _embedding(module, model) if row.vocabulary else None
    _assert_same_gradient(module, net, inputs, table)


def _scale_as_the_file_does(module: nn.Module) -> None:
    """Round each attention's scale as the new exporter does; the older one has no form for swin's mask.

    The file multiplies queries and keys by the root of the scale, both rounded to float32, where the module
    multiplies their product by the scale.
    """
    scaled = [part for part in module.modules() if hasattr(part, "scaling")]
    assert scaled
    for part in scaled:
        factor = float(np.float32(float(part.scaling) ** 0.5))
        part.scaling = factor * factor


def _embedding(module: nn.Module, model: Model) -> tuple[str, str]:
    """The first table of embeddings: its name in the module and in the graph."""
    name = next(n for n, part in module.named_modules() if isinstance(part, nn.Embedding)) + ".weight"
    sources = {s.name: t.name for t in model.proto.graph.initializer for s in read_sources(t)}
    return name, sources.get(name, name)


def _sixth(net: Network) -> dict[str, Callable[[Tensor], Tensor]]:
    """ONNX attributes are float32, so HardSigmoid's 1/6 is rounded in every file; torch's is not."""
    held = {step.node.op_type for step in net.block.steps}
    return {"HardSigmoid": torch.nn.functional.hardsigmoid} if "HardSigmoid" in held else {}


def _assert_same_gradient(
    module: nn.Module, net: Network, inputs: Tensor, table: tuple[str, str] | None
) -> None:
    """To the input, or to a table of embeddings where inputs are token ids; in float64."""
    if table is not None:
        theirs, ours = module.get_parameter(table[0]), net.weights[table[1]]
        x = y = inputs
    else:
        x, y = (inputs.double().requires_grad_() for _ in range(2))
        theirs, ours = x, y
    wanted, found = module(x), net.run([y], overrides=_sixth(net)).outputs[0]
    direction = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (expected,) = torch.autograd.grad((wanted * direction).sum(), theirs)
    (got,) = torch.autograd.grad((found * direction).sum(), ours)
    assert (wanted - found).abs().max() <= GRADIENT * wanted.abs().max()
    assert float(expected.abs().max()) > 1e-6
    assert (got - expected).abs().max() <= GRADIENT * max(1.0, float(expected.abs().max()))


SQUEEZENETS = [
    pytest.param("op13_ts.onnx", {}, id="onnx-13"),
    pytest.param("op18.onnx", {}, id="onnx-18"),
    pytest.param("torchscript.pt", {"input_shape": {"": ("batch", 3, 224, 224)}}, id="torchscript"),
    pytest.param(".pt2", {}, id="exported-program"),
    pytest.param(".keras", {}, id="keras"),
    pytest.param(".h5", {}, id="keras-h5"),
]


@pytest.mark.parametrize(("name", "options"), SQUEEZENETS)
def test_squeezenet_agrees_in_every_format_that_runs(
    shared_models: Path, name: str, options: dict[str, Any]
) -> None:
    """Value by value; the gradient of a class score, in float64, is that of the ONNX file's net."""
    folder = shared_models / "imagenet_squeezenet1_1"
    sep = "" if name.startswith(".") else "_"
    model = inspector.open_model(folder / f"squeezenet1_1_imagenet{sep}{name}", **options)
    x = torch.randn((1, 3, 224, 224), generator=torch.Generator().manual_seed(0)) * 60
    net = inspector.to_torch(model)
    channels_last = (model.inputs[0].shape or ())[-1] == 3
    _assert_every_value(net, model, [x.permute(0, 2, 3, 1).contiguous() if channels_last else x])
    reference = inspector.to_torch(onnx.load(folder / "squeezenet1_1_imagenet_op18.onnx")).double()
    expected = _espresso(reference, x, False)
    assert float(expected.abs().max()) > 1e-6
    assert float((_espresso(net.double(), x, channels_last) - expected).abs().max()) <= 1e-10


def _espresso(net: Network, x: Tensor, channels_last: bool) -> Tensor:
    """d log p(espresso) / d pixel, (n, c, h, w), whether the net ends in scores or in probabilities."""
    x = x.double().requires_grad_()
    scores = net(x.permute(0, 2, 3, 1) if channels_last else x)[0].flatten(1)
    total = scores.exp().sum(1) if float(scores.detach().min()) < 0 or float(scores.sum()) > 1.5 else 1.0
    log = scores - torch.as_tensor(total).log() if not isinstance(total, float) else scores.log()
    return torch.autograd.grad(log[:, 967].sum(), x)[0]


class Residual(nn.Module):
    """Convolutions, BatchNorm with random statistics, a shortcut, pooling and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.conv = nn.Conv2d(8, 8, 3, 1, 2, 2, groups=2)
        self.pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.head = nn.Linear(8, 5)
        for norm in (self.norm, self.norm2):
            norm.running_mean = torch.randn(8) * 0.3
            norm.running_var = torch.rand(8) + 0.5

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.norm(self.stem(x))))
        x = torch.nn.functional.hardswish(x + self.norm2(self.conv(x)))
        return self.head(torch.nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear").mean((2, 3)))


class Encoder(nn.Module):
    """Two transformer layers over vectors."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean(1)


class Recurrent(nn.Module):
    """A bidirectional LSTM and a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 5, 1, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(10, 7, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(self.lstm(x)[0])[0][:, -1]


class Decoder(nn.Module):
    """Transposed convolutions, group and instance normalisation, PReLU, and indexing backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 6, 3, 2, 1, 1)
        self.group, self.instance = nn.GroupNorm(3, 6), nn.InstanceNorm2d(6, affine=True)
        self.slope = nn.PReLU(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.slope(self.group(self.up(x)))
        return torch.softmax(self.instance(x).flip(3)[:, :, 1:-1, ::2], 1)


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (2, 3, 17, 17)),
    "encoder": (Encoder, (2, 5, 16)),
    "recurrent": (Recurrent, (2, 4, 6)),
    "decoder": (Decoder, (2, 4, 5, 5)),
}


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("name", list(CASES))
def test_the_input_gradient_is_that_of_the_original_module(name: str, mode: Any) -> None:
    torch.manual_seed(1)
    make, shape = CASES[name]
    module = make().double().eval()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    net = inspector.to_torch(_exported(module, x), mode=mode).double()
    y = module(x)
    (z,) = net(x)
    direction = torch.randn_like(y)
    (expected,) = torch.autograd.grad((y * direction).sum(), x)
    (got,) = torch.autograd.grad((z * direction).sum(), x)
    assert float((y - z).abs().max()) <= 1e-10 * float(y.abs().max()) + 1e-12
    assert expected.abs().max() > 1e-4
    assert float((got - expected).abs().max()) <= 1e-10


@pytest.mark.parametrize("name", ["residual", "encoder", "decoder"])
def test_the_fx_form_is_one_graph_for_torch_compile(name: str) -> None:
    torch.manual_seed(1)
    make, shape = CASES[name]
    x = torch.randn(shape, requires_grad=True)
    net = inspector.to_torch(_exported(make().eval(), x))
    module = autograd.to_fx(net, [x.detach()])
    (gradient,) = torch.autograd.grad(module(x)[0].sum(), x)
    assert torch.allclose(gradient, torch.autograd.grad(net(x)[0].sum(), x)[0], atol=1e-6)
    assert any(node.meta.get("onnx") in net.node_names for node in module.graph.nodes)
    explained = torch._dynamo.explain(module)(x)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("name", ["residual", "encoder"])
def test_on_cuda_a_warm_run_never_waits(name: str, mode: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.manual_seed(1)
    make, shape = CASES[name]
    module, x = make().eval(), torch.randn(shape)
    net = inspector.to_torch(_exported(module, x), mode=mode).to("cuda")
    v = x.cuda().requires_grad_()
    for _ in range(2):
        torch.autograd.grad(net(v)[0].sum(), v)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        y = net(v)[0]
        torch.autograd.grad(y.sum(), v)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    wanted = module(x)
    assert float((y.cpu() - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
    half = net.half()(v.detach().half())[0]
    assert half.dtype == torch.float16
    assert float((half.cpu().float() - wanted).abs().max()) <= 1e-2 * float(wanted.abs().max())


def _exported(module: nn.Module, x: Tensor) -> onnx.ModelProto:
    file = io.BytesIO()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused kernel has no ONNX form
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x.detach(),), file, dynamo=False, opset_version=17, do_constant_folding=False
        )
    return onnx.load_from_string(file.getvalue())
