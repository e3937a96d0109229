"""Do well-known PyTorch architectures compute the same as ONNX, at sizes they were not exported at?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from architectures import ARCHITECTURES, Architecture
from fidelity import assert_every_tensor, run_onnx
from torch import nn

from converters import to_onnx

TOLERANCE = 1e-4
"""Largest difference over the spread of the outputs across random inputs."""
LEAST_SPREAD = 1e-2
QUICK = {("resnet", "trace")}
NOT_SCRIPTED = {
    "swin": "transformers code is not in the scripting subset of Python",
    "bert": "transformers code is not in the scripting subset of Python",
    "gpt": "transformers code is not in the scripting subset of Python",
    "encoder": "its code asks for autocast, which the older exporter does not know",
}
FIXED = {("encoder", "trace"): "the second route, behind the older exporter's refusal, fixes every axis"}


def _module(net: nn.Module, row: Architecture, folder: Path) -> tuple[Any, dict[str, Any]]:
    return net, {"example": row.inputs(row.traced)}


def _program(net: nn.Module, row: Architecture, folder: Path) -> tuple[Any, dict[str, Any]]:
    auto = torch.export.Dim.AUTO
    axes = {axis: auto for axis, dim in enumerate(row.shape) if isinstance(dim, str)}
    recurrent = any(isinstance(layer, nn.RNNBase) for layer in net.modules())
    program = torch.export.export(
        net, (row.inputs(row.traced),), dynamic_shapes=({0: auto} if recurrent else axes,)
    )
    torch.export.save(program, folder / "net.pt2")
    return folder / "net.pt2", {}


def _trace(net: nn.Module, row: Architecture, folder: Path) -> tuple[Any, dict[str, Any]]:
    torch.jit.save(torch.jit.trace(net, row.inputs(row.traced), check_trace=False), folder / "net.pt")
    return folder / "net.pt", {}


def _script(net: nn.Module, row: Architecture, folder: Path) -> tuple[Any, dict[str, Any]]:
    torch.jit.save(torch.jit.script(net), folder / "net.pt")
    return folder / "net.pt", {}


ROUTES: dict[str, Callable[[nn.Module, Architecture, Path], tuple[Any, dict[str, Any]]]] = {
    "module": _module,
    "program": _program,
    "trace": _trace,
    "script": _script,
}
CASES = [
    pytest.param(name, route, id=f"{name}-{route}", marks=() if (name, route) in QUICK else pytest.mark.slow)
    for name in ARCHITECTURES
    for route in ROUTES
    if not (route == "script" and name in NOT_SCRIPTED)
]


@pytest.mark.parametrize(("name", "route"), CASES)
def test_architecture(name: str, route: str, tmp_path: Path, record_property: Any) -> None:
    row = ARCHITECTURES[name]
    net = row.module()
    source, options = ROUTES[route](net, row, tmp_path)
    conversion = to_onnx(source, input_shape={"": row.shape}, **options)
    assert conversion.model.opset_import[0].domain == "", conversion.notes
    fixed_length = route == "program" and any(isinstance(layer, nn.RNNBase) for layer in net.modules())
    difference = spread = 0.0
    for sizes in row.others:
        if (name, route) in FIXED:
            dims = [dim.dim_value for dim in conversion.model.graph.input[0].type.tensor_type.shape.dim]
            sizes = {axis: dim for axis, dim in zip(row.shape, dims, strict=True) if isinstance(axis, str)}
        if fixed_length:
            sizes = {**sizes, "time": row.traced["time"]}
        one, other = row.inputs(sizes, 7), row.inputs(sizes, 8)
        expected, again = net(one).detach().numpy(), net(other).detach().numpy()
        (found,) = run_onnx(conversion.model, Path(str(conversion.folder)), one)
        assert found.shape == expected.shape
        difference = max(difference, float(np.abs(found - expected).max()))
        spread = max(spread, float(np.std(expected - again)))
    record_property("difference", difference)
    record_property("spread", spread)
    assert spread > LEAST_SPREAD
    assert difference <= TOLERANCE * spread
    assert assert_every_tensor(conversion, net.state_dict()) == len(net.state_dict())


def test_a_deliberate_break_is_caught(tmp_path: Path) -> None:
    row = ARCHITECTURES["resnet"]
    net = row.module()
    source, options = _trace(net, row, tmp_path)
    conversion = to_onnx(source, input_shape={"": row.shape}, **options)
    node = next(n for n in conversion.model.graph.node if n.op_type == "BatchNormalization")
    kept = [a for a in node.attribute if a.name != "epsilon"]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute("epsilon", 1.5e-2)])
    batch = row.inputs(row.others[0], 7)
    (found,) = run_onnx(conversion.model, Path(str(conversion.folder)), batch)
    expected = net(batch).detach().numpy()
    assert np.abs(found - expected).max() > TOLERANCE * np.std(expected)


@pytest.mark.slow
def test_what_cannot_be_exported_is_drawn_with_every_weight(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Sorted()), tmp_path / "net.pt")
    conversion = to_onnx(tmp_path / "net.pt", input_shape={"": ("batch", 4)})
    assert any("shown but not exported" in note for note in conversion.notes)
    assert assert_every_tensor(conversion, Sorted().state_dict()) == 2


class Sorted(nn.Module):
    """An operator without ONNX form behind a branch, which neither route can take."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        with torch.no_grad():
            self.fc.weight.copy_(torch.eye(4))
            self.fc.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.sum() > 0):
            x = torch.special.bessel_j0(x)
        return self.fc(x)
