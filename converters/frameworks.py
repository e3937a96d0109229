"""Is an optional framework here? The one door through which converters import them."""

from __future__ import annotations

import importlib
from types import ModuleType

from converters.errors import MissingFramework

__all__ = ["need"]

_PIP = {"sklearn": "scikit-learn", "tensorflow": "tensorflow-cpu"}


def need(name: str, purpose: str) -> ModuleType:
    """Import a framework, or say which package is missing and what it is needed for."""
    try:
        return importlib.import_module(name)
    except ImportError as cause:
        package = _PIP.get(name.split(".")[0], name.split(".")[0])
        raise MissingFramework(f"{purpose} needs {package}: {cause}. Run `pip install {package}`.") from cause
