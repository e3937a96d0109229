"""Are inputs that nothing reads, signals of either layout, and options of the wrong kind treated rightly?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import inspector
from inspector.errors import BadInput
from inspector.methods import attribute, known_methods

RNG = np.random.default_rng(5)


class Three(nn.Module):
    """Two tables are read, the third and largest is not; the second output reads the second table alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(self.first(x)) + self.second(y), self.second(y)


@pytest.fixture(scope="module")
def three() -> tuple[inspector.Model, dict[str, np.ndarray]]:
    torch.manual_seed(2)
    sizes = {"x": 4, "y": 5, "z": 6}
    model = inspector.open_model(Three().eval(), example=tuple(torch.zeros(1, n) for n in sizes.values()))
    return model, {k: RNG.normal(size=(1, n)).astype(np.float32) for k, n in sizes.items()}


@pytest.mark.parametrize("method", known_methods())
def test_what_nothing_reads_gets_zeros_and_a_note(
    three: tuple[inspector.Model, dict[str, np.ndarray]], method: str
) -> None:
    model, feeds = three
    made = attribute(model, feeds, method, 1, input="z")
    assert made.values.shape == (1, 6)
    assert not made.values.any()
    assert "'z' is not used" in " ".join(made.notes)


def test_and_is_not_chosen(three: tuple[inspector.Model, dict[str, np.ndarray]]) -> None:
    """Neither by its size, nor where another output than the first is asked."""
    model, feeds = three
    for method in ("gradient", "occlusion"):
        made = attribute(model, feeds, method, 1)
        assert made.input == "y"
        assert made.values.any()
    second = model.outputs[1].name
    made = attribute(model, feeds, "gradient", f"{second}[0]", input="y")
    assert made.values.any()


class Recurrent(nn.Module):
    """An LSTM over steps (n, t, c)."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x)[0][:, -1])


class Turned(nn.Module):
    """A convolution over steps (n, t, c), by a transposition."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv1d(6, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first((2 * x - 1).transpose(1, 2)).relu().mean(2))


class Vectors(nn.Module):
    """A linear layer over steps (n, t, c), its matrix transposed in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x).tanh().mean(1))


class Flat(nn.Module):
    """Numbers of which nothing says what their axes are."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(72, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))


@pytest.mark.parametrize(
    ("net", "axes"),
    [
        (Recurrent, ("n", "t", "c")),
        (Turned, ("n", "t", "c")),
        (Vectors, ("n", "t", "c")),
        (lambda: nn.Sequential(nn.Conv1d(12, 4, 3), nn.Flatten(), nn.Linear(16, 3)), ("n", "c", "t")),
        (Flat, ("n", "axis 1", "axis 2")),
    ],
)
@pytest.mark.parametrize("method", ["gradient", "occlusion", "shapley-sampling"])
def test_axes_are_those_the_operators_read(net: Any, axes: tuple[str, ...], method: str) -> None:
    """Sizes tell nothing here: twelve and six."""
    torch.manual_seed(4)
    built, x = net().eval(), torch.randn(2, 12, 6)
    made = attribute(inspector.open_model(built, example=x), x.numpy(), method, 1, dtype="float64")
    places = {"t": 12} if axes[1] == "t" else {"t": 6}
    if method != "gradient":
        assert made.values.shape == (2, places["t"])
        return
    assert made.axes == axes
    x = x.double().requires_grad_()
    wanted = torch.autograd.grad(built.double()(x)[:, 1].sum(), x)[0].numpy()
    assert np.abs(wanted).max() > 1e-4
    np.testing.assert_allclose(made.values, wanted, rtol=0, atol=1e-10)


def test_pictures_of_many_bands_with_channels_last() -> None:
    """Eight bands: no size of an axis says that they are channels."""

    class Bands(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Conv2d(8, 4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.first(x.permute(0, 3, 1, 2)).relu().mean((2, 3)))

    x = torch.randn(1, 10, 12, 8)
    model = inspector.open_model(Bands().eval(), example=x)
    made = attribute(model, x.numpy(), "occlusion", 1)
    assert made.values.shape == (1, 10, 12)
    assert attribute(model, x.numpy(), "gradient", 1).axes == ("n", "h", "w", "c")


def test_influence_that_is_the_same_everywhere_says_so() -> None:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), *head).eval()
    x = torch.randn(1, 3, 9, 9)
    model = inspector.open_model(net, example=x)
    assert "same influence" in " ".join(attribute(model, x.numpy(), "internal-influence", 1).notes)
    lower = next(node.outputs[0] for node in model.nodes.values() if node.op == "Relu")
    made = attribute(model, x.numpy(), "internal-influence", 1, layer=lower)
    assert "same influence" not in " ".join(made.notes)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("smoothgrad", {"samples": "abc"}, "a whole number such as 50, got 'abc'"),
        ("smoothgrad", {"noise": "much"}, "a number such as 0.15"),
        ("smoothgrad", {"exact": 3}, "true or false"),
        ("rise", {"masks": 2.5}, "a whole number"),
        ("occlusion", {"window": 99}, "expected 0 to 5"),
        ("integrated-gradients", {"baseline": np.zeros(7)}, r"expected \[5\] a row, got \[7\]"),
    ],
)
def test_options_of_another_kind_are_named(
    three: tuple[inspector.Model, dict[str, np.ndarray]], method: str, options: dict[str, Any], words: str
) -> None:
    model, feeds = three
    with pytest.raises(BadInput, match=words):
        attribute(model, feeds, method, 1, **options)


@pytest.mark.parametrize(
    ("method", "options"), [("lrp", {}), ("guided-grad-cam", {}), ("deeplift", {"baseline": "noise"})]
)
def test_attention_that_casts_its_scale_like_another_value(method: str, options: dict[str, Any]) -> None:
    """torch writes the scale of attention as CastLike(scale, query): the query gives its type alone."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(30, 16), nn.Linear(16, 3)
            self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.layer(self.table(ids)).mean(1))

    torch.manual_seed(6)
    ids = torch.randint(0, 30, (1, 9))
    model = inspector.open_model(Words().eval(), example=ids)
    assert "CastLike" in {node.op for node in model.nodes.values()}
    made = attribute(model, ids.numpy(), method, 1, dtype="float64", **options)
    assert made.axes == ("n", "t", "e")
    assert made.values.shape == (1, 9, 16)
    assert np.abs(made.values).max() > 1e-6
    if method == "deeplift":
        assert made.residual is not None
        assert made.residual < 1e-6


def test_notes_on_edges_are_for_pictures() -> None:
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    table = inspector.open_model(net, example=torch.zeros(1, 4))
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(196, 3)).eval()
    picture = inspector.open_model(net, example=torch.zeros(1, 3, 9, 9))
    for method in ("guided-backprop", "deconvnet"):
        notes = [attribute(m, "random", method, 1).notes for m in (table, picture)]
        assert ["edges" in " ".join(said) for said in notes] == [False, True]


class Detector(nn.Module):
    """Boxes (places, 4) and scores (places, 5) by two convolutions over shared features."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 1, 1), nn.ReLU())
        self.box, self.score = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.shared(x)
        boxes, scores = (head(shared).flatten(2).transpose(1, 2) for head in (self.box, self.score))
        return boxes, scores.sigmoid()


def test_a_box_is_read_below_its_own_numbers() -> None:
    """The last layer is the features of both heads, not the boxes laid out otherwise; and is told exactly."""
    torch.manual_seed(1)
    net, x = Detector().eval(), torch.randn(1, 3, 12, 12)
    model = inspector.open_model(net, example=x)
    boxes, scores = (value.name for value in model.outputs)
    wide, high = f"{boxes}[14, 2] - {boxes}[14, 0]", f"{scores}[14, 3]"
    for target in (wide, high, f"{wide} + {high}"):
        made = attribute(model, x.numpy(), "grad-cam", target, dtype="float64", rectified=False)
        features = net.double().shared(x.double()).detach().requires_grad_()
        box = net.box(features)[0].flatten(1)[:, 14]
        score = net.score(features)[0].flatten(1)[3, 14].sigmoid()
        number = (box[2] - box[0]) * (wide in target) + score * (high in target)
        slopes = torch.autograd.grad(number, features)[0]
        wanted = (slopes.mean((2, 3), keepdim=True) * features).sum(1).detach().numpy()
        assert np.abs(wanted).max() > 1e-6
        assert made.at_layer is not None
        np.testing.assert_allclose(made.at_layer, wanted, rtol=0, atol=1e-12)


class Unrolled(nn.Module):
    """A recurrent net of rectifiers: what its steps add to the empty state are biases too."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.RNN(6, 8, batch_first=True, nonlinearity="relu"), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x.transpose(1, 2))[0][:, -1])


@pytest.mark.parametrize(
    ("net", "curved"),
    [
        (Unrolled, ""),
        (lambda: nn.Sequential(nn.Conv1d(6, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(16, 3)), "Clip"),
        (lambda: nn.Sequential(nn.Conv1d(6, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)), "Tanh"),
    ],
)
def test_full_gradients_name_what_they_leave_out(net: Any, curved: str) -> None:
    torch.manual_seed(4)
    x = 20 * torch.randn(1, 6, 6)
    model = inspector.open_model(net().eval(), example=x)
    made = attribute(model, x.numpy(), "full-grad", 1, dtype="float64")
    assert made.residual is not None
    assert (made.residual < 1e-10) is not bool(curved)
    assert bool(curved) is bool(made.notes)
    assert curved in " ".join(made.notes)
