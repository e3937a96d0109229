"""How long is a step of activation maximisation, and a pass over a data set, beside plain loops?

    python benchmarks/maximize.py [--steps 10] [--images 20]

The rivals are written here in the manner of the peers, over the same torch net and pictures, so that nothing
but the loop differs: lucent (backward through a module with gradients of all weights, a hook a layer) and
NetDissect-Lite (activations of all images kept on disk as float64, thresholds and overlaps unit by unit).
Interleaved, minimum of the rounds, CPU seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from PIL import Image

import inspector
from inspector.methods import dissection, maximize
from inspector.methods.dissection.layer_maps import open_layers
from inspector.methods.maximize.parametrizations import Canvas, parametrization
from inspector.methods.maximize.transforms import STANDARD

MODEL = Path(__file__).parent.parent / "fixtures" / "squeezenet1_1.onnx"
LAYER, UNIT = "relu_12", 20


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(title: str, ours: Callable[[], object], rival: Callable[[], object], rounds: int) -> None:
    times = [(cpu_seconds(ours), cpu_seconds(rival)) for _ in range(rounds)]
    mine, theirs = (min(column) for column in zip(*times, strict=True))
    print(f"{title}: ours {mine:.2f} s, rival {theirs:.2f} s, {theirs / mine:.2f} ×")


def lucent_style(steps: int) -> None:
    """The whole net runs to its end, weights have gradients, the layer is caught on the way."""
    model = inspector.open_model(MODEL)
    net = inspector.to_torch(model)
    stage = maximize.open_stage(model)
    generator = torch.Generator().manual_seed(0)
    made = parametrization("fourier", Canvas(1, 224, 224, generator, torch.empty(0)))
    adam = torch.optim.Adam(made.leaves, lr=0.05)
    for _ in range(steps):
        seen = made.picture()
        for transform in STANDARD:
            seen = transform(seen, generator)
        sized = torch.nn.functional.interpolate(seen, size=(224, 224), mode="bilinear")
        value = net.run({"image": stage.numbers(sized)}, taps=[LAYER]).taps[LAYER]
        adam.zero_grad()
        (-value[:, UNIT].mean()).backward()
        adam.step()


def our_steps(steps: int) -> None:
    stage = maximize.open_stage(inspector.open_model(MODEL))
    wanted = maximize.objective("channel", LAYER, UNIT)
    maximize.ascend(stage, wanted, maximize.Settings(steps=steps, redirect=0))


def plain_runtime(folder: Path) -> None:
    """Decode, prepare, run to the layer with full optimisation, take maxima: the least that can be done."""
    model = inspector.open_model(MODEL)
    recipe = open_layers(model, [LAYER]).recipe
    with tempfile.TemporaryDirectory() as scratch:
        cut = Path(scratch) / "cut.onnx"
        onnx.utils.extract_model(str(MODEL), str(cut), ["image"], [LAYER])
        session = ort.InferenceSession(str(cut), providers=["CPUExecutionProvider"])
        for path in sorted(folder.glob("*.png")):
            x = recipe.apply(np.asarray(Image.open(path).convert("RGB")))
            (value,) = session.run(None, {"image": x})
            value.max((2, 3))


def netdissect_style(labelled: dissection.Labelled) -> int:
    """All activations on disk as float64; then one unit after the other."""
    layers = open_layers(inspector.open_model(MODEL), [LAYER])
    examples = [example for example in labelled.stream() if example.picture is not None]
    with tempfile.TemporaryDirectory() as scratch:
        first = layers.maps(examples[0].picture)[LAYER]
        shape = (len(examples), *first.shape)
        stored = np.memmap(Path(scratch) / "maps", np.float64, "w+", shape=shape)
        for number, example in enumerate(examples):
            stored[number] = layers.maps(example.picture)[LAYER]
        for unit in range(shape[1]):
            limit = np.quantile(stored[:, unit], 1 - 0.005)
            for number, example in enumerate(examples):
                image = Image.fromarray(stored[number, unit].astype(np.float32))
                side = example.picture.shape[1::-1]
                active = np.asarray(image.resize(side, Image.Resampling.BILINEAR)) > limit
                for mask in example.masks.values():
                    _ = (active & mask).sum(), (active | mask).sum()
        return stored.nbytes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    labelled = dissection.synthetic_concepts(given.images)
    model = inspector.open_model(MODEL)
    compare("maximisation", lambda: our_steps(given.steps), lambda: lucent_style(given.steps), given.rounds)
    with tempfile.TemporaryDirectory() as scratch:
        for example in labelled.stream():
            Image.fromarray(example.picture).save(Path(scratch) / f"{example.name}.png")
        compare(
            "data-set pass",
            lambda: dissection.top_images(model, scratch, LAYER),
            lambda: plain_runtime(Path(scratch)),
            given.rounds,
        )
    compare(
        "dissection",
        lambda: dissection.dissect_layer(model, labelled, LAYER),
        lambda: netdissect_style(labelled),
        1,
    )


if __name__ == "__main__":
    main()
