"""Does the host wait for a GPU only where a result's shape depends on its values? On a pretended device."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROWS = tomllib.loads((HERE / "expectations.toml").read_text())
WAITS = {name for row in ROWS["waits"] for name in row["operators"]}


def _said(program: str, *arguments: str) -> Any:
    """What a program prints as JSON; a process of its own, for a new backend of torch stays there."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


CASES = "import runpy; runpy.run_path('device_reads.py', run_name='__main__')"


def test_no_operator_reads_the_device_but_those_listed() -> None:
    assert _said(CASES, "each")["wrong"] == {}


@pytest.mark.slow
def test_no_case_reads_the_device_but_with_operators_listed() -> None:
    """With all values on the device, shape arithmetic too, any operator may wait, but it is right."""
    found = _said(CASES, "all")
    assert found["wrong"] == {}
    assert found["fixed"] == {}
    assert found["free"] == {}
    assert set(found["waited"]) == WAITS, "rows that explain nothing"


READERS = """
import json
import torch
from pretended_device import back, pretending, there
from inspector.autograd import to_torch
from inspector.errors import InspectorError
from onnx import TensorProto, helper

shown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", shown[:1], shown[1:])
net = to_torch(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
x = there(torch.tensor([1.0, -2.0, 3.0]))
readers = {
    "relu": torch.relu,
    "number": lambda x: x + torch.tensor(1.0),
    "item": lambda x: x * x.max().item(),
    "condition": lambda x: x if bool((x > 0).all()) else -x,
    "copy": lambda x: x.cpu().to(x.device),
    "mask": lambda x: x[x > 0],
    "nonzero": torch.nonzero,
    "strange": lambda x: x + torch.ones(3),
}
found = {}
for name, reader in readers.items():
    try:
        with pretending():
            found[name] = back(net.run([x], overrides={"Relu": reader}).outputs[0]).tolist()
    except InspectorError as error:
        found[name] = str(error.__cause__)
print(json.dumps(found))
"""


def test_a_read_is_noticed() -> None:
    found = _said(READERS)
    assert found.pop("relu") == [1, 0, 3]
    assert found.pop("number") == [2, -1, 4]
    assert "two devices" in found.pop("strange")
    assert {name for name, said in found.items() if "device" not in said} == set()
    assert len(found) == 5
