"""How long is Network Dissection, and what is left on the disk, beside a loop in the manner of NetDissect?

    python benchmarks/dissection.py [--images 60] [--rounds 3]

The rival is written here over the same net, pictures and masks, so that nothing but the passes differs: like
NetDissect-Lite it keeps the activations of all images on disk as float64, takes the threshold of one unit
after the other from them, enlarges each map of each unit and compares it with each mask. Interleaved, the
smallest of the rounds, CPU seconds of one thread. Making the pictures is no part of the times.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import inspector
from inspector.methods import dissection
from inspector.methods.dissection.layer_maps import open_layers

MODEL = Path(__file__).parent.parent / "fixtures" / "squeezenet1_1.onnx"
LAYERS = ("relu", "relu_12", "cat_4", "cat_6")


def netdissect_style(model: inspector.Model, labelled: dissection.Labelled, layer: str) -> int:
    """Bytes on the disk."""
    layers = open_layers(model, [layer])
    examples = [labelled.example(number) for number in range(labelled.count)]
    with tempfile.TemporaryDirectory() as scratch:
        shape = (len(examples), *layers.maps(examples[0].picture)[layer].shape)
        stored = np.memmap(Path(scratch) / "maps", np.float64, "w+", shape=shape)
        for number, example in enumerate(examples):
            stored[number] = layers.maps(example.picture)[layer]
        both = np.zeros((shape[1], len(labelled.concepts)))
        either = np.zeros_like(both)
        columns = {name: column for column, name in enumerate(labelled.concepts)}
        for unit in range(shape[1]):
            limit = np.quantile(stored[:, unit], 1 - 0.005)
            for number, example in enumerate(examples):
                image = Image.fromarray(stored[number, unit].astype(np.float32))
                side = example.picture.shape[1::-1]
                active = np.asarray(image.resize(side, Image.Resampling.BILINEAR)) > limit
                for name, mask in example.masks.items():
                    both[unit, columns[name]] += (active & mask).sum()
                    either[unit, columns[name]] += (active | mask).sum()
        return stored.nbytes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    made = dissection.synthetic_concepts(given.images)
    examples = list(made.stream())
    labelled = dissection.Labelled(made.categories, made.count, examples.__getitem__, made.source)
    model = inspector.open_model(MODEL)
    print(f"| layer | units | ours | NetDissect-style | ratio | its disk |\n|{'---|' * 6}")
    for layer in LAYERS:
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(given.rounds):
            start = time.process_time()
            found = dissection.dissect_layer(model, labelled, layer)
            middle = time.process_time()
            disk = netdissect_style(model, labelled, layer)
            ours.append(middle - start)
            theirs.append(time.process_time() - middle)
        print(
            f"| {layer} | {len(found.thresholds)} | {min(ours):.2f} s | {min(theirs):.2f} s "
            f"| {min(theirs) / min(ours):.1f} | {disk / 1e6:.0f} MB, ours 0 |",
            flush=True,
        )


if __name__ == "__main__":
    main()
