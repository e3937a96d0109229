"""Is SqueezeNet recognised as one network in every file format, with every weight matched?"""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.comparison.aligning import align
from inspector.comparison.edits import edits
from inspector.model import open_model

FILES = (
    "squeezenet1_1_imagenet_op13_ts.onnx",
    "squeezenet1_1_imagenet.keras",
    "squeezenet1_1_imagenet.h5",
    "squeezenet1_1_imagenet.pt2",
    "squeezenet1_1_imagenet_torchscript.pt",
)


@pytest.mark.parametrize("file", FILES)
def test_one_network_in_two_formats(shared_models: Path, file: str) -> None:
    folder = shared_models / "imagenet_squeezenet1_1"
    a, b = open_model(folder / "squeezenet1_1_imagenet_op18.onnx"), open_model(folder / file)
    found = align(a, b)
    assert (len(found.pairs), found.only_a, found.only_b, found.similarity) == (64, (), (), 1.0)
    anchored = [pair for pair in found.pairs if "weights" in pair.evidence]
    assert len(anchored) == 26
    assert all(pair.a.op == "Conv" for pair in anchored)
    assert edits(found) == ()
