"""Does every command and Python example in README and docs run as written?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.actions.registry import actions

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tasks").glob("*.md"))]
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder as a reader has it: the repository's fixtures, and room for results."""
    path = tmp_path_factory.mktemp("docs")
    (path / "fixtures").symlink_to(ROOT / "fixtures")
    return path


def environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return dict(os.environ, PATH=f"{scripts}{os.pathsep}{os.environ['PATH']}", COLUMNS="140")  # noqa: TID251


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_run(page: Path, folder: Path) -> None:
    for block in CONSOLE.findall(page.read_text()):
        for line in block.splitlines():
            if not line.startswith("$ inspector "):
                continue
            command, _, remark = line.removeprefix("$ ").partition("   # exit ")
            done = subprocess.run(
                command,
                shell=True,
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == int(remark or 0), f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_examples_run(page: Path, folder: Path) -> None:
    for code in PYTHON.findall(page.read_text()):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stderr}"


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("docs/**/*.md")) + [ROOT / "README.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_command_has_its_place_in_the_docs() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    missing = [name for name in actions() if f"inspector {name}" not in text]
    assert not missing, f"no page shows: {missing}"


def test_reference_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
