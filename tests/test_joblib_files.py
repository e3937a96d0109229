"""Are arrays that joblib dumped read as they are, whatever packed them, and is nothing of the file run?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

import inspector
from converters.formats import joblib_file
from inspector.errors import InspectorError

PACKERS = [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3), ("lz4", 1)]
RNG = np.random.default_rng(0)


def arrays() -> dict[str, np.ndarray]:
    wide = RNG.normal(size=(5, 7, 3))
    return {
        "single": wide.astype(np.float32),
        "double": wide,
        "columns": np.asfortranarray(wide.astype(np.float16)),
        "big": wide.astype(">f4"),
        "whole": RNG.integers(-9, 9, (4, 4)),
        "scalar": np.asarray(np.float32(2.5)),
        "empty": np.zeros((0, 3), np.float32),
    }


@pytest.mark.parametrize("compress", PACKERS)
def test_every_bit_comes_back(tmp_path: Path, compress: Any) -> None:
    given = arrays()
    joblib.dump({"net": given, "epoch": 3}, tmp_path / "weights.joblib", compress=compress)
    model = inspector.open_model(tmp_path / "weights.joblib")
    assert model.origin.format == "joblib"
    assert set(model.weights) == {f"net/{name}" for name in given}
    for name, array in given.items():
        found = model.weight(f"net/{name}").array()
        assert found.shape == array.shape
        assert found.dtype == array.dtype.newbyteorder("=")
        assert np.array_equal(found, array)


def test_a_list_without_names_is_told_by_layers(tmp_path: Path) -> None:
    kernels = [
        RNG.normal(size=shape).astype(np.float32) for shape in ((3, 3, 2, 4), (4,), (1, 1, 4), (8, 5), (5,))
    ]
    joblib.dump(kernels, tmp_path / "weights.lz4")
    model = inspector.open_model(tmp_path / "weights.lz4")
    assert list(model.weights) == ["layer1/0", "layer1/1", "layer1.2/0", "layer2/0", "layer2/1"]
    assert any("without names" in note for note in model.notes)


class Fitted:
    """What other packages dump: an object whose attributes hold arrays."""

    def __init__(self) -> None:
        self.coefs = [np.ones((2, 3)), np.zeros(3)]


class Hostile:
    """Would run a command if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_objects_are_looked_into_and_never_made(tmp_path: Path) -> None:
    joblib.dump([Hostile(tmp_path / "made"), Fitted()], tmp_path / "object.joblib")
    model = inspector.open_model(tmp_path / "object.joblib")
    assert set(model.weights) == {"1/coefs/0", "1/coefs/1"}
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("compress", PACKERS)
def test_a_file_that_was_cut_off_says_so(tmp_path: Path, compress: Any) -> None:
    joblib.dump({"a": RNG.normal(size=(50, 50)), "b": np.arange(9)}, tmp_path / "whole", compress=compress)
    data = (tmp_path / "whole").read_bytes()
    for size in np.linspace(40, len(data) - 1, 12, dtype=int):
        (tmp_path / "cut.joblib").write_bytes(data[:size])
        with pytest.raises(InspectorError):
            inspector.open_model(tmp_path / "cut.joblib")


def test_objects_in_arrays_are_refused(tmp_path: Path) -> None:
    joblib.dump({"a": np.ones((40, 40)), "o": np.array([{}, []], object)}, tmp_path / "x.joblib")
    with pytest.raises(InspectorError, match="only numbers are read"):
        inspector.open_model(tmp_path / "x.joblib")


def test_a_file_that_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joblib.dump([np.zeros((1000, 1000))], tmp_path / "bomb.lz4")
    monkeypatch.setattr(joblib_file, "MAX_BYTES", 1 << 20)
    with pytest.raises(InspectorError, match="once unpacked"):
        inspector.open_model(tmp_path / "bomb.lz4")
