"""Are channel statistics over a folder those of all its values, however the pass was cut?"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import inspector
from inspector.errors import BadInput, UnknownName
from inspector.execution import data_statistics
from inspector.execution.channel_counts import ChannelCounts
from inspector.progress import listening


def units() -> inspector.Model:
    """Channel 0 passes, 1 is dead, 2 saturates a sigmoid."""
    weights = np.array([1.0, 0.0, 100.0], np.float32).reshape(3, 1, 1, 1)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Sigmoid", ["c"], ["s"], name="sigmoid"),
    ]
    taken = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])]
    given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 4, 4]) for n in ("r", "s")]
    stored = [helper.make_tensor("w", TensorProto.FLOAT, [3, 1, 1, 1], weights.reshape(-1))]
    proto = helper.make_model(helper.make_graph(nodes, "g", taken, given, stored), ir_version=8)
    proto.opset_import[0].version = 17
    return inspector.open_model(proto)


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(6, 1, 1, 4, 4)).astype(np.float32) * 3
    folder = tmp_path / "data"
    folder.mkdir()
    for index, array in enumerate(arrays):
        np.save(folder / f"{index}.npy", array)
    return folder, arrays


def test_moments_are_those_of_all_values(data: tuple[Path, np.ndarray]) -> None:
    folder, arrays = data
    found = data_statistics(units(), folder)
    counts = found.units["c"].counts
    assert found.files == 6
    assert counts.count == arrays.size
    assert counts.mean[0] == pytest.approx(arrays.mean(dtype=np.float64))
    assert counts.std[0] == pytest.approx(arrays.std(dtype=np.float64))
    assert (counts.minimum[0], counts.maximum[0]) == (arrays.min(), arrays.max())
    assert found.units["r"].zeros[0] == pytest.approx((arrays <= 0).mean())
    assert counts.histogram[0].sum() == arrays.size
    expected, _ = np.histogram(arrays, counts.edges)
    assert np.array_equal(counts.histogram[0], expected)


def test_dead_and_saturated_units_are_found(data: tuple[Path, np.ndarray]) -> None:
    found = data_statistics(units(), data[0])
    assert found.units["r"].dead.tolist() == [False, True, False]
    assert found.units["s"].saturated.tolist() == [False, False, True]


def test_an_unfinished_pass_is_resumed(data: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    folder, _ = data
    whole = data_statistics(units(), folder)
    half = tmp_path / "half"
    half.mkdir()
    for name in ("0.npy", "1.npy", "2.npy"):
        (half / name).write_bytes((folder / name).read_bytes())
    state = tmp_path / "state.npz"
    data_statistics(units(), half, state=state)
    resumed = data_statistics(units(), folder, state=state)
    assert "3 files were counted" in resumed.notes[0]
    for key, unit in whole.units.items():
        assert np.array_equal(resumed.units[key].counts.mean, unit.counts.mean)
        assert np.array_equal(resumed.units[key].counts.histogram, unit.counts.histogram)
    with pytest.raises(BadInput, match="another model, recipe"):
        data_statistics(units(), folder, "r", state=state)


def test_unreadable_files_are_listed_not_fatal(data: tuple[Path, np.ndarray]) -> None:
    folder, _ = data
    (folder / "broken.png").write_bytes(b"nothing")
    found = data_statistics(units(), folder)
    assert found.files == 6
    assert list(found.skipped) == ["broken.png"]


def test_empty_folders_and_folders_without_good_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is in it"):
        data_statistics(units(), tmp_path)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(BadInput, match="none of 1 files"):
        data_statistics(units(), tmp_path, state=tmp_path / "state")
    assert not (tmp_path / "state").exists()  # it would refuse the recipe that is right
    with pytest.raises(UnknownName, match="no preprocess preset is called 'nope'"):
        data_statistics(units(), tmp_path, preprocess="nope")


def test_merged_counts_equal_one_pass() -> None:
    rng = np.random.default_rng(1)
    values = (rng.normal(size=(2, 1000)) * 50).astype(np.float32)
    values[:, :300] *= np.float32(1e-12)  # small negative numbers stay left of the middle of the histogram
    whole, left, right = (ChannelCounts.empty(2) for _ in range(3))
    whole.add(values, 2)
    left.add(values[:, :300], 1)
    left.fold(*right.add(values[:, 300:], 1))
    left.join(right)
    assert np.allclose(left.mean, whole.mean)
    assert np.allclose(left.std, whole.std)
    assert left.count == whole.count
    assert left.images == whole.images
    assert np.array_equal(left.histogram, whole.histogram)


EMPTY = 2000
"""Bytes of a state that holds no value yet are fewer."""

COUNT = """
import sys
import inspector
from inspector.execution import data_statistics
data_statistics(inspector.open_model(sys.argv[1]), sys.argv[2], state=sys.argv[3])
"""


def test_a_killed_pass_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    folder, state = tmp_path / "data", tmp_path / "state.npz"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for index in range(160):
        np.save(folder / f"{index:03}.npy", rng.normal(size=(1, 1, 4, 4)).astype(np.float32))
    onnx.save(units().proto, tmp_path / "net.onnx")
    command = [sys.executable, "-c", COUNT, str(tmp_path / "net.onnx"), str(folder), str(state)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while (
        (not state.exists() or state.stat().st_size < EMPTY)
        and child.poll() is None
        and time.monotonic() < until
    ):
        time.sleep(0.002)
    child.kill()
    child.wait()
    resumed, whole = data_statistics(units(), folder, state=state), data_statistics(units(), folder)
    counted = int(resumed.notes[0].split()[0])
    assert counted % 50 == 0
    assert 0 < counted < 160
    assert resumed.files == whole.files == 160
    for key, unit in whole.units.items():
        assert np.array_equal(resumed.units[key].counts.mean, unit.counts.mean)
        assert np.array_equal(resumed.units[key].counts.m2, unit.counts.m2)


def test_a_place_that_cannot_be_written_is_known_before_the_first_file(
    data: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    seen: list[int] = []
    with pytest.raises(OSError, match=r"file"), listening(lambda step: seen.append(step.done)):
        data_statistics(units(), data[0], state=tmp_path / "file" / "state.npz")
    assert not seen


FULL = """
import resource, sys
from pathlib import Path
import inspector
from inspector.execution import data_statistics
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    data_statistics(inspector.open_model(sys.argv[1]), sys.argv[2], state=sys.argv[3])
except OSError as cause:
    print(cause.strerror)
"""


def test_a_full_disk_leaves_nothing_half_written(data: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    onnx.save(units().proto, tmp_path / "net.onnx")
    place = tmp_path / "out" / "state.npz"
    command = [sys.executable, "-c", FULL, str(tmp_path / "net.onnx"), str(data[0]), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "File too large"
    assert [path.name for path in place.parent.iterdir()] in ([], ["state.npz"])
