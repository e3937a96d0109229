"""Do PyTorch sources become ONNX with right shapes, scopes and weights, however often and however asked?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from architectures import ARCHITECTURES
from fidelity import assert_every_tensor, run_onnx
from torch import nn

from converters import to_onnx
from converters.provenance import node_class, node_scope
from converters.pytorch.tasks import export_live


def _dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_an_lstm_exported_twice_in_one_process_stays_right(tmp_path: Path) -> None:
    row = ARCHITECTURES["lstm"]
    net = row.module()
    written: list[bytes] = []
    for turn in ("first", "second"):
        folder = tmp_path / turn
        folder.mkdir()
        request = {"shapes": {"": list(row.shape)}, "opset": None}
        export_live(net, None, request, folder, lambda text: None)
        model = onnx.load(folder / "model.onnx")
        assert _dims(model.graph.input[0]) == ["batch", "time"]
        for sizes in row.others:
            tokens = row.inputs(sizes, 3)
            (found,) = run_onnx(model, folder, tokens)
            np.testing.assert_allclose(found, net(tokens).detach().numpy(), atol=1e-5)
        written.append((folder / "weights.bin").read_bytes())
    assert written[0] == written[1]


def test_recurrent_weights_lead_back_to_their_names() -> None:
    row = ARCHITECTURES["gru"]
    net = row.module()
    conversion = to_onnx(net, input_shape={"": row.shape})
    assert any(node.op_type == "GRU" for node in conversion.model.graph.node)
    assert assert_every_tensor(conversion, net.state_dict()) == len(net.state_dict())


def test_scopes_and_classes_come_from_the_module_tree() -> None:
    row = ARCHITECTURES["resnet"]
    model = to_onnx(row.module(), input_shape={"": row.shape}, example=row.inputs(row.traced)).model
    by_scope = {node_scope(node): node_class(node) for node in model.graph.node}
    assert by_scope["layer1/conv1"] == "torch.nn.modules.conv.Conv2d"
    assert by_scope["stem/1"] == "torch.nn.modules.batchnorm.BatchNorm2d"
    assert sum(node.op_type == "BatchNormalization" for node in model.graph.node) == 7
    assert b"stack_trace" not in model.SerializeToString()


def test_an_axis_that_the_code_fixes_is_said() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 4, 2))
    conversion = to_onnx(net, input_shape={"": ("batch", 3, "height", 4)}, example=torch.randn(2, 3, 8, 4))
    assert _dims(conversion.model.graph.input[0]) == ["batch", 3, 8, 4]
    assert any("height" in note and "fixes it to 8" in note for note in conversion.notes), conversion.notes


def test_tied_weights_are_one_initializer_with_two_names() -> None:
    net = Tied()
    conversion = to_onnx(net, input_shape={"": ("batch", 6)})
    assert assert_every_tensor(conversion, net.state_dict()) == 2


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6, bias=False)
        self.second = nn.Linear(6, 6, bias=False)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


def test_the_command_line_passes_shape_and_factory_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "architecture.py").write_text(
        "import torch\n\ndef build():\n    return torch.nn.Linear(4, 3)\n"
    )
    torch.save(nn.Linear(4, 3).state_dict(), tmp_path / "weights.pth")
    monkeypatch.chdir(tmp_path)
    command = [Path(sys.executable).parent / "inspector", "convert", "weights.pth", "-o", "net.onnx"]
    extra = ["--factory", "architecture:build", "--input-shape", "rows,4", "--json"]
    done = subprocess.run([*command, *extra], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout)["nodes"] == 1
    assert _dims(onnx.load(tmp_path / "net.onnx").graph.input[0]) == ["rows", 4]
