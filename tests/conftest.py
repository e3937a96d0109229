"""What every test may ask for: fixture files, the shared real models, and an opened classifier."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from torch import Tensor
from torch.nn import functional

import inspector
from inspector.server import Address, Workplace, start

os.environ.setdefault("KERAS_BACKEND", "torch")  # noqa: TID251  # Keras offers no other way

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures"
SHARED = ROOT.parent / "shared" / "models"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    return FIXTURES


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Real models in many formats; not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared/models with real models is not here")
    return SHARED


@pytest.fixture(scope="session")
def classifier() -> inspector.Model:
    """SqueezeNet 1.1, the shipped ImageNet classifier."""
    return inspector.open_model(FIXTURES / "squeezenet1_1.onnx")


@pytest.fixture(scope="module")
def workplace(fixtures: Path) -> Iterator[Workplace]:
    """The shipped classifier and a picture, unless a file of tests has its own."""
    with Workplace() as made:
        made.first = (made.add(fixtures / "squeezenet1_1.onnx"),)
        made.input = made.share(fixtures / "coffee.png").id
        yield made


@pytest.fixture(scope="module")
def address(workplace: Workplace) -> Iterator[Address]:
    """A server for the `workplace` of a file of tests."""
    with start(workplace) as found:
        yield found


@pytest.fixture
def client(address: Address) -> Iterator[httpx.Client]:
    """Who may ask that server."""
    headers = {"authorization": f"Bearer {address.token}"}
    with httpx.Client(base_url=address.origin, headers=headers, timeout=60, trust_env=False) as made:
        yield made


FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium a file of tests, or the reason why there is none."""
    sync = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e .[test]"
    )
    with sync.sync_playwright() as play:
        own = play.chromium.executable_path
        names = ("chromium", "chromium-browser", "google-chrome")
        found = next(filter(None, map(shutil.which, names)), own if Path(own).exists() else None)
        if found is None:
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        made = play.chromium.launch(executable_path=found, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def page(browser: Any, address: Address) -> Iterator[Any]:
    """The page over the `workplace`, ready, and afterwards that it had no fault."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda fault: faults.append(str(fault)))
    made.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    made.goto(address.url)
    made.wait_for_function("() => Number(document.body.dataset.seq || 0) >= 1")
    yield made
    context.close()
    assert faults == []


@pytest.fixture
def attention_as_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporters multiply queries and keys by the root of the scale, which files hold in float32."""
    plain = functional.scaled_dot_product_attention

    def scaled(queries: Tensor, keys: Tensor, values: Tensor, scale: float | None = None) -> Tensor:
        root = float(np.float32(queries.shape[-1] ** -0.25))
        return plain(queries, keys, values, scale=scale or root * root)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", scaled)
