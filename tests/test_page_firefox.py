"""Does the report open from disk in Firefox and Chromium, without an error, a request or a difference?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import inspector

pytestmark = pytest.mark.browser

PATIENCE = 60
READY = "document.body.dataset.ready === 'yes'"
BOXES = "JSON.stringify([document.body.dataset.boxes, document.body.dataset.edges])"
VIEWS = """(async () => {
  const seen = [];
  for (const tab of document.querySelectorAll('[role=tab]')) {
    tab.click();
    await new Promise(done => setTimeout(done, 150));
    seen.push([tab.textContent, document.querySelector('[role=tabpanel]').innerText.trim().length > 20]);
  }
  return JSON.stringify(seen);
})()"""
"""Every view of the report in turn, and whether it shows anything."""


class _Firefox:
    """Firefox's own remote protocol (WebDriver BiDi) over one WebSocket."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._last = socket, 0
        self.events: list[dict[str, Any]] = []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self._context = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method: str, **params: Any) -> Any:
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == self._last:
                assert answer["type"] == "success", answer
                return answer["result"]
            self.events.append(answer)

    def open(self, url: str) -> None:
        self.call("browsingContext.navigate", context=self._context, url=url, wait="complete")
        self.value(f"""new Promise((done, fail) => {{
          const look = () => {READY} ? done('') : setTimeout(look, 50);
          setTimeout(() => fail(new Error('the report does not become ready')), {PATIENCE * 1000});
          look();
        }})""")

    def value(self, script: str) -> str:
        made = self.call(
            "script.evaluate", expression=script, target={"context": self._context}, awaitPromise=True
        )
        assert made["type"] == "success", made
        return made["result"].get("value", "")

    def errors(self) -> list[str]:
        logged = [event["params"] for event in self.events if event.get("method") == "log.entryAdded"]
        return [entry["text"] for entry in logged if entry["level"] == "error"]

    def requests(self) -> list[str]:
        sent = [e["params"] for e in self.events if e.get("method") == "network.beforeRequestSent"]
        return [entry["request"]["url"] for entry in sent]


@contextmanager
def _firefox(profile: Path) -> Generator[_Firefox]:
    client = pytest.importorskip(
        "websockets.sync.client", reason="websockets is not installed: pip install -e .[test]"
    )
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        pytest.skip("no Firefox on PATH: install the package firefox-esr")
    profile.mkdir()
    command = [found, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    with (profile / "log").open("w+") as log:
        process = subprocess.Popen([*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=log)
        try:
            with client.connect(_address(process, profile / "log"), max_size=None) as socket:
                yield _Firefox(socket)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(PATIENCE * 10):
        said = re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text())
        if said:
            return f"{said[1]}/session"
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.skip(f"Firefox does not start here: {log.read_text()[-200:]}")


@pytest.fixture(scope="module", params=["one", "two"])
def report(request: pytest.FixtureRequest, fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the classifier, alone or beside a copy in which one bias is 0.5 larger."""
    folder = tmp_path_factory.mktemp("report")
    net, path = fixtures / "squeezenet1_1.onnx", folder / "report.html"
    other = None
    if request.param == "two":
        other = onnx.load(net)
        bias = next(t for t in other.graph.initializer if t.name == "features.0.bias")
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.5), bias.name))
    made = inspector.report(net, str(fixtures / "coffee.png"), path, other)
    assert made.size < 2_000_000
    return path


def test_a_report_opens_in_firefox(report: Path, tmp_path: Path) -> None:
    with _firefox(tmp_path / "profile") as firefox:
        firefox.open(report.as_uri())
        views = json.loads(firefox.value(VIEWS))
        boxes, edges = map(int, json.loads(firefox.value(BOXES)))
        errors, requests = firefox.errors(), firefox.requests()
    assert min(boxes, edges) > 10
    _all_shown(views)
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "blob:", "data:"))] == []


def _all_shown(views: list[tuple[str, bool]]) -> None:
    assert len(views) >= 4
    assert [name for name, shown in views if not shown] == []


def test_firefox_tells_what_is_wrong(tmp_path: Path) -> None:
    """The two lists above are not empty for want of listening."""
    broken = tmp_path / "broken.html"
    text = '<script src="http://127.0.0.1:18999/none.js"></script><script>unknown()</script>'
    broken.write_text(f"<!doctype html><body data-ready=yes>{text}</body>")
    with _firefox(tmp_path / "profile") as firefox:
        firefox.open(broken.as_uri())
        firefox.value("new Promise(done => setTimeout(() => done(''), 200))")
        assert any("unknown" in error for error in firefox.errors())
        assert "http://127.0.0.1:18999/none.js" in firefox.requests()


def test_a_report_opens_in_chromium(browser: Any, report: Path) -> None:
    page = browser.new_page()
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda fault: errors.append(str(fault)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_function(f"() => {READY}")
    views = json.loads(page.evaluate(VIEWS))
    page.close()
    _all_shown(views)
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "blob:", "data:"))] == []


@pytest.mark.parametrize("report", ["two"], indirect=True)
def test_a_report_shows_what_differs_between_two(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(report.as_uri())
    page.wait_for_function(f"() => {READY} && Number(document.body.dataset.pairs) > 5")
    assert page.get_by_role("tab", selected=True).inner_text() == "Compare"
    page.get_by_role("row").filter(has_text="Conv").first.click()
    figures = page.locator(".beside.figures")
    figures.nth(2).wait_for()
    assert figures.nth(1).get_by_role("row", name="mean").inner_text().split()[-1] == "0.5", (
        "B - A of the bias"
    )
    assert page.locator(".pair .histogram").count() == 3
    assert page.locator(".pair button").count() == 0, "nothing asks for a server"
    assert page.locator(".versus button").count() == 0
    page.reload()
    page.get_by_role("heading", name="Conv ↔ Conv").wait_for()
    page.close()
