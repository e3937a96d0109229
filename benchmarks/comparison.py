"""How long does comparing take? Alignment of deep pairs, and activations beside Polygraphy's compare step.

    python benchmarks/comparison.py [--megabytes 150]

The second part is like for like: both sides are given the same two sets of arrays, already in memory, and
tell for each whether they agree. Polygraphy is used when it can be imported (`pip install polygraphy`).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "comparison"))

from planted import network, proto

from inspector.comparison.aligning import align_graphs
from inspector.comparison.canonical import canonical
from inspector.comparison.differences import difference
from inspector.comparison.weight_pairs import compare_weights
from inspector.model import open_model


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def deep(blocks: int) -> bytes:
    """A residual network of so many blocks of seven nodes."""
    return proto(*network(blocks=blocks)).SerializeToString()


def alignment(folder: Path) -> None:
    for blocks in (16, 140, 700):
        path = folder / f"deep{blocks}.onnx"
        path.write_bytes(deep(blocks))
        model = open_model(path)
        start = time.perf_counter()
        one, other = canonical(model), canonical(open_model(path))
        view = time.perf_counter() - start
        match = seconds(lambda one=one, other=other: align_graphs(one, other), 1)
        found = align_graphs(one, other)
        weights = seconds(lambda found=found: compare_weights(found), 1)
        print(
            f"{len(model.nodes):6,} nodes a side: canonical views {view:.2f} s, "
            f"alignment {match:.2f} s, weights {weights:.2f} s, {len(found.pairs):,} pairs"
        )


def activations(megabytes: int) -> None:
    rng = np.random.default_rng(0)
    count = max(1, megabytes // 4)
    a = {f"value{i}": rng.standard_normal((1, 64, 128, 128), np.float32) for i in range(count)}
    b = {name: array + np.float32(1e-6) for name, array in a.items()}
    ours = seconds(lambda: [difference(a[name], b[name]) for name in a])
    print(f"{count * 4} MiB a side: ours {ours:.3f} s (max abs, relative L2, cosine, SNR)")
    if importlib.util.find_spec("polygraphy") is None:
        print("Polygraphy is not installed: no row for it.")
        return
    comparator = importlib.import_module("polygraphy.comparator")
    logger = importlib.import_module("polygraphy.logger").G_LOGGER
    logger.module_severity = logger.ERROR
    results = comparator.RunResults()
    for name, arrays in (("a", a), ("b", b)):
        results.append((name, [comparator.IterationResult(outputs=arrays)]))
    compare = comparator.CompareFunc.simple(check_error_stat="max", atol=1e-5, rtol=1e-4)
    theirs = seconds(lambda: comparator.Comparator.compare_accuracy(results, compare_func=compare), 1)
    print(f"Polygraphy {theirs:.3f} s, {theirs / ours:.0f} times ours")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=150)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        alignment(Path(place))
    activations(given.megabytes)
