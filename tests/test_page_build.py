"""Is the committed page what its sources build?"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

WORKBENCH = Path(__file__).parent.parent / "inspector" / "workbench"


@pytest.mark.slow
def test_the_committed_page_is_built_from_its_sources(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Node.js is not installed; it is needed to build the page, not to use it")
    source = tmp_path / "source"
    shutil.copytree(WORKBENCH / "source", source, ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "dist").mkdir()
    installed = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit"], cwd=source, capture_output=True, text=True
    )
    if installed.returncode:
        pytest.skip(f"the page's packages cannot be installed here: {installed.stderr.strip()[-200:]}")
    subprocess.run([npm, "run", "build"], cwd=source, capture_output=True, text=True, check=True)
    for built in sorted((tmp_path / "dist").iterdir()):
        committed = (WORKBENCH / "dist" / built.name).read_bytes()
        assert built.read_bytes() == committed, f"{built.name} is not what the sources build: make page"
