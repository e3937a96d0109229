"""How long does the alignment take at 200, 1,000 and 5,000 canonical nodes a side, and is it right?

Generated transformers: one block inserted, one removed, another activation everywhere. Run it with
`python benchmarks/alignment.py`; the reading of large weights is not part of it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "comparison"))

from generator import Block, build
from truth import score

from inspector.comparison.aligning import align_graphs
from inspector.comparison.canonical import canonical
from inspector.model import open_model


def main() -> None:
    print("nodes  weights  view s  align s  precision  recall")
    for blocks in (28, 140, 714):
        kinds = ("attention", "mlp")
        before = [Block(f"b{i}", kinds[i % 2], 0, 32, 64, 1, "Gelu", i) for i in range(blocks)]
        after = [*before[:4], replace(before[4], tag="new", seed=-1 % 2**31), *before[4:-6], *before[-4:]]
        after = [replace(b, activation="Relu") for b in after]
        for name, shift in (("kept", 0), ("fresh", 1_000_000)):
            other = [replace(b, seed=b.seed + shift) for b in after]
            models = open_model(build(before, 1)), open_model(build(other, 2))
            start = time.perf_counter()
            views = canonical(models[0]), canonical(models[1])
            middle = time.perf_counter()
            found = align_graphs(*views)
            took = time.perf_counter() - middle
            right = score(before, other, found)
            print(
                f"{len(views[0].atoms):5}  {name:7}  {middle - start:6.2f}  {took:7.2f}  "
                f"{right.precision:9.3f}  {right.recall:6.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
