"""Are depth, receptive field, memory and distance of an architecture what a hand count gives?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from planted import faulty

from inspector import comparison
from inspector.model import open_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables")
    for kind in ("clean", "relu6", "pad"):
        onnx.save(faulty(kind), path / f"{kind}.onnx")
    (path / "readme.txt").write_text("no model")
    return path


def test_figures_of_a_known_network(folder: Path) -> None:
    found = comparison.architecture(open_model(folder / "clean.onnx"))
    convs = 3 * 16 * 9 + 6 * 16 * 16 * 9
    assert found.parameters == convs + 7 * 2 * 16 + 10 * 1024 + 10
    assert found.macs == 3 * 16 * 9 * 16 * 16 + 6 * 16 * 16 * 9 * 8 * 8 + 10 * 1024
    assert found.depth == 8
    assert found.receptive == (55, 55)  # 3, then 3 + 2·2 = 7 by the pool, then six times 2·4
    stem, rest = 3 * 16 * 16 * 16, (1 + 3 * (3 + 2 + 2) + 1) * 16 * 8 * 8
    assert found.activations == 4 * (stem + rest + 10)
    assert sum(row.parameters for row in found.blocks) == found.parameters
    assert sum(row.activations or 0 for row in found.blocks) == found.activations
    assert found.operators["Conv"] == 7


def test_distances_make_a_tree(folder: Path) -> None:
    models = [open_model(folder / f"{kind}.onnx") for kind in ("clean", "relu6", "pad")]
    found = comparison.distances(models)
    assert np.array_equal(found.values, found.values.T)
    assert found.values[0, 2] == 0
    assert 0 < found.values[0, 1] < 0.2
    assert {int(leaf) for leaf in found.linkage[0, :2]} == {0, 2}
    assert comparison.draw_distances(found).data.startswith(b"\x89PNG")


def test_a_folder_beside_a_file(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inspector.cli", "architecture", str(folder / "clean.onnx"), "--folder",
         str(folder), "-o", str(tmp_path / "tree.png")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "receptive field" in done.stdout
    assert "Skipped readme.txt" in done.stdout
    assert (tmp_path / "tree.png").stat().st_size > 1000
