"""What every test may ask for: fixture files, the shared real models, and an opened classifier."""

from __future__ import annotations

import os
from pathlib import Path

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
