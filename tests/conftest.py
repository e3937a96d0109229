"""What every test may ask for: fixture files, the shared real models, and an opened classifier."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import inspector

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
