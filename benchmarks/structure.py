"""What does structure cost as graphs grow? Blocks, cost and drawing against loading with shape inference."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx_ir

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from structures import transformer

import inspector
from inspector.graph import blocks, cost, cost_table, dag, draw

NODES_A_LAYER = 24


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def prepared(path: Path) -> inspector.Model:
    """A model whose shapes, weights and look-ups are there, so that each column counts its own work."""
    model = inspector.open_model(path)
    for name in ("values", "weights", "producers", "consumers"):
        getattr(model, name)
    return model


def row(path: Path) -> dict[str, float]:
    model = prepared(path)
    return {
        "onnx.load + infer": seconds(
            lambda: onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
        ),
        "onnx_ir.load": seconds(lambda: onnx_ir.load(path)),
        "open + values": seconds(lambda: prepared(path)),
        "dag": seconds(lambda: dag(model)),
        "blocks": seconds(lambda: blocks(model)),
        "cost": seconds(lambda: cost(model, {"batch": 1})),
        "table": seconds(lambda: cost_table(model)),
        "draw svg": seconds(lambda: draw(model, "svg")),
    }


def main() -> None:
    sizes = [int(text) for text in sys.argv[1:]] or [1_000, 5_000, 20_000, 100_000]
    print("CPU seconds of this process (Graphviz runs as a child and sees at most about 60 boxes)")
    with tempfile.TemporaryDirectory() as folder:
        for scoped in (True, False):
            for nodes in sizes:
                path = Path(folder) / "graph.onnx"
                layers = max(1, nodes // NODES_A_LAYER)
                onnx.save(transformer(layers, width=4, tokens=4, scoped=scoped), path)
                made = row(path)
                cells = "  ".join(f"{name} {value:6.2f}" for name, value in made.items())
                ratio = made["blocks"] / max(made["onnx.load + infer"], 1e-9)
                kind = "scopes" if scoped else "no scopes"
                print(f"{layers * NODES_A_LAYER + 3:7,} nodes, {kind:9}  {cells}  blocks/load {ratio:.1f}x")


if __name__ == "__main__":
    main()
