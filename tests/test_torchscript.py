"""Does TorchScript keep its control flow, and is it only read where nobody asked to export it?"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fidelity import assert_every_tensor, run_onnx
from torch import nn

import inspector
from converters import Options, to_onnx
from converters.verify import verify


class Turns(nn.Module):
    """A loop whose length is an input, then a branch on what came out."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        for i in range(int(n)):
            x = torch.tanh(self.step(x)) + float(i)
        if bool(x.sum() > 0):
            x = x * 2.0
        else:
            x = x - 1.0
        return x


class TurnsByNumber(nn.Module):
    """The same with a Python number."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
        for i in range(n):
            x = torch.tanh(self.step(x)) + float(i)
        if bool(x.sum() > 0):
            x = x * 2.0
        else:
            x = x - 1.0
        return x


@pytest.mark.parametrize("kind", [Turns, TurnsByNumber])
def test_loops_and_branches_stay(kind: type[nn.Module], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = kind().eval()
    path = tmp_path / "turns.pt"
    torch.jit.save(torch.jit.script(net), path)
    conversion = to_onnx(path, input_shape={"x": ("batch", 4), "n": ()})
    operators = [node.op_type for node in conversion.model.graph.node]
    assert operators.count("Loop") == operators.count("If") == 1, conversion.notes
    taken: set[bool] = set()
    for n in (0, 1, 5):
        for offset in (-3.0, 3.0):
            x = torch.randn(3, 4) + offset
            count = torch.tensor(n)
            expected = net(x, n if kind is TurnsByNumber else count).detach().numpy()
            (found,) = run_onnx(conversion.model, Path(str(conversion.folder)), x, count)
            np.testing.assert_allclose(found, expected, atol=1e-5)
            taken.add(bool(expected.sum() > 0))
    assert taken == {True, False}
    assert assert_every_tensor(conversion, net.state_dict()) == 2
    assert verify(conversion, path, Options()).verdict == "equal"


@pytest.mark.parametrize("form", ["script", "program", "pickle"])
def test_check_reads_and_does_not_export(form: str, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).eval()
    path = tmp_path / "net.pt2"
    if form == "script":
        torch.jit.save(torch.jit.script(net), path)
    elif form == "program":
        torch.export.save(torch.export.export(net, (torch.randn(2, 3),)), path)
    else:
        torch.save(net, path)
    began = time.process_time()
    found = inspector.check(path)
    assert time.process_time() - began < 2, "a child with torch takes longer"
    assert not any(fault.fatal for fault in found.faults)
    assert any("read, not exported" in note for note in found.notes), found.notes
