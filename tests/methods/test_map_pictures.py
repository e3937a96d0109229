"""Are maps shown in the form of their input: words, curves, bars?"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import inspector
from inspector import views
from inspector.actions.attribute import attribute as run_attribute
from inspector.methods import attribute, evaluate, prepare

WORDS = ("[PAD]", "a", "good", "bad", "film", "##s")
IDS = np.array([[1, 2, 4, 5, 3]])


class Reader(nn.Module):
    """A mean of word vectors behind a small mixing layer, and two scores."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.mix, self.head = nn.Embedding(6, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.tanh(self.mix(self.words(ids))).mean(1))


@pytest.fixture(scope="module")
def reader() -> inspector.Model:
    torch.manual_seed(3)
    return inspector.open_model(Reader().eval(), example=torch.from_numpy(IDS))


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion", "shapley", "lrp"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tokens_are_coloured_text(reader: inspector.Model, method: str, dtype: str) -> None:
    found = attribute(reader, IDS, method, 1, dtype=dtype)  # pyright: ignore[reportArgumentType]
    assert found.axes in (("n", "t"), ("n", "t", "e"))
    assert found.values.shape[:2] == IDS.shape
    assert found.tokens is not None
    assert found.tokens.tolist() == IDS[0].tolist()
    page = found.figure(vocabulary=WORDS, media="text/html").data.decode()
    assert ">good<" in page
    assert ">s<" in page
    assert ">3<" in found.figure(media="text/html").data.decode()
    assert found.figure(vocabulary=WORDS).data[:4] == b"\x89PNG"


def test_occlusion_of_tokens_hides_whole_tokens(reader: inspector.Model) -> None:
    """In float64 the embedding is hidden: what a token adds to a mean is the difference of one vector."""
    found = attribute(reader, IDS, "occlusion", 1, dtype="float64", window=1, stride=1)
    subject = prepare(reader, IDS, target=1, dtype="float64")
    for place in range(IDS.shape[1]):
        hidden = subject.x.clone()
        hidden[:, place] = 0
        fall = float(subject.own_score[0] - subject.score(hidden)[0])
        assert found.values[0, place] == pytest.approx(fall, abs=1e-12)


def test_measures_hide_tokens(reader: inspector.Model) -> None:
    judged = evaluate(prepare(reader, IDS, target=1), ["gradient-x-input"], ("insertion", "deletion"))
    curve = judged.measurements["gradient-x-input"]["deletion"].curve
    assert curve is not None
    assert curve[1][0] != curve[1][-1]


def test_signals_are_curves_and_tables_bars(tmp_path: Path) -> None:
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv1d(2, 3, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(96, 2)).eval()
    wave = torch.randn(1, 2, 32)
    model = inspector.open_model(net, example=wave)
    for method in ("gradient", "occlusion", "grad-cam"):
        found = attribute(model, wave.numpy(), method, 0)
        assert found.signal is not None
        drawn = found.figure(media="image/svg+xml")
        drawn.save(tmp_path / f"{method}.svg")
        assert drawn.height > 150
    table = inspector.open_model(nn.Linear(6, 2).eval(), example=torch.randn(1, 6))
    bars = attribute(table, np.ones((1, 6), np.float32), "gradient", 0).figure(media="image/svg+xml")
    assert b"feature 5" in bars.data


def test_the_command_names_tokens(reader: inspector.Model, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(WORDS)}))
    np.save(tmp_path / "ids.npy", IDS)
    page = tmp_path / "words.html"
    run_attribute(
        reader, [str(tmp_path / "ids.npy")], page, method=["lrp"], vocabulary=str(tmp_path / "vocab.json")
    )
    assert ">film<" in page.read_text()


def test_maps_of_single_pixels_stand_beside_the_picture_and_maps_of_places_over_it() -> None:
    drawn = np.random.default_rng(0)
    picture = drawn.integers(0, 255, (40, 40, 3), dtype=np.uint8)
    places, pixels = drawn.uniform(size=(40, 40)), drawn.normal(size=(3, 40, 40))

    def sheet(values: np.ndarray, under: np.ndarray) -> bytes:
        made = views.draw_heatmaps([[values]], under, row_labels=["a"], column_labels=["b"])
        with Image.open(io.BytesIO(made.data)) as found:
            return found.crop((found.width - 220, 0, found.width, found.height)).tobytes()

    other = 255 - picture
    assert sheet(pixels, picture) == sheet(pixels, other)
    assert sheet(places, picture) != sheet(places, other)
