"""How long does a value of the shipped classifier take to show in the page?

Run `python benchmarks/workbench_values.py`. Chromium clicks every box of SqueezeNet, three times over, and
measures from the click until statistics, histogram and pictures have been painted, replay on the server
included. Prints a Markdown table.
"""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

from playwright.sync_api import sync_playwright

from inspector.server import Workplace, start

FIXTURES = Path(__file__).parent.parent / "fixtures"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
SHOW = """key => new Promise((done) => {
  delete document.body.dataset.value;
  const buttons = [...document.querySelectorAll('.outline li button')];
  const button = buttons.find(b => b.textContent.endsWith(' ' + key)), begun = performance.now();
  const seen = () => {
    if (document.body.dataset.value) { watch.disconnect(); done(performance.now() - begun); }
  };
  const watch = new MutationObserver(seen);
  watch.observe(document.body, {attributes: true, attributeFilter: ['data-value']});
  button.click();
})"""


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with Workplace() as workplace, sync_playwright() as play:
        digest = workplace.add(FIXTURES / "squeezenet1_1.onnx")
        workplace.first, workplace.input = (digest,), workplace.share(FIXTURES / "coffee.png").id
        keys = [n.key for n in workplace.model(digest).nodes.values()]
        with start(workplace) as address:
            browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address.url)
            page.get_by_label("Search").fill("params>=0")
            page.get_by_role("tab", name="Activations").click()
            page.get_by_role("button", name="Run the given input").click()
            page.locator(".answer").wait_for()
            rounds = [{key: page.evaluate(SHOW, key) for key in keys} for _ in range(3)]
            browser.close()
    print("| values of SqueezeNet in the page, ms | median | 95 % | slowest | under 100 ms |")
    print("|---|---|---|---|---|")
    for name, times in (("first look", [rounds[0]]), ("again, fastest of two", rounds[1:])):
        best = sorted(min(one[key] for one in times) for key in keys)
        late, quick = best[int(0.95 * (len(best) - 1))], sum(ms < 100 for ms in best)
        middle = statistics.median(best)
        print(f"| {name} | {middle:.0f} | {late:.0f} | {best[-1]:.0f} | {quick} of {len(best)} |")


if __name__ == "__main__":
    main()
