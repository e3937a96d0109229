"""Do the reports hold what was found, keep their schema, and ask nothing of any server?"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import onnx
import pytest
from planted import faulty, network, proto

import inspector
from inspector import comparison
from inspector.errors import BadInput

INSPECTOR = [sys.executable, "-m", "inspector.cli"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The network, and one with a changed weight, another activation and a name that is markup."""
    folder = tmp_path_factory.mktemp("reports")
    onnx.save(faulty("clean"), folder / "old.onnx")
    other = faulty("one weight")
    node = next(node for node in other.graph.node if node.name == "b0.relu")
    node.op_type = "Sigmoid"
    next(node for node in other.graph.node if node.name == "fc").name = "<script>alert(1)</script>|x"
    onnx.save(other, folder / "new.onnx")
    return folder / "old.onnx", folder / "new.onnx"


@pytest.fixture(scope="module")
def found(files: tuple[Path, Path]) -> inspector.Comparison:
    return inspector.compare(*files)


def fits(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """Where a value breaks a schema, for the few words that ours uses."""
    if "anyOf" in schema:
        tries = [fits(value, arm, where) for arm in schema["anyOf"]]
        return [] if [] in tries else tries[-1]
    if "const" in schema:
        return [] if value == schema["const"] else [f"{where}: {value!r}"]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{where}: {value!r}"]
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "null": type(None),
    }
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, kinds.get(name, (int, float))) for name in names):
        return [f"{where}: {value!r} is no {names}"]
    faults: list[str] = []
    if isinstance(value, dict):
        faults += [f"{where}.{key} is missing" for key in schema.get("required", []) if key not in value]
        for key, inner in schema.get("properties", {}).items():
            faults += fits(value[key], inner, f"{where}.{key}") if key in value else []
    if isinstance(value, list) and "items" in schema:
        faults += [
            fault for i, item in enumerate(value) for fault in fits(item, schema["items"], f"{where}[{i}]")
        ]
    return faults


def test_json_keeps_its_schema(found: inspector.Comparison) -> None:
    record = json.loads(json.dumps(comparison.record(found), allow_nan=False))
    assert fits(record, comparison.SCHEMA) == []
    assert record["agrees"] == {"structure": False, "weights": False, "activations": False}
    assert record["first_divergence"]["cause"] == "activation"
    assert fits(record | {"pairs": [{}]}, comparison.SCHEMA)


def test_every_node_of_both_files_has_its_state_and_reason(found: inspector.Comparison) -> None:
    record = comparison.record(found)
    for side, other in ("ab", "ba"):
        model = getattr(found.alignment, side).model
        nodes = {node["key"]: node for node in record["nodes"][side]}
        assert list(nodes) == list(model.nodes)
        partners = {node["key"]: node["partners"] for node in record["nodes"][other]}
        assert all(key in partners[p] for key, node in nodes.items() for p in node["partners"])
    nodes = {node["key"]: node for node in record["nodes"]["a"]}
    assert (nodes["b0.relu"]["state"], nodes["b0.relu"]["partners"]) == ("changed", ["b0.relu"])
    assert nodes["b0.relu"]["reasons"][0] == "Relu -> Sigmoid at 1 of 7"
    assert nodes["b2.1"]["reasons"][0].startswith("b2.1.w: 1 of 2,304 values changed, relative 0.0")
    assert (nodes["b2.1"]["kind"], nodes["b2.1"]["weights"]["differ"]) == ("weights", 1)
    change = record["weights"][nodes["b2.1"]["weights"]["at"][0]]
    assert change["values"] == 1
    assert sum(change["distributions"]["a"]) == sum(change["distributions"]["b"]) == 16 * 16 * 9
    assert nodes["stem.bn"]["partners"] == nodes["stem"]["partners"] == ["stem", "stem.bn"]
    assert [key for key, node in nodes.items() if node["first_divergence"]] == ["b0.relu"]
    assert record["activations"][nodes["b0.relu"]["activation"]["at"]]["agrees"] is False
    assert nodes["flat"]["state"] == "ignored"


def test_the_page_asks_nothing_of_any_server(found: inspector.Comparison) -> None:
    page = comparison.to_page(found)
    assert not re.search(r"(?:src|href)=['\"](?!#)|url\(|@import|fetch\(", page)
    assert "<script>alert" not in page
    assert "{{" not in page
    assert page.count("class='row ") == 19
    assert page.count("class='bars'") == 1 + sum(not change.agrees for change in found.activations)
    assert page.count("class='row node'") == 1
    for target in re.findall(r"href='#(row-\d+)'", page):
        assert f"id='{target}'" in page


def test_the_picture_is_sound_and_coloured_by_state(found: inspector.Comparison) -> None:
    root = ET.fromstring(comparison.to_svg(found))
    states = [g.get("class") for g in root.iter("{http://www.w3.org/2000/svg}g") if g.get("class")]
    assert states.count("row node") == 1
    assert states.count("row weights") == 1
    assert len(states) == 19
    figure = comparison.draw_comparison(found)
    assert figure.media == "image/svg+xml"
    assert (int(root.attrib["width"]), int(root.attrib["height"])) == (figure.width, figure.height)


def test_markdown_escapes_names(found: inspector.Comparison) -> None:
    text = comparison.to_markdown(found)
    assert text.startswith("## ❌")
    assert "Relu -> Sigmoid" in text
    assert "<script>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {9}
    assert "| █·······▁ |" in text


def test_two_equal_calls_give_equal_bytes(files: tuple[Path, Path], found: inspector.Comparison) -> None:
    again = inspector.compare(*files)
    assert comparison.to_page(again) == comparison.to_page(found)
    assert comparison.record(again) == comparison.record(found)


def test_other_endings_are_refused(found: inspector.Comparison, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"\.html"):
        comparison.write_report(found, tmp_path / "diff.docx")


def test_runs_of_equal_nodes_are_folded(tmp_path: Path) -> None:
    nodes, weights = network()
    flat = next(i for i, node in enumerate(nodes) if node.name == "flat")
    value = nodes[flat].input[0]
    for i in range(200):
        nodes.insert(flat + i, onnx.helper.make_node("Relu", [value], [f"long{i}"], name=f"long{i}"))
        value = f"long{i}"
    nodes[flat + 200].input[0] = value
    onnx.save(proto(nodes, weights), tmp_path / "long.onnx")
    found = inspector.compare(tmp_path / "long.onnx", tmp_path / "long.onnx", random=0)
    assert "equal nodes" in comparison.to_svg(found)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 0),
        (["--fail-on", "structure"], 3),
        (["--fail-on", "weights,activations:1e-4"], 3),
        (["--fail-on", "activations:10"], 0),
        (["--fail-on", "colour"], 2),
        (["--fail-on", "weights:1"], 2),
    ],
)
def test_exit_codes(files: tuple[Path, Path], tmp_path: Path, options: list[str], code: int) -> None:
    out = ["--json", str(tmp_path / "out.json"), "-o", str(tmp_path / "diff.md")]
    done = subprocess.run(
        [*INSPECTOR, "compare", *map(str, files), *out, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    if code != 2:
        assert fits(json.loads((tmp_path / "out.json").read_text("utf-8")), comparison.SCHEMA) == []
        assert (tmp_path / "diff.md").read_text("utf-8").startswith("## ")
        assert "Not the same network" in done.stdout


def test_git_shows_what_changed_in_a_model(files: tuple[Path, Path], tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout

    command = " ".join(INSPECTOR)
    git("init", "-q")
    git("config", "diff.model.textconv", f"{command} summarize")
    git("config", "diff.model.cachetextconv", "true")
    git("config", "diff.tool", "inspector")
    git("config", "difftool.inspector.cmd", f'{command} compare "$LOCAL" "$REMOTE"')
    (tmp_path / ".gitattributes").write_text("*.onnx diff=model\n")
    (tmp_path / "net.onnx").write_bytes(files[0].read_bytes())
    git("add", ".")
    git("commit", "-qm", "first")
    (tmp_path / "net.onnx").write_bytes(files[1].read_bytes())
    told = git("diff")
    assert "Binary files" not in told
    assert re.search(r"^\+.*Sigmoid", told, re.MULTILINE)
    assert "Relu -> Sigmoid" in git("difftool", "--no-prompt")
