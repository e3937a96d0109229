"""Is one network recognised in every form: exporters, opsets, runtime optimisation, half precision, int8?"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16
from torch import nn

from inspector.comparison.aligning import align
from inspector.comparison.edits import edits
from inspector.comparison.weight_pairs import compare_weights
from inspector.model import open_model

EXACT = ("old, unfolded", "old, opset 17", "new", "new, optimised", "runtime", "runtime, all", "renamed")
ROUNDED = ("half", "int8", "uint8", "int8 operators", "int8 operators, runtime", "while running")


class Residual(nn.Module):
    """A small ResNet."""

    shape = (1, 3, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
        self.blocks = nn.ModuleList(nn.Sequential(*self.half(), nn.ReLU(), *self.half()) for _ in range(3))
        self.head = nn.Linear(16, 10)

    def half(self) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return self.head(x.mean((2, 3)))


class Transformer(nn.Module):
    """Two blocks with joint queries, keys and values; `wrong` merges the heads in the wrong order."""

    shape = (1, 6, 8)

    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.wrong = wrong
        self.enter = nn.Linear(8, 32)
        self.blocks = nn.ModuleList(
            nn.ModuleList([nn.LayerNorm(32), nn.Linear(32, 96), nn.Linear(32, 32), nn.LayerNorm(32)])
            for _ in range(2)
        )
        self.widths = nn.ModuleList(
            nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)) for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.enter(x)
        for (first, joint, out, second), mlp in zip(self.blocks, self.widths, strict=True):
            n, length, width = x.shape
            q, k, v = joint(first(x)).reshape(n, length, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
            mixed = torch.softmax(q @ k.transpose(-2, -1) * 8**-0.5, -1) @ v
            mixed = mixed.permute(0, 2, 3, 1) if self.wrong else mixed.transpose(1, 2)
            x = x + out(mixed.reshape(n, length, width))
            x = x + mlp(second(x))
        return x.mean(1)


class Samples(CalibrationDataReader):
    """Four random inputs for calibration."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        draw = np.random.default_rng(0)
        self.rest = iter([{name: draw.standard_normal(shape).astype(np.float32)} for _ in range(4)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rest, None)


def trained(net: nn.Module) -> nn.Module:
    """Random statistics and scales, a third of them negative."""
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return net.eval()


def export(net: nn.Module, path: Path, **options: object) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.randn(net.shape),), path, verbose=False, **options)
    return path


def renamed(path: Path, to: Path) -> Path:
    """Every node and value under a name that says nothing."""
    proto = onnx.load(path)
    names: dict[str, str] = {"": ""}
    for node in proto.graph.node:
        for list_ in (node.input, node.output):
            list_[:] = [names.setdefault(name, f"v{len(names)}") for name in list_]
        node.name = ""
        del node.metadata_props[:]
    for entry in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        entry.name = names.setdefault(entry.name, f"v{len(names)}")
    del proto.graph.value_info[:]
    onnx.save(proto, to)
    return to


def optimised(path: Path, to: Path, level: ort.GraphOptimizationLevel) -> Path:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(to)
    options.log_severity_level = 3
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return to


def forms(net: nn.Module, folder: Path) -> dict[str, Path]:
    """Files of one network by form."""
    trained(net)
    old = export(net, folder / "old.onnx", dynamo=False, do_constant_folding=False, opset_version=13)
    later = export(net, folder / "later.onnx", dynamo=False, opset_version=17)
    found = {"old, unfolded": old, "old, opset 17": later, "renamed": renamed(old, folder / "renamed.onnx")}
    plain = {"dynamo": True, "external_data": False}
    found["new"] = export(net, folder / "new.onnx", optimize=False, **plain)
    found["new, optimised"] = export(net, folder / "optimised.onnx", optimize=True, **plain)
    levels = ort.GraphOptimizationLevel
    found["runtime"] = optimised(old, folder / "extended.onnx", levels.ORT_ENABLE_EXTENDED)
    found["runtime, all"] = optimised(found["new"], folder / "all.onnx", levels.ORT_ENABLE_ALL)
    proto = onnx.load(later)
    onnx.save(convert_float_to_float16(proto, keep_io_types=True), folder / "half.onnx")
    name = proto.graph.input[0].name
    settings = {"quant_format": QuantFormat.QDQ, "per_channel": True}
    quantize_static(later, folder / "int8.onnx", Samples(name, net.shape), **settings)
    found |= {"half": folder / "half.onnx", "int8": folder / "int8.onnx"}
    unsigned = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8}
    found["uint8"] = folder / "uint8.onnx"
    quantize_static(later, found["uint8"], Samples(name, net.shape), quant_format=QuantFormat.QDQ, **unsigned)
    found["int8 operators"] = folder / "operators.onnx"
    settings["quant_format"] = QuantFormat.QOperator
    quantize_static(later, found["int8 operators"], Samples(name, net.shape), **settings)
    runtime = optimised(found["uint8"], folder / "runtime8.onnx", levels.ORT_ENABLE_EXTENDED)
    found["int8 operators, runtime"] = runtime
    found["while running"] = folder / "running.onnx"
    quantize_dynamic(later, found["while running"], weight_type=QuantType.QUInt8)
    return found


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    return forms(Residual(), tmp_path_factory.mktemp("residual"))


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    return forms(Transformer(), tmp_path_factory.mktemp("transformer"))


@pytest.mark.slow
@pytest.mark.parametrize("form", [*EXACT, *ROUNDED])
@pytest.mark.parametrize(("net", "nodes"), [("residual", 19), ("transformer", 32)])
def test_every_form_is_the_same_network(
    request: pytest.FixtureRequest, net: str, nodes: int, form: str
) -> None:
    files: dict[str, Path] = request.getfixturevalue(net)
    found = align(open_model(files["new"]), open_model(files[form]))
    assert (len(found.pairs), found.only_a, found.only_b, found.similarity) == (nodes, (), (), 1.0)
    assert edits(found) == ()
    weighted = [pair for pair in found.pairs if pair.a.op in ("Conv", "Dense")]
    assert all("weights" in pair.evidence for pair in weighted)
    if form in ROUNDED:
        states = {c.state for changes in compare_weights(found).values() for c in changes}
        assert states <= {"equal", "folded", "rounded", "quantised"}


@pytest.mark.slow
def test_heads_merged_in_the_wrong_order_are_reported(transformer: dict[str, Path], tmp_path: Path) -> None:
    wrong = export(trained(Transformer(wrong=True)), tmp_path / "w.onnx", dynamo=False, opset_version=17)
    for form in ("new", "old, opset 17"):
        found = align(open_model(transformer[form]), open_model(wrong))
        assert found.only_a == found.only_b == ()
        told = edits(found)
        assert [edit.kind for edit in told] == ["layout"]
        assert len(told[0].a_keys) == 2
