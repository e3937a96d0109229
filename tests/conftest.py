"""What every test may ask for: fixture files, the shared real models, and an opened classifier."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

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
