"""Are token maps and attention maps of a small vision transformer what their papers write?"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

import inspector
from inspector.errors import BadInput, NoGradientPath, UnknownName
from inspector.methods import Attribution, attribute
from inspector.methods.preparing import prepare

TARGET, HEADS, WIDTH = 3, 2, 8
EPSILON = 2.0**-16  # the same number in float32, in which files hold it
X = np.random.default_rng(2).normal(size=(2, 3, 16, 16)).astype(np.float32)


class Block(nn.Module):
    """Attention and a small MLP, each behind a LayerNorm (Dosovitskiy 2020, eq. 2 and 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = (nn.LayerNorm(WIDTH, EPSILON) for _ in range(2))
        self.joint, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 16), nn.Linear(16, WIDTH)

    def forward(self, tokens: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        n, t, _ = tokens.shape
        q, k, v = self.joint(self.before(tokens)).reshape(n, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * 0.5).softmax(-1)
        if seen is not None:
            seen.append(weights)
        tokens = tokens + self.out((weights @ v).transpose(1, 2).reshape(n, t, WIDTH))
        return tokens + self.narrow(F.gelu(self.wide(self.between(tokens))))


class Transformer(nn.Module):
    """Patches of 4 × 4, a class token, two blocks, a head on the class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.places = nn.Parameter(torch.randn(1, 17, WIDTH))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm, self.head = nn.LayerNorm(WIDTH, EPSILON), nn.Linear(WIDTH, 5)

    def embed(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.places

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.embed(x))

    def answer(self, tokens: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, seen)
        return self.head(self.norm(tokens)[:, 0])


class Pooled(Transformer):
    """The same with the mean over tokens and no class token."""

    def embed(self, x: Tensor) -> Tensor:
        return self.patches(x).flatten(2).transpose(1, 2) + self.places[:, 1:]

    def answer(self, tokens: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, seen)
        return self.head(self.norm(tokens).mean(1))


def built(kind: type[Transformer] = Transformer) -> Transformer:
    torch.manual_seed(8)
    net = kind().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.5)
    return net


@cache
def opened(kind: type[Transformer] = Transformer) -> inspector.Model:
    return inspector.open_model(built(kind), example=torch.from_numpy(X))


def explained(method: str, kind: type[Transformer] = Transformer, **options: Any) -> Attribution:
    return attribute(opened(kind), X, method, TARGET, dtype="float64", **options)


def close(found: np.ndarray | None, wanted: Tensor) -> None:
    assert found is not None
    assert float(wanted.detach().std()) > 1e-6
    np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=0, atol=1e-10)


def attended() -> tuple[Tensor, list[Tensor]]:
    """Scores (n,) and the attention weights of both blocks, by torch alone."""
    net = built().double()
    seen: list[Tensor] = []
    scores = net.answer(net.embed(torch.from_numpy(X).double()), seen)[:, TARGET]
    return scores, seen


def test_rollout_is_the_product_of_the_paper() -> None:
    _, seen = attended()
    total = torch.eye(17, dtype=torch.float64).repeat(2, 1, 1)
    for weights in seen:
        mean = torch.stack([weights[:, head] for head in range(HEADS)]).mean(0)
        total = (0.5 * mean + 0.5 * torch.eye(17, dtype=torch.float64)) @ total
    close(explained("rollout").at_layer, total[:, 0, 1:].reshape(2, 4, 4))
    largest = explained("rollout", heads="max").at_layer
    assert largest is not None
    assert np.abs(largest - explained("rollout").at_layer).max() > 1e-4


def test_legrad_is_the_positive_gradient_by_attention() -> None:
    scores, seen = attended()
    total = torch.zeros(2, 17, dtype=torch.float64)
    for weights in seen:
        slope = torch.autograd.grad(scores.sum(), weights, retain_graph=True)[0]
        for head in range(HEADS):
            for query in range(17):
                total += slope[:, head, query].clamp(min=0) / (HEADS * 17 * len(seen))
    close(explained("legrad").at_layer, total[:, 1:].reshape(2, 4, 4))
    other = attribute(opened(), X, "legrad", 0, dtype="float64").at_layer
    assert other is not None
    assert np.abs(other - explained("legrad").at_layer).max() > 1e-6


def test_raw_attention_has_a_map_a_head() -> None:
    _, seen = attended()
    found = explained("attention", block=0)
    assert found.axes == ("n", "head", "h", "w")
    wanted = seen[0][:, :, 0, 1:].reshape(2 * HEADS, 1, 4, 4)
    up = F.interpolate(wanted, (16, 16), mode="bilinear", align_corners=False).reshape(2, HEADS, 16, 16)
    close(found.values, up)
    wanted = seen[1][:, :, 5, 1:].reshape(2 * HEADS, 1, 4, 4)
    up = F.interpolate(wanted, (16, 16), mode="bilinear", align_corners=False).reshape(2, HEADS, 16, 16)
    close(explained("attention", query=5).values, up)
    with pytest.raises(UnknownName, match="2 attention layers"):
        explained("attention", block=2)


def test_the_default_layer_is_the_last_whose_places_count() -> None:
    subject = prepare(opened(), X, target=TARGET, dtype="float64")
    assert (subject.layer.grid, subject.layer.skip, subject.layer.channels) == ((4, 4), 1, WIDTH)
    net = built().double()
    tokens = net.blocks[0](net.embed(torch.from_numpy(X).double())).detach().requires_grad_()
    score = net.head(net.norm(net.blocks[1](tokens))[:, 0])[:, TARGET]
    gradient = torch.autograd.grad(score.sum(), tokens)[0][:, 1:]
    assert float(gradient.abs().min(2).values.max()) > 0
    wanted = (gradient.mean(1, keepdim=True) * tokens[:, 1:]).sum(2).reshape(2, 4, 4)
    close(explained("grad-cam", rectified=False).at_layer, wanted)
    close(explained("hires-cam").at_layer, (gradient * tokens[:, 1:]).sum(2).reshape(2, 4, 4))


def test_with_mean_pooling_it_is_the_last_norm() -> None:
    net = built(Pooled).double()
    tokens = net.embed(torch.from_numpy(X).double())
    for block in net.blocks:
        tokens = block(tokens)
    tokens = net.norm(tokens)
    found = explained("hires-cam", Pooled)
    close(found.at_layer, (tokens * net.head.weight[TARGET]).sum(2).reshape(2, 4, 4) / 16)
    assert found.at_layer is not None
    bias = net.head.bias[TARGET].item()
    assert found.at_layer[0].sum() + bias == pytest.approx(found.score, abs=1e-10)


OTHERS = ("grad-cam++", "layer-cam", "xgrad-cam", "eigen-cam", "ablation-cam", "score-cam", "finer-cam")


@pytest.mark.parametrize("method", OTHERS)
def test_every_class_map_reads_tokens(method: str) -> None:
    found = explained(method)
    assert found.values.shape == (2, 16, 16)
    assert np.ptp(found.values) > 0


def test_a_net_without_attention_says_so(classifier: inspector.Model) -> None:
    with pytest.raises(NoGradientPath, match="no attention"):
        attribute(classifier, np.zeros((1, 3, 224, 224), np.float32), "rollout")


def test_a_signal_keeps_its_length() -> None:
    torch.manual_seed(3)
    start = (nn.Conv1d(2, 4, 5, stride=2), nn.ReLU())
    net = nn.Sequential(*start, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    x = torch.randn(1, 2, 40)
    found = attribute(inspector.open_model(net.eval(), example=x), x.numpy(), "grad-cam", 1, dtype="float64")
    net = net.double()
    activations = net[1](net[0](x.double()))
    wanted = (net[4].weight[1][:, None] * activations[0]).sum(0).clamp(min=0) / activations.shape[2]
    assert found.axes == ("n", "t")
    assert found.values.shape == (1, 40)
    close(found.at_layer, wanted[None, None])


class Folded(Transformer):
    """The same net with heads in the batch, (n·heads, t, t), as torch writes it."""

    def answer(self, tokens: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        n, t, _ = tokens.shape
        for block in self.blocks:
            assert isinstance(block, Block)
            parts = block.joint(block.before(tokens)).chunk(3, -1)
            q, k, v = (self.fold(part) for part in parts)
            weights = torch.bmm(q, k.transpose(1, 2)).mul(0.5).softmax(-1)
            mixed = self.unfold(torch.bmm(weights, v), n, t)
            tokens = tokens + block.out(mixed)
            tokens = tokens + block.narrow(F.gelu(block.wide(block.between(tokens))))
        return self.head(self.norm(tokens)[:, 0])

    def fold(self, part: Tensor) -> Tensor:
        n, t, _ = part.shape
        return part.reshape(n, t, HEADS, -1).transpose(1, 2).reshape(n * HEADS, t, -1)

    def unfold(self, mixed: Tensor, n: int, t: int) -> Tensor:
        return mixed.reshape(n, HEADS, t, -1).transpose(1, 2).reshape(n, t, WIDTH)


class HeadsFirst(Folded):
    """Heads one after the other, each with all rows."""

    def fold(self, part: Tensor) -> Tensor:
        return torch.cat(part.chunk(HEADS, -1), 0)

    def unfold(self, mixed: Tensor, n: int, t: int) -> Tensor:
        return torch.cat(mixed.split(n, 0), -1)


@pytest.mark.parametrize("kind", [Folded, HeadsFirst])
@pytest.mark.parametrize("method", ["attention", "rollout", "legrad"])
def test_heads_folded_into_the_batch_change_no_map(kind: type[Transformer], method: str) -> None:
    found, wanted = explained(method, kind), explained(method)
    folded = [n for n in opened(kind).nodes.values() if n.op == "Softmax"]
    assert folded
    assert float(np.abs(wanted.values[0] - wanted.values[1]).max()) > 1e-4
    assert found.axes == wanted.axes
    np.testing.assert_allclose(found.values, wanted.values, rtol=0, atol=1e-10)
    equal_rows = attribute(opened(kind), X[[1, 1]], method, TARGET, dtype="float64")
    np.testing.assert_allclose(equal_rows.values, wanted.values[[1, 1]], rtol=0, atol=1e-10)


class Windows(Folded):
    """Attention within halves of the tokens, windows and heads folded into the batch."""

    def embed(self, x: Tensor) -> Tensor:
        return self.patches(x).flatten(2).transpose(1, 2) + self.places[:, 1:]

    def fold(self, part: Tensor) -> Tensor:
        n = part.shape[0]
        return part.reshape(n, 2, 8, HEADS, -1).transpose(2, 3).reshape(n * 2 * HEADS, 8, -1)

    def unfold(self, mixed: Tensor, n: int, t: int) -> Tensor:
        return mixed.reshape(n, 2, HEADS, 8, -1).transpose(2, 3).reshape(n, t, WIDTH)


@pytest.mark.parametrize("method", ["attention", "rollout", "legrad"])
def test_windows_folded_into_the_batch_are_no_heads(method: str) -> None:
    """As heads they would be a map of a part of the picture, drawn over the whole."""
    with pytest.raises(BadInput, match="within windows"):
        explained(method, Windows)
