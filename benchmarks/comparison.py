"""How right is comparing, and how long does it take? Tables in Markdown; CPU seconds, one thread.

    python benchmarks/comparison.py [--megabytes 150] [--seeds 30]

Precision and recall are those of generated pairs whose answer is known, on seeds that were never used while
developing: matched nodes, and the kinds of edit in the list. With fresh weights equal neighbouring copies
may be exchanged. The last part is like for like: Polygraphy's compare step and ours are given the same two
sets of arrays, already in memory, and tell for each whether they agree. Polygraphy is used when it can be
imported (`pip install polygraphy`).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "comparison"))

from planted import network, proto
from single_changes import CHANGES, told
from truth import Score, scored, scored_edits

from inspector.comparison.aligning import align_graphs
from inspector.comparison.canonical import canonical
from inspector.comparison.differences import difference
from inspector.comparison.weight_pairs import compare_weights
from inspector.model import open_model


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """CPU seconds, the least of several."""
    times: list[float] = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def deep(blocks: int) -> bytes:
    """A residual network of so many blocks of seven nodes."""
    return proto(*network(blocks=blocks)).SerializeToString()


HELD_OUT = 850_000


def accuracy(seeds: int) -> None:
    """Tables of random edits and of single changes."""
    drawn = range(HELD_OUT, HELD_OUT + seeds)
    print("| edits | weights | pairs P | pairs R | edit kinds P | edit kinds R |\n|---|---|---|---|---|---|")
    for fresh, most in ((False, 6), (True, 3)):
        kind, pairs, kinds = "fresh" if fresh else "kept", Score(), Score()
        for count in range(most + 1):
            found = scored(drawn, count, fresh), scored_edits(drawn, count, fresh)
            print(f"| {count} | {kind} | {' | '.join(map(_figures, found))} |", flush=True)
            pairs, kinds = pairs + found[0] if count else pairs, kinds + found[1] if count else kinds
        print(f"| 1 to {most} | {kind} | {_figures(pairs)} | {_figures(kinds)} |", flush=True)
    print("\n| change | pairs P | pairs R | edit kinds P | edit kinds R | weights P | weights R |")
    print("|---|---|---|---|---|---|---|")
    for change in CHANGES:
        said = told(drawn, change)
        figures = " | ".join(map(_figures, (said.pairs, said.edits, said.weights)))
        print(f"| {change} | {figures} |", flush=True)
    print()


def _figures(score: Score) -> str:
    """Precision and recall; a dash where nothing was said, or nothing was to be said."""
    first = f"{score.precision:.3f}" if score.said else "–"
    return f"{first} | {score.recall:.3f}" if score.true else f"{first} | –"


def alignment(folder: Path) -> None:
    """Times of the view, the match and the weights."""
    print("| nodes a side | both views s | alignment s | weights s | pairs |\n|---|---|---|---|---|")
    for blocks in (16, 140, 700):
        path = folder / f"deep{blocks}.onnx"
        path.write_bytes(deep(blocks))
        model = open_model(path)
        again = open_model(path)
        start = time.process_time()
        one, other = canonical(model), canonical(again)
        view = time.process_time() - start
        match = seconds(lambda one=one, other=other: align_graphs(one, other), 1)
        found = align_graphs(one, other)
        weights = seconds(lambda found=found: compare_weights(found), 1)
        print(
            f"| {len(model.nodes):,} | {view:.2f} | {match:.2f} | {weights:.2f} | {len(found.pairs):,} |",
            flush=True,
        )
    print()


def activations(megabytes: int) -> None:
    rng = np.random.default_rng(0)
    count = max(1, megabytes // 4)
    a = {f"value{i}": rng.standard_normal((1, 64, 128, 128), np.float32) for i in range(count)}
    b = {name: array + np.float32(1e-6) for name, array in a.items()}
    ours = seconds(lambda: [difference(a[name], b[name]) for name in a], 5)
    print(f"| compare step, {count * 4} MiB a side | CPU s | times ours |\n|---|---|---|")
    print(f"| ours: max abs, relative L2, cosine, SNR | {ours:.3f} | 1 |", flush=True)
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
    theirs = seconds(lambda: comparator.Comparator.compare_accuracy(results, compare_func=compare), 2)
    print(f"| Polygraphy: max abs against atol and rtol | {theirs:.3f} | {theirs / ours:.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=30)
    given = parser.parse_args()
    accuracy(given.seeds)
    with tempfile.TemporaryDirectory() as place:
        alignment(Path(place))
    activations(given.megabytes)
