"""Does the command line say what Python says, help with an example, and fail with a clear message?"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inspector.actions.registry import actions, find_action
from inspector.actions.result import Result
from inspector.errors import UnknownName

SQUEEZENET = str(Path(__file__).parent.parent / "fixtures" / "squeezenet1_1.onnx")


def inspector(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspector.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_every_action() -> None:
    done = inspector("--help")
    assert done.returncode == 0
    for name in actions():
        assert name in done.stdout


@pytest.mark.parametrize("name", list(actions()))
def test_every_action_is_documented_with_an_example(name: str) -> None:
    action = find_action(name)
    assert action.summary.endswith((".", "?"))
    assert action.examples
    assert all(example.startswith(f"inspector {name}") for example in action.examples)
    for parameter in action.parameters:
        assert parameter.help, f"{name}: parameter {parameter.name} has no help"
    assert json.dumps(action.schema())


def test_json_is_what_python_gives(tmp_path: Path) -> None:
    done = inspector("check", SQUEEZENET, "--json")
    assert json.loads(done.stdout) == find_action("check").function(SQUEEZENET).to_dict()


def test_piped_output_is_plain() -> None:
    done = inspector("formats")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "SOURCE"),
        (["sumarize", SQUEEZENET], "summarize"),
        (["export-weights", "nowhere.onnx", "-o", "w"], "no such file"),
        (["export-weights", SQUEEZENET], "--output"),
        (["export-weights", SQUEEZENET, "-o", "w", "--format", "csv"], "safetensors"),
        (["export-weights", SQUEEZENET, "-o", "w", "--input-shape", "1,3,-"], "--input-shape"),
    ],
)
def test_mistakes_get_a_message_and_exit_code_2(arguments: list[str], words: str) -> None:
    done = inspector(*arguments)
    assert done.returncode == 2
    assert words in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_results_keep_the_protocol() -> None:
    result = find_action("check").function(SQUEEZENET)
    assert isinstance(result, Result)


def test_an_unknown_action_lists_near_ones() -> None:
    with pytest.raises(UnknownName, match="export-weights"):
        find_action("export-weight")


HOSTILE = "[/b][red]n"


@pytest.fixture(scope="module")
def bracketed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model whose every name would be read as the markup of a terminal, were it not taken literally."""
    names = [f"{HOSTILE}{i}" for i in range(4)]
    kernel = helper.make_tensor(f"{HOSTILE}w", TensorProto.FLOAT, [2, 3, 1, 1], range(6))
    nodes = [
        helper.make_node("Conv", [names[0], f"{HOSTILE}w"], [names[1]], name=f"{HOSTILE}conv"),
        helper.make_node("Relu", [names[1]], [names[2]], name=f"{HOSTILE}relu"),
        helper.make_node("GlobalAveragePool", [names[2]], [names[3]], name=f"{HOSTILE}pool"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in ((names[0], [1, 3, 8, 8]), (names[3], [1, 2, 1, 1]))
    ]
    graph = helper.make_graph(nodes, HOSTILE, ends[:1], ends[1:], [kernel])
    path = tmp_path_factory.mktemp("named") / "[red].onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["summarize"],
        ["check"],
        ["architecture"],
        ["convert", "-o", "made.onnx"],
        ["draw", "-o", "made.svg"],
        ["export-weights", "-o", "made"],
        ["predict", "--input", "random"],
        ["features", "--input", "random"],
        ["kernels"],
        ["profile"],
        ["overlay"],
        ["compare", SQUEEZENET],
        ["attribute", "--input", "random", "--method", "gradient", "-o", "made.png"],
    ],
)
def test_names_are_never_read_as_markup(arguments: list[str], bracketed: str, tmp_path: Path) -> None:
    written = [str(tmp_path / f"[red]{a}") if a.startswith("made") else a for a in arguments]
    done = inspector(written[0], bracketed, *written[1:])
    assert done.returncode == 0, done.stderr
    assert "[red]" in done.stdout


def test_memory_that_runs_out_is_no_internal_error(tmp_path: Path) -> None:
    """An array that says it is 12 TiB large, and holds nothing."""
    huge = tmp_path / "huge.npy"
    with huge.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (1, 3, 1 << 20, 1 << 20)}
        np.lib.format.write_array_header_1_0(file, header)
    done = inspector("predict", SQUEEZENET, "--input", str(huge))
    assert done.returncode == 2
    assert "Internal error" not in done.stderr
    assert "huge.npy" in done.stderr or "memory ran out" in done.stderr


@pytest.mark.parametrize("wait", [0.1, 0.3, 0.6, 1.2, 2.0])
def test_ctrl_c_says_one_word_whatever_is_being_loaded(wait: float, tmp_path: Path) -> None:
    heard = "from inspector.program import main; from inspector.interruption import listen; listen()"
    start = f"{heard}; print('started', flush=True); main()"
    command = [sys.executable, "-c", start, "features", SQUEEZENET, "--input", "random", "-o", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(wait)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate()
    assert child.returncode == 130
    assert said.splitlines()[-1] == "Stopped."
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
