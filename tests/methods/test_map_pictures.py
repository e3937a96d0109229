"""Are maps shown in the form of their input: words, curves, bars?"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import inspector
from inspector import views
from inspector.actions.attribute import attribute as run_attribute
from inspector.errors import BadInput, InspectorError
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


@pytest.mark.parametrize("name", ["vocab.json", "vocab.txt"])
def test_the_command_names_tokens(reader: inspector.Model, tmp_path: Path, name: str) -> None:
    """A vocabulary with a token a line begins with `[PAD]`, which is no JSON."""
    written = json.dumps({word: index for index, word in enumerate(WORDS)})
    (tmp_path / name).write_text(written if name.endswith(".json") else "\n".join(WORDS))
    np.save(tmp_path / "ids.npy", IDS)
    page = tmp_path / "words.html"
    run_attribute(reader, [str(tmp_path / "ids.npy")], page, method=["lrp"], vocabulary=str(tmp_path / name))
    assert ">film<" in page.read_text()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"option": ["sample=3"]}, "option of lrp, gradient is called 'sample'"),
        ({"path": Path("x.jpg")}, "'.jpg'"),
        ({"raw": Path("x.txt")}, ".npy or .npz"),
        ({"columns": 0}, "at least one column"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_computed(
    reader: inspector.Model, how: dict[str, Any], said: str
) -> None:
    """The input does not exist, which would be told next."""
    with pytest.raises(InspectorError, match=re.escape(said)):
        run_attribute(reader, ["none.npy"], method=["lrp", "gradient"], **how)


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


def test_a_sheet_goes_on_below_with_every_target_in_each_band() -> None:
    drawn = np.random.default_rng(1)
    picture = drawn.integers(0, 255, (30, 30, 3), dtype=np.uint8)
    names = [f"method-{k}" for k in range(34)]
    rows: list[list[np.ndarray | None]] = [[drawn.normal(size=(5, 5)) for _ in names] for _ in range(2)]
    rows[1][0] = None
    targets, lines = ["cat", "dog"], [["refused" if m is None else "" for m in row] for row in rows]

    def sheet(**how: Any) -> views.Figure:
        return views.draw_heatmaps(
            rows, picture, row_labels=targets, column_labels=names, texts=lines, media="image/svg+xml", **how
        )

    page, words = sheet(), sheet().data.decode()
    assert page.width < 1700  # a page, whatever the number of methods
    assert page.height > page.width
    assert [words.count(f">{name}<") for name in ("input", *names)] == [1] * 35
    assert words.count(">cat<") == words.count(">dog<") == 6  # bands of six columns
    assert words.count(">refused<") == 1
    assert sheet(columns=40).width > 8000
    assert sheet(columns=1).data.decode().count(">cat<") == 35
    with pytest.raises(BadInput, match="at least one column"):
        sheet(columns=0)


def test_a_strip_below_each_map_says_what_its_colours_mean() -> None:
    maps = [np.array([[-0.5, 0.25]]), np.array([[0.0, 3.0]]), np.zeros((1, 2)), np.full((1, 2), 7.0)]
    words = views.draw_heatmaps([maps], column_labels=list("abcd"), media="image/svg+xml").data.decode()
    for number in ("−0.5", "0.5", "3", "zero everywhere", "7 everywhere"):
        assert f">{number}<" in words


def test_a_reduced_map_is_averaged_before_it_is_coloured() -> None:
    """Blue beside orange would else become a dark colour that stands for nothing."""
    signs = np.where(np.indices((448, 448)).sum(0) % 2 == 0, 1.0, -1.0)
    made = views.draw_heatmaps([[signs]], column_labels=["a"])
    with Image.open(io.BytesIO(made.data)) as found:
        middle = np.asarray(found)[100:200, 100:200].reshape(-1, 3)
    white = views.colors.color_table("signed")[127:129].mean(0)
    assert np.abs(middle - white).max() < 12


def test_maps_of_words_signals_and_tables_stand_one_below_the_other(
    reader: inspector.Model, tmp_path: Path
) -> None:
    np.save(tmp_path / "ids.npy", IDS)
    found = run_attribute(reader, [str(tmp_path / "ids.npy")], method=["lrp", "gradient"], target=["0", "1"])
    page = found.figure("text/html").data.decode()
    titles = [f"{method} for class {target}" for target in (0, 1) for method in ("lrp", "gradient")]
    places = [page.index(title) for title in titles]
    assert places == sorted(places)
    one, sheet = found.maps[0].figure(), found.figure()
    assert sheet.height > 3 * one.height
    with Image.open(io.BytesIO(sheet.data)) as pixels:
        assert pixels.size == (sheet.width, sheet.height)
    for model, x in ((nn.Linear(6, 2), torch.randn(1, 6)), (nn.Conv1d(1, 2, 32), torch.randn(1, 1, 32))):
        np.save(tmp_path / "x.npy", x.numpy())
        opened = inspector.open_model(model.eval(), example=x)
        drawn = run_attribute(opened, [str(tmp_path / "x.npy")], method=["gradient", "occlusion"])
        root = ElementTree.fromstring(drawn.figure("image/svg+xml").data)
        parts = root.findall("{http://www.w3.org/2000/svg}svg")
        assert len(parts) == 2
        assert float(parts[1].get("y", "0")) == float(parts[0].get("height", "0"))
    with pytest.raises(BadInput, match="one medium"):
        views.stack([])


class Late(nn.Module):
    """A signal (n, t, 1), as Keras lays it, behind a transposition."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv1d(1, 4, 5, padding=2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x.transpose(1, 2)).relu().mean(2))


@pytest.fixture(scope="module")
def laid_both_ways() -> list[tuple[inspector.Model, np.ndarray]]:
    """One net and one signal, (n, t, 1) and (n, 1, t)."""
    torch.manual_seed(9)
    late, wave = Late().eval(), torch.randn(1, 64, 1)
    first = nn.Sequential(late.first, nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), late.head).eval()
    turned = wave.transpose(1, 2).contiguous()
    return [(inspector.open_model(net, example=x), x.numpy()) for net, x in ((late, wave), (first, turned))]


@pytest.mark.parametrize("method", ["gradient", "occlusion", "grad-cam", "lrp", "shapley-sampling"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_signal_with_channels_last_has_its_steps_explained(
    laid_both_ways: list[tuple[inspector.Model, np.ndarray]], method: str, dtype: Any
) -> None:
    """The map is that of the same net with channels first, step by step."""
    found, wanted = (attribute(model, x, method, 0, dtype=dtype) for model, x in laid_both_ways)
    assert found.cells().shape[-1] == 64
    assert found.axes in (("n", "t", "c"), ("n", "t"))
    assert found.cells().std() > 0
    np.testing.assert_allclose(found.cells(), wanted.cells(), rtol=1e-4, atol=1e-6)
    assert found.signal is not None
    assert found.signal.shape == (1, 64)


def test_many_numbers_in_a_row_are_a_signal_and_few_a_table() -> None:
    for count, is_signal in ((128, False), (129, True)):
        net, x = nn.Linear(count, 2).eval(), torch.randn(1, count)
        found = attribute(inspector.open_model(net, example=x), x.numpy(), "gradient", 0)
        assert (found.signal is not None) is is_signal
        assert (b"feature" in found.figure(media="image/svg+xml").data) is not is_signal


def test_a_layer_of_two_directions_behind_a_signal_keeps_its_places() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bank, self.mix, self.head = nn.Conv1d(1, 6, 8, 8), nn.Conv2d(1, 3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.mix(self.bank(x)[:, None]).relu().mean((2, 3)))

    torch.manual_seed(10)
    wave = torch.randn(1, 1, 64)
    found = attribute(inspector.open_model(Spectral().eval(), example=wave), wave.numpy(), "grad-cam", 0)
    assert found.axes == ("n", "h", "w")
    assert found.values.shape == (1, 4, 6)
    assert any("those of the signal" in note for note in found.notes)
    assert found.figure().data[:4] == b"\x89PNG"


def test_raw_attention_is_drawn_head_by_head_and_its_mean_in_a_sheet(tmp_path: Path) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.joint, self.head = nn.Embedding(6, 8), nn.Linear(8, 24), nn.Linear(8, 2)

        def forward(self, ids: Tensor) -> Tensor:
            n, t = ids.shape
            q, k, v = self.joint(self.words(ids)).reshape(n, t, 3, 2, 4).permute(2, 0, 3, 1, 4)
            mixed = (q @ k.transpose(-1, -2)).softmax(-1) @ v
            return self.head(mixed.transpose(1, 2).reshape(n, t, 8).mean(1))

    torch.manual_seed(11)
    model = inspector.open_model(Attending().eval(), example=torch.from_numpy(IDS))
    found = attribute(model, IDS, "attention", 0)
    assert found.axes == ("n", "head", "t")
    drawn = found.figure(vocabulary=WORDS, media="image/svg+xml").data.decode()
    for words in ("head 0", "head 1", "film"):
        assert f">{words}<" in drawn
    assert ">film<" in found.figure(vocabulary=WORDS, media="text/html").data.decode()


def test_a_scale_says_what_its_numbers_are(fixtures: Path) -> None:
    made = inspector.attribute(fixtures / "squeezenet1_1.onnx", fixtures / "coffee.png", method="gradient")
    assert b"score per unit of input" in made.figure(media="image/svg+xml").data
    assert all(row.unit for row in inspector.methods.known_methods().values())
