"""How long is a pass over a folder, and does its memory or disk grow with the number of images?

    python benchmarks/data_set.py [--images 400] [--rounds 3]

Pictures are drawn and saved once. `top_images` is run beside the least that a loop can do: decode, prepare,
run to the layer by ONNX Runtime at full optimisation, take maxima; interleaved, the smallest of the rounds.
Peaks are those of fresh processes over a quarter, half and all of the pictures. The disk is the state from
which a run can go on, beside the layer's activations as float64.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from interleaved import own_peak
from PIL import Image

import inspector
from inspector.methods import dissection
from inspector.methods.dissection import strongest
from inspector.methods.dissection.layer_maps import open_layers

MODEL = Path(__file__).parent.parent / "fixtures" / "squeezenet1_1.onnx"
LAYER = "relu_12"


def plain_loop(model: inspector.Model, folder: Path) -> None:
    """Decode, prepare, run to the layer, take maxima."""
    recipe = open_layers(model, [LAYER]).recipe
    with tempfile.TemporaryDirectory() as scratch:
        cut = Path(scratch) / "cut.onnx"
        onnx.utils.extract_model(str(MODEL), str(cut), ["image"], [LAYER])
        session = ort.InferenceSession(str(cut), providers=["CPUExecutionProvider"])
        for path in sorted(folder.glob("*.png")):
            x = recipe.apply(np.asarray(Image.open(path).convert("RGB")))
            (value,) = session.run(None, {"image": x})
            value.max((2, 3))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def peak(folder: Path, job: str) -> float:
    """Megabytes at most of a fresh process over a folder."""
    command = [sys.executable, __file__, "--peak", job, "--folder", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(found.stdout.split()[-1])


def measure_peak(folder: Path, job: str) -> None:
    model = inspector.open_model(MODEL)
    if job == "top_images":
        dissection.top_images(model, folder, LAYER)
    else:
        inspector.execution.data_statistics(model, folder)
    print(own_peak())


def state_bytes(model: inspector.Model, folder: Path) -> int:
    """Size of the state of a pass, saved after its last image."""
    sizes: list[int] = []
    keep = os.replace

    def weighed(source: Path, target: Path) -> None:
        keep(source, target)
        sizes.append(Path(target).stat().st_size)

    strongest.os.replace = weighed
    try:
        with tempfile.TemporaryDirectory() as scratch:
            dissection.top_images(model, folder, LAYER, state=Path(scratch) / "state.npz")
    finally:
        strongest.os.replace = keep
    return max(sizes, default=0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", default="")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.peak:
        measure_peak(given.folder, given.peak)
        return
    model = inspector.open_model(MODEL)
    with tempfile.TemporaryDirectory() as scratch:
        folders = {
            count: Path(scratch) / str(count)
            for count in (given.images // 4, given.images // 2, given.images)
        }
        for folder in folders.values():
            folder.mkdir()
        for number, example in enumerate(dissection.synthetic_concepts(given.images).stream()):
            for count, folder in folders.items():
                if number < count:
                    Image.fromarray(example.picture).save(folder / f"{number:05}.png", compress_level=1)
        whole = folders[given.images]
        rows = [
            (
                timed(lambda: dissection.top_images(model, whole, LAYER)),
                timed(lambda: plain_loop(model, whole)),
            )
            for _ in range(given.rounds)
        ]
        ours, plain = (tuple(min(row[side][kind] for row in rows) for kind in (0, 1)) for side in (0, 1))
        print(f"| {given.images} images | ours | plain loop | share of its time |\n|---|---|---|---|")
        for kind, name in enumerate(("CPU", "wall")):
            print(f"| {name} | {ours[kind]:.2f} s | {plain[kind]:.2f} s | {ours[kind] / plain[kind]:.2f} |")
        print(f"| images a second | {given.images / ours[1]:.0f} | {given.images / plain[1]:.0f} | |\n")
        print(f"| peak, MB | {' | '.join(f'{count} images' for count in folders)} |\n|{'---|' * 4}")
        for job in ("top_images", "statistics"):
            print(f"| {job} | {' | '.join(f'{peak(folder, job):.0f}' for folder in folders.values())} |")
        maps = open_layers(model, [LAYER]).maps(np.zeros((224, 224, 3), np.uint8))[LAYER]
        state, dumped = state_bytes(model, whole), 8 * maps.size * given.images
        print(
            f"\nDisk: {state / 1e6:.2f} MB of state, {state / dumped:.2%} of {dumped / 1e6:.0f} MB of maps."
        )


if __name__ == "__main__":
    main()
