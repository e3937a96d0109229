"""How soon is a graph on screen, and does it pan at 60 frames a second, beside Netron and Model Explorer?

    python -m venv rivals && rivals/bin/pip install netron ai-edge-model-explorer model-explorer-onnx
    python benchmarks/page_rivals.py --rivals rivals/bin

One run, the same Chromium and the same file for all, a browser of its own for each tool, so that none waits
for what another left running; no request leaves the machine. Times start when the last byte
of the page's data has arrived (for Netron the file itself, for Model Explorer its converted graph) and end
two frames after the drawing is there. Netron asks for consent to usage reports first: its script is served
without that question and without the reports, otherwise unchanged.
"""

from __future__ import annotations

import argparse
import functools
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import TimeoutError as TooLate
from playwright.sync_api import sync_playwright

from inspector.server import Workplace, start

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
STEPS = ("MatMul", "Relu", "MatMul", "Sigmoid", "MatMul", "Tanh", "Mul", "Add")
SIZE = {"width": 1400, "height": 900}
PAIRED = 5000
"""Two graphs of at most so many nodes are compared; larger ones take the alignment minutes."""

PROBE = """(tool) => {
  const say = (name, text) => document.body.setAttribute('data-bench-' + name, text);
  const soon = then => requestAnimationFrame(() => requestAnimationFrame(then));
  const until = (ready, then) => {
    const look = () => ready() ? soon(then) : requestAnimationFrame(look);
    look();
  };
  const snack = () => document.querySelector('mat-snack-bar-container');
  let seq = '', seen = false;
  const tools = {
    workbench: {data: '/models/', drawn: () => document.body.dataset.ready === 'yes',
      open: () => {
        seq = document.body.dataset.seq;
        [...document.querySelectorAll('.bar button')].find(b => b.textContent === 'All').click();
      },
      opened: () => document.body.dataset.seq !== seq, canvas: '.drawing canvas'},
    netron: {data: '.onnx', drawn: () => document.body.className === 'default'
      && document.querySelector('#target .node-item')},
    explorer: {data: 'send_command', drawn: () => document.querySelector('canvas.main'),
      open: () => document.querySelector('.bubble.expand-all').click(),
      opened: () => { seen = seen || snack(); return seen && !snack(); }, canvas: 'canvas.main'},
  }[tool];
  const pan = (name, then) => {
    const times = [], canvas = tools.canvas && document.querySelector(tools.canvas);
    const box = canvas && canvas.getBoundingClientRect();
    const move = canvas
      ? () => canvas.dispatchEvent(new WheelEvent('wheel', {deltaY: 40, bubbles: true, cancelable: true,
          clientX: box.x + box.width / 2, clientY: box.y + box.height / 2}))
      : () => { document.getElementById('target').scrollTop += 40; };
    let last = performance.now();
    const step = now => {
      times.push(now - last); last = now; move();
      if (times.length < 90) return requestAnimationFrame(step);
      times.sort((a, b) => a - b);
      say(name, times[45].toFixed(1) + ' ms (' + times[85].toFixed(1) + ')');
      then();
    };
    requestAnimationFrame(step);
  };
  const expand = () => {
    if (!tools.open) return;
    const begun = performance.now();
    tools.open();
    until(tools.opened, () => {
      say('opened', (performance.now() - begun).toFixed(0));
      pan('opened-pan', () => undefined);
    });
  };
  addEventListener('DOMContentLoaded', () => until(tools.drawn, () => {
    const got = performance.getEntriesByType('resource').filter(r => r.name.includes(tools.data));
    say('drawn', (performance.now() - Math.max(...got.map(r => r.responseEnd))).toFixed(0));
    pan('drawn-pan', expand);
  }));
}"""
"""Put into every page before its own script; pages may forbid to evaluate text later."""


@dataclass(frozen=True)
class Row:
    """What one tool needed for one graph."""

    tool: str
    nodes: int
    drawn: str
    pan: str


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


def _only_here(route: Any) -> None:
    url = route.request.url
    if not url.startswith(("http://127.0.0.1", "http://localhost", "blob:", "data:")):
        route.abort()
    elif url.endswith("/browser.js"):
        answer = route.fetch()
        text, cuts = re.subn(r"await consent\(\);\s*await telemetry\(\);", "", answer.text())
        if cuts != 1:
            raise SystemExit("this version of Netron asks for consent in another way; nothing is measured")
        route.fulfill(response=answer, body=text)
    else:
        route.continue_()


def _asked(page: Any, name: str, limit: int) -> str | None:
    try:
        page.wait_for_selector(f"body[data-bench-{name}]", state="attached", timeout=limit * 1000)
    except TooLate:
        return None
    return page.get_attribute("body", f"data-bench-{name}")


def _measured(launch: Callable[[], Any], tool: str, url: str, nodes: int, limit: int) -> Iterator[Row]:
    """The first view, and for tools that fold blocks everything open."""
    browser = launch()
    page = browser.new_page(viewport=SIZE)
    page.route("**/*", _only_here)
    page.add_init_script(f"({PROBE})('{tool}')")
    page.goto(url, wait_until="commit")
    named = {"workbench": "Workbench", "netron": "Netron", "explorer": "Model Explorer"}[tool]

    states = {"drawn": "flat"} if tool == "netron" else {"drawn": "collapsed", "opened": "all open"}
    for name, state in states.items():
        took = _asked(page, name, limit)
        if took is None:
            yield Row(f"{named}, {state}", nodes, f"not within {limit} s", "")
            break
        yield Row(f"{named}, {state}", nodes, f"{int(took):,} ms", _asked(page, f"{name}-pan", limit) or "?")
    browser.close()


PAN = """count => new Promise(done => {
  const times = [];
  let last = performance.now();
  const step = now => {
    times.push(now - last); last = now;
    comparison.pan(0, 0, times.length % 60 < 30 ? 20 : -20);
    if (times.length < count) return requestAnimationFrame(step);
    times.sort((a, b) => a - b);
    const at = share => times[Math.floor(share * count)].toFixed(1);
    done(at(0.5) + ' ms (' + at(0.95) + ')');
  };
  requestAnimationFrame(step);
})"""


def _pair(launch: Callable[[], Any], path: Path, nodes: int, limit: int) -> Iterator[Row]:
    """Two graphs, an operator in forty changed, everything open, moved together; no rival aligns them."""
    other = path.with_name("other.onnx")
    changed = onnx.load(path)
    for node in list(changed.graph.node)[5::40]:
        node.op_type = "Relu" if len(node.input) == 1 else node.op_type
    onnx.save(changed, other)
    with Workplace() as workplace:
        workplace.first = (workplace.add(path), workplace.add(other))
        with start(workplace) as address:
            browser = launch()
            page = browser.new_page(viewport=SIZE)
            page.goto(address.url)
            page.wait_for_function("() => Number(document.body.dataset.pairs) > 0", timeout=4000 * limit)
            page.locator(".pairs").get_by_role("button", name="All", exact=True).click()
            page.wait_for_function("n => Number(document.body.dataset.pairs) > n", arg=nodes * 0.9)
            for name, zoom in (("as read", "0"), ("whole", "comparison.fit()")):
                page.evaluate(zoom)
                page.wait_for_timeout(1000)
                yield Row(f"Workbench, two side by side, {name}", nodes, "", page.evaluate(PAN, 120))
            browser.close()


@contextmanager
def _served(command: list[str], url: str, limit: int) -> Generator[str]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(limit * 2):
            try:
                urlopen(url, timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait()


def _rows(launch: Callable[[], Any], path: Path, nodes: int, rivals: Path, limit: int) -> Iterator[Row]:
    with Workplace() as workplace:
        workplace.first = (workplace.add(path),)
        with start(workplace) as address:
            yield from _measured(launch, "workbench", address.url, nodes, limit)
    if nodes <= PAIRED:
        yield from _pair(launch, path, nodes, limit)
    for tool, program, port in (("netron", "netron", 18_081), ("explorer", "model-explorer", 18_082)):
        found, origin = shutil.which(program, path=str(rivals)), f"http://127.0.0.1:{port}/"
        if found is None:
            yield Row(program, nodes, f"not installed in {rivals.name}/", "")
            continue
        options = ["--host", "127.0.0.1", "--port", str(port)]
        if tool == "explorer":
            options += ["--no_open_in_browser", "--extensions=model_explorer_onnx"]
        with _served([found, *options, str(path)], origin, limit):
            query = f'?data={quote(f"""{{"models": [{{"url": "{path}"}}]}}""")}' if tool == "explorer" else ""
            yield from _measured(launch, tool, origin + query, nodes, limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("nodes", nargs="*", type=int, default=[1000, 5000, 20000])
    parser.add_argument("--rivals", type=Path, default=Path(sys.executable).parent, help="folder of programs")
    parser.add_argument("--limit", type=int, default=30, help="seconds to wait for one drawing")
    given = parser.parse_args()
    found = shutil.which("chromium") or shutil.which("google-chrome")
    print("| tool | nodes | drawn after its data came | a frame while panning, median (p95) |")
    print("|---|---|---|---|", flush=True)
    with sync_playwright() as play, tempfile.TemporaryDirectory() as folder:
        launch = functools.partial(play.chromium.launch, executable_path=found, args=FLAGS)
        for nodes in given.nodes:
            path = Path(folder) / f"deep{nodes}.onnx"
            onnx.save(deep(nodes), path)
            for row in _rows(launch, path, nodes, given.rivals, given.limit):
                print(f"| {row.tool} | {row.nodes:,} | {row.drawn} | {row.pan} |", flush=True)


if __name__ == "__main__":
    main()
