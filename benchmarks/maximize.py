"""How long is a step of activation maximisation beside the loops of its peers?

    python benchmarks/maximize.py [--steps 10] [--rounds 5]

The rivals are written here in the manner of the peers, over the same net, objective and size of 224 pixels,
so that nothing but the loop differs; the packages themselves want torchvision. Both run the net to its end
and take gradients of all weights too.
lucent: pad, jitter, scale, rotate and jitter one after the other, Adam. torch-dreams: scale and rotate,
gradients clipped, AdamW. Interleaved, the smallest of the rounds, CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import inspector
from inspector.methods import maximize
from inspector.methods.maximize.parametrizations import Canvas, parametrization
from inspector.methods.maximize.transforms import STANDARD, Transform, rotate, scale

MODEL = Path(__file__).parent.parent / "fixtures" / "squeezenet1_1.onnx"
LAYERS = (("relu_12", 20), ("logits", 281))
DREAMS = (scale([0.5 + 0.1 * step for step in range(8)]), rotate(range(-15, 16)))


def peer(steps: int, layer: str, unit: int, transforms: Sequence[Transform], *, dreams: bool) -> None:
    model = inspector.open_model(MODEL)
    net = inspector.to_torch(model)
    stage = maximize.open_stage(model)
    generator = torch.Generator().manual_seed(0)
    made = parametrization("fourier", Canvas(1, 224, 224, generator, torch.empty(0)))
    kind = torch.optim.AdamW if dreams else torch.optim.Adam
    optimizer = kind(made.leaves, lr=9e-3 if dreams else 0.05)
    for _ in range(steps):
        seen = made.picture()
        for transform in transforms:
            seen = transform(seen, generator)
        sized = torch.nn.functional.interpolate(seen, size=(224, 224), mode="bilinear")
        value = net.run({"image": stage.numbers(sized)}, taps=[layer]).taps[layer]
        optimizer.zero_grad()
        (-value[:, unit].mean()).backward()
        if dreams:
            torch.nn.utils.clip_grad_norm_(made.leaves, 1.0)
        optimizer.step()


def ours(steps: int, layer: str, unit: int, transforms: Sequence[Transform], *, dreams: bool) -> None:
    stage = maximize.open_stage(inspector.open_model(MODEL))
    wanted = maximize.objective("channel", layer, unit)
    settings = maximize.Settings(
        steps=steps, redirect=0, transforms=tuple(transforms), clip=1.0 if dreams else None
    )
    maximize.ascend(stage, wanted, settings)


def seconds(work: Callable[..., None], *arguments: object, **options: bool) -> float:
    start = time.process_time()
    work(*arguments, **options)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| unit | loop in the manner of | ours, a step | its | ratio |\n|{'---|' * 5}")
    for layer, unit in LAYERS:
        for name, transforms in (("lucent", STANDARD), ("torch-dreams", DREAMS)):
            times = [
                [
                    seconds(way, given.steps, layer, unit, transforms, dreams=name != "lucent")
                    for way in (ours, peer)
                ]
                for _ in range(given.rounds)
            ]
            mine, theirs = (min(column) / given.steps for column in zip(*times, strict=True))
            print(
                f"| {layer}:{unit} | {name} | {mine * 1e3:.0f} ms | {theirs * 1e3:.0f} ms "
                f"| {theirs / mine:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
