"""Do the house rules hold? Floors, sizes, names, public lists, and what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for package in ("inspector", "converters") for path in (ROOT / package).rglob("*.py"))
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager"}
BORDERS = {"cli.py", "child.py"}
"""Where a process ends: the only files that may catch anything and not raise it again."""

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 80
FRAMEWORKS = ("torch", "onnxruntime", "keras", "tensorflow", "transformers", "matplotlib")


def test_imports_go_down_only() -> None:
    tool = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([str(tool)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_keeps_the_house_rules(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert path.stem.lower() not in BANNED_NAMES
    assert len(text.splitlines()) <= MAX_FILE_LINES
    assert ast.get_docstring(tree), "the first line says what question the file answers"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"
        if isinstance(node, ast.ExceptHandler):
            names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"bare"}
            passes_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            allowed = path.name in BORDERS or "server" in path.parts or passes_on
            assert allowed or not names & {"Exception", "BaseException", "bare"}, f"line {node.lineno}"


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.name != "__init__.py"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_all_lists_what_exists_and_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text())
    listed: list[str] | None = None
    defined: set[str] = set()
    public: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            listed = ast.literal_eval(node.value)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            defined.add(node.name)
        for name in ast.walk(node) if isinstance(node, ast.Assign | ast.AnnAssign) else ():
            if isinstance(name, ast.Name):
                defined.add(name.id)
        if isinstance(node, ast.Import | ast.ImportFrom):
            public |= {alias.asname or alias.name for alias in node.names}
    if listed is not None:
        assert set(listed) <= defined | public
        assert listed == sorted(set(listed)) or len(listed) == len(set(listed))


IMPORT = "import inspector"
HELP = """
import runpy, sys
sys.argv = ["inspector", "--help"]
try:
    runpy.run_module("inspector.cli", run_name="__main__")
except SystemExit:
    pass
"""


@pytest.mark.parametrize("code", [IMPORT, HELP], ids=["import", "help"])
def test_no_framework_is_imported_before_it_is_needed(code: str) -> None:
    probe = f"{code}\nimport sys\nloaded = set({FRAMEWORKS!r}) & set(sys.modules)\nassert not loaded, loaded"
    subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True)


def test_help_is_light() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "inspector.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    times = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    loaded = {parts[2].strip() for parts in times[1:]}
    assert not loaded & {*FRAMEWORKS, "onnx", "networkx", "h5py"}


def test_converters_stand_alone() -> None:
    for path in (p for p in SOURCES if p.is_relative_to(ROOT / "converters")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any(name.split(".")[0] == "inspector" for name in names), path


def test_no_two_test_files_share_a_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "__init__.py"]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
