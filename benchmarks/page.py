"""How soon is a graph on screen, and does it pan at 60 frames a second?

`python benchmarks/page.py 5000 20000`. Netron's side is not measured yet: its page asks for consent first.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import TimeoutError as TooLate
from playwright.sync_api import sync_playwright

from inspector.server import Workplace, start

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LIMIT = 120_000
PORT = 18_081
STEPS = ("MatMul", "Relu", "MatMul", "Sigmoid", "MatMul", "Tanh", "Mul", "Add")

FRAMES = """addEventListener('measure', () => {
  const times = [], pan = window.workbench ? i => workbench.look({y: 40 * i})
    : i => { document.getElementById('target').scrollTop = 40 * i; };
  let last = performance.now(), i = 0;
  const step = now => {
    times.push(now - last); last = now; pan(i);
    if (++i < 90) requestAnimationFrame(step);
    else {
      times.sort((a, b) => a - b);
      document.body.setAttribute('data-frames', times[45].toFixed(1) + ' (' + times[85].toFixed(1) + ')');
    }
  };
  document.body.removeAttribute('data-frames');
  requestAnimationFrame(step);
});"""
"""Put into every page before its own script; Netron's page forbids to evaluate text later."""


def deep(nodes: int) -> onnx.ModelProto:
    """Residual blocks of eight nodes that all read one mask."""
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    made, last = [], "x"
    for n in range(nodes // len(STEPS)):
        start_of = last
        for step, op in enumerate(STEPS):
            second = {"MatMul": ["w"], "Mul": ["m"], "Add": [start_of]}.get(op, [])
            made.append(
                helper.make_node(op, [last, *second], [f"v{n}.{step}"], name=f"/layer.{n}/{op}_{step}")
            )
            last = f"v{n}.{step}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("x", "m", last)]
    graph = helper.make_graph(made, "deep", ends[:2], ends[2:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


def timed(page: Any, url: str, drawn: str) -> str:
    begun = time.perf_counter()
    page.goto(url)
    try:
        page.wait_for_selector(drawn, state="attached", timeout=LIMIT)
    except TooLate:
        return ""
    return f"{(time.perf_counter() - begun) * 1000:.0f} ms"


def frames(page: Any) -> str:
    page.dispatch_event("body", "measure", {"bubbles": True})
    page.wait_for_selector("body[data-frames]", state="attached", timeout=LIMIT)
    return f"pan p50 (p95) {page.get_attribute('body', 'data-frames')} ms"


def ours(page: Any, path: Path) -> None:
    with Workplace() as workplace:
        workplace.first = (workplace.add(path),)
        with start(workplace) as address:
            timed(page, address.url, "body[data-ready=yes]")  # the document is made once and kept
            shown = timed(page, address.origin, "body[data-ready=yes]")
            print(f"  workbench, collapsed: ready {shown}, {frames(page)}")
            page.get_by_role("button", name="All", exact=True).click()
            page.wait_for_selector("body[data-seq='2']", state="attached", timeout=LIMIT)
            layout = page.get_attribute("body", "data-layout")
            print(f"  workbench, all open: layout {layout} ms, {frames(page)}")


def netron(page: Any, path: Path) -> None:
    if importlib.util.find_spec("netron") is None:
        print("  Netron: not installed")
        return
    rival = importlib.import_module("netron")
    address = rival.start(str(path), address=("127.0.0.1", PORT), browse=False)
    page.goto(f"http://{address[0]}:{address[1]}")
    page.wait_for_selector("#message-button", state="attached", timeout=LIMIT)
    print("  Netron: not measured; its page first asks for consent to usage reports, not a script's to give")
    rival.stop(address)


def main() -> None:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as play, tempfile.TemporaryDirectory() as folder:
        browser = play.chromium.launch(executable_path=found, args=FLAGS)
        for nodes in map(int, sys.argv[1:] or ["5000", "20000"]):
            path = Path(folder) / f"deep{nodes}.onnx"
            onnx.save(deep(nodes), path)
            print(f"{nodes:,} nodes")
            for measure in (ours, netron):
                page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
                page.add_init_script(FRAMES)
                measure(page, path)
                page.context.close()


if __name__ == "__main__":
    main()
