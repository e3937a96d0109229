"""Small PyTorch networks of the well-known kinds, with weights that make outputs depend on inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Architecture:
    """How to build a network, the shape it takes, and the sizes it was traced and is checked at.

    A name in `shape` is a dynamic axis; `vocabulary` is set where the input is token ids.
    """

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int | str, ...]
    traced: Sizes
    others: tuple[Sizes, ...]
    vocabulary: int = 0
    scripts: bool = True

    def inputs(self, sizes: Sizes, seed: int = 0) -> torch.Tensor:
        """A random batch at these sizes."""
        generator = torch.Generator().manual_seed(seed)
        shape = [size if isinstance(size, int) else sizes[size] for size in self.shape]
        if self.vocabulary:
            return torch.randint(0, self.vocabulary, shape, generator=generator)
        return torch.randn(shape, generator=generator)

    def module(self, seed: int = 0) -> nn.Module:
        """The network in evaluation mode: He-scaled kernels, BatchNorm statistics of a real batch."""
        torch.manual_seed(seed)
        net = self.build()
        randomise(net, seed)
        settle_statistics(net, self.inputs(self.traced, seed + 1))
        return net.eval()


def randomise(net: nn.Module, seed: int) -> None:
    """Give every parameter values that neither vanish nor saturate."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in net.modules():
            for name, parameter in layer.named_parameters(recurse=False):
                values = torch.randn(parameter.shape, generator=generator)
                if parameter.ndim >= 2:
                    fan_in = parameter[0].numel()
                    scale = 0.5 if isinstance(layer, nn.Embedding) else (2.0 / fan_in) ** 0.5
                    parameter.copy_(values * scale)
                elif "weight" in name and not isinstance(layer, (nn.Linear, nn.RNNBase)):
                    parameter.copy_(0.8 + 0.4 * torch.rand(parameter.shape, generator=generator))
                else:
                    parameter.copy_(values * 0.1)


def settle_statistics(net: nn.Module, batch: torch.Tensor) -> None:
    """Take BatchNorm statistics from one real batch."""
    norms = [layer for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = 1.0
    net.train()
    with torch.no_grad():
        net(batch)
    for norm in norms:
        norm.momentum = 0.1


def conv_norm(inside: int, outside: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential(
            nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_norm(3, 8, 7, 2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = Residual(8, 8, 1)
        self.layer2 = Residual(8, 16, 2)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer2(self.layer1(self.pool(self.stem(x))))
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, 4, 1)
        self.expand = nn.Conv2d(4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = x.mean((2, 3), keepdim=True)
        return x * functional.hardsigmoid(self.expand(functional.relu(self.reduce(scale))))


class MobileNet(nn.Module):
    """Inverted residuals with depthwise kernels, squeeze-excite and hard-swish."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.expand = conv_norm(8, 24, 1)
        self.depthwise = conv_norm(24, 24, 5, 1, groups=24)
        self.attend = SqueezeExcite(24)
        self.project = nn.Sequential(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Sequential(nn.Linear(8, 16), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(16, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.project(self.attend(self.depthwise(self.expand(x))))
        return self.head(x.mean((2, 3)))


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(8 + 4 * i), nn.ReLU(), nn.Conv2d(8 + 4 * i, 4, 3, 1, 1, bias=False))
            for i in range(3)
        )
        self.transition = nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1), nn.AvgPool2d(2))
        self.classifier = nn.Linear(10, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = torch.cat([x, block(x)], 1)
        return self.classifier(self.transition(x).mean((2, 3)))


class VGG(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        )
        self.classifier = nn.Sequential(nn.Linear(16 * 8 * 8, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1 = conv_norm(3, 8)
        self.down2 = conv_norm(8, 16)
        self.bottom = conv_norm(16, 16)
        self.up2 = nn.ConvTranspose2d(16, 8, 2, 2)
        self.merge = conv_norm(16, 8)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.down1(x)
        b = self.bottom(self.down2(functional.max_pool2d(a, 2)))
        c = functional.interpolate(self.up2(b), scale_factor=1.0, mode="nearest")
        return self.out(self.merge(torch.cat([a, c], 1)))


class ViT(nn.Module):
    """Patches, a class token and scaled dot-product attention; the image size is fixed by its positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.positions = nn.Parameter(torch.zeros(1, 17, 16))
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.proj = nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        y = self.norm1(x)
        q, k, v = self.qkv(y).reshape(y.shape[0], y.shape[1], 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + self.proj(y)
        x = x + self.mlp(self.norm2(x))
        return self.head(x[:, 0])


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.depthwise = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.grow, self.shrink = nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale = nn.Parameter(torch.ones(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = (self.shrink(functional.gelu(self.grow(y))) * self.scale).permute(0, 3, 1, 2)
        return self.head((x + y).mean((2, 3)))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = conv_norm(3, 4, 1)
        self.three = nn.Sequential(conv_norm(3, 4, 1), conv_norm(4, 8, 3))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_norm(3, 4, 1))
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.one(x), self.three(x), self.pooled(x)], 1)
        return self.head(x).amax((2, 3))


class Tagger(nn.Module):
    """Embedding, two bidirectional LSTM layers, a score for every token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.lstm = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embed(tokens))[0])


class Forecaster(nn.Module):
    """GRU over a series; the last state gives the forecast."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 6, 2, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(series)[0][:, -1])


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x))


class TemporalConv(nn.Module):
    """Dilated 1-D convolutions with GroupNorm, as in audio nets."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(2, 8, 5, padding=2),
            nn.GroupNorm(2, 8),
            nn.SiLU(),
            nn.Conv1d(8, 8, 3, padding=4, dilation=4),
            nn.PReLU(8),
        )
        self.head = nn.Conv1d(8, 3, 1)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(wave))


class Bert(nn.Module):
    def __init__(self) -> None:
        from transformers import BertConfig, BertModel

        super().__init__()
        self.bert = BertModel(
            BertConfig(
                vocab_size=60,
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=64,
                attn_implementation="eager",
            ),
            add_pooling_layer=False,
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.bert(tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state


class Gpt(nn.Module):
    """A decoder with tied input and output embeddings."""

    def __init__(self) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        super().__init__()
        self.gpt = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=60,
                n_positions=64,
                n_embd=16,
                n_layer=2,
                n_head=2,
                use_cache=False,
                attn_implementation="eager",
            )
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.gpt(tokens, attention_mask=torch.ones_like(tokens)).logits


class Swin(nn.Module):
    """Shifted windows; the image size is fixed by the window masks."""

    def __init__(self) -> None:
        from transformers import SwinConfig, SwinModel

        super().__init__()
        self.swin = SwinModel(
            SwinConfig(
                image_size=32, patch_size=4, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4
            )
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.swin(image).pooler_output


_IMAGE = ("batch", 3, "height", "width")
_SMALL = {"batch": 2, "height": 32, "width": 32}
_LARGER = ({"batch": 3, "height": 48, "width": 40}, {"batch": 1, "height": 64, "width": 36})
_FIXED = ("batch", 3, 32, 32)
_OTHER_BATCHES = ({"batch": 3}, {"batch": 5})
_SEQUENCE = {"batch": 2, "time": 8}
_OTHER_SEQUENCES = ({"batch": 3, "time": 13}, {"batch": 1, "time": 5})

ARCHITECTURES = {
    row.name: row
    for row in (
        Architecture("resnet", ResNet, _IMAGE, _SMALL, _LARGER),
        Architecture("mobilenet", MobileNet, _IMAGE, _SMALL, _LARGER),
        Architecture("densenet", DenseNet, _IMAGE, _SMALL, _LARGER),
        Architecture("vgg", VGG, _FIXED, {"batch": 2}, _OTHER_BATCHES),
        Architecture("unet", UNet, _IMAGE, _SMALL, _LARGER),
        Architecture("inception", Inception, _IMAGE, _SMALL, _LARGER),
        Architecture("convnext", ConvNeXt, _IMAGE, _SMALL, _LARGER),
        Architecture("vit", ViT, _FIXED, {"batch": 2}, _OTHER_BATCHES),
        Architecture("swin", Swin, _FIXED, {"batch": 2}, _OTHER_BATCHES, scripts=False),
        Architecture("encoder", Encoder, ("batch", "time", 16), _SEQUENCE, _OTHER_SEQUENCES),
        Architecture("bert", Bert, ("batch", "time"), _SEQUENCE, _OTHER_SEQUENCES, 60),
        Architecture("gpt", Gpt, ("batch", "time"), _SEQUENCE, _OTHER_SEQUENCES, 60),
        Architecture("lstm", Tagger, ("batch", "time"), _SEQUENCE, _OTHER_SEQUENCES, 50),
        Architecture("gru", Forecaster, ("batch", "time", 4), _SEQUENCE, _OTHER_SEQUENCES),
        Architecture("tcn", TemporalConv, ("batch", 2, "time"), {"batch": 2, "time": 32}, _OTHER_SEQUENCES),
    )
}
