"""Is a `.pt2` file of the older layout read with every weight, and not handed to torch unchecked?"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import torch
from fidelity import assert_every_tensor
from torch import nn

import inspector
from converters import to_onnx
from converters.torch_archives import check_archive


def _older(path: Path, new: Path, state: dict[str, torch.Tensor]) -> None:
    """The members that torch 2.5 and before wrote, around the graph of a program of today."""
    with zipfile.ZipFile(new) as archive:
        name = next(n for n in archive.namelist() if n.endswith("models/model.json"))
        graph = archive.read(name)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("serialized_exported_program.json", graph)
        for member, value in (("state_dict", state), ("constants", {}), ("example_inputs", ((), {}))):
            buffer = io.BytesIO()
            torch.save(value, buffer)
            archive.writestr(f"serialized_{member}.pt", buffer.getvalue())
        archive.writestr("version", "8.2")


def test_the_older_layout_is_drawn_with_every_weight(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
    torch.export.save(torch.export.export(net, (torch.randn(2, 3, 8, 8),)), tmp_path / "new.pt2")
    path = tmp_path / "old.pt2"
    _older(path, tmp_path / "new.pt2", net.state_dict())
    report = check_archive(path)
    assert report.kind == "exported-program"
    assert report.safe, report.findings
    conversion = to_onnx(path, read_only=True)
    operators = [node.op_type for node in conversion.model.graph.node]
    assert {"conv2d", "relu"} <= set(operators), operators
    assert assert_every_tensor(conversion, net.state_dict()) == len(net.state_dict())
    assert not any(fault.fatal for fault in inspector.check(path).faults)


def test_a_hostile_pickle_in_the_older_layout_is_found(tmp_path: Path) -> None:
    class Gadget:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return eval, ("1 + 1",)

    net = nn.Linear(3, 4).eval()
    torch.export.save(torch.export.export(net, (torch.randn(2, 3),)), tmp_path / "new.pt2")
    _older(tmp_path / "old.pt2", tmp_path / "new.pt2", {**net.state_dict(), "more": Gadget()})
    report = check_archive(tmp_path / "old.pt2")
    assert not report.safe
    assert any("eval" in finding for finding in report.findings), report.findings
