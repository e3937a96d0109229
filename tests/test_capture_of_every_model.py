"""Is every value of every model that can be run the one of an unfused run, bit for bit, by every strategy?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import inspector
from inspector.execution import Capture, capture, measure, open_session, random_feeds, run

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "models"
SUFFIXES = {".onnx", ".keras", ".h5", ".pt", ".pt2", ".jit", ".tflite", ".pb", ".pth", ".safetensors"}
SAMPLED = 50
"""Values compared by the strategies that replay or stream, of models that have more."""

FILES = sorted(
    path
    for folder in (SHARED, ROOT / "fixtures" / "models")
    if folder.is_dir()
    for path in folder.rglob("*")
    if path.suffix in SUFFIXES
)


def opened(path: Path) -> inspector.Model:
    """The model, where it can be run: a file of weights alone, or one that needs trust, cannot."""
    try:
        model = inspector.open_model(path)
    except inspector.InspectorError as cause:
        pytest.skip(f"does not open: {cause}")
    if not model.runnable:
        pytest.skip(f"cannot be run: {model.obstacles[0]}")
    return model


def unfused(model: inspector.Model, feeds: dict[str, Any]) -> dict[str, Any]:
    """Every top-level value from one session to which nothing was done but to list them as outputs."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    have = {output.name for output in proto.graph.output}
    made = [name for node in proto.graph.node if node.op_type != "Constant" for name in node.output if name]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made if name not in have)
    session = open_session(model, proto)
    return dict(zip(session.output_names, run(session, feeds), strict=True))


def same(one: Any, other: Any) -> bool:
    if isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype == object or one.dtype != other.dtype or one.shape != other.shape:
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    return one.tobytes() == other.tobytes()


def alike(counted: Capture, whole: Capture, key: str) -> bool:
    """Whether the graph's own statistics are NumPy's over the value, but for rounding."""
    value = whole[key]
    if not isinstance(value, np.ndarray) or value.dtype.kind in "OUS":
        return True
    found, want = counted.statistics[key], measure(value)
    size = max(abs(want.minimum or 0), abs(want.maximum or 0), 1e-30)
    pairs = [(getattr(found, name), getattr(want, name)) for name in ("minimum", "maximum", "mean", "std")]
    if any((one is None) != (other is None) for one, other in pairs):
        return False
    return found.shape == want.shape and all(abs((a or 0) - (b or 0)) <= 2e-5 * size for a, b in pairs)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_every_value_of_every_model(path: Path) -> None:
    model = opened(path)
    feeds = random_feeds(model, seed=11)
    expected = unfused(model, feeds)
    whole = capture(model, feeds, strategy="all")
    assert whole.graph == "exact"
    missing = [key for key in expected if key not in whole]
    assert not missing
    assert [key for key, value in expected.items() if not same(whole[key], value)] == []
    keys = sorted(expected)
    chosen = np.random.default_rng(0).permutation(len(keys))[:SAMPLED]
    for strategy in ("checkpoint", "segments", "statistics"):
        got = capture(model, feeds, strategy=strategy)
        assert list(got) == list(whole), strategy
        assert [keys[i] for i in sorted(chosen) if not same(got[keys[i]], expected[keys[i]])] == [], strategy
    assert [key for key in whole if not alike(got, whole, key)] == []
    for key in whole:  # those inside bodies too: they are there, with the type that was inferred
        if isinstance(whole[key], np.ndarray) and model.values[key].dtype not in ("", "string"):
            assert whole[key].dtype.name == model.values[key].dtype
