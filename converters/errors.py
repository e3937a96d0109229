"""What can go wrong between a file and ONNX, sorted by what the user can do about it.

InspectorError
├── BadFile            the file is damaged, hostile or not what it says: get another copy
├── UnknownFormat      nobody recognises the content: convert it elsewhere first
├── MissingFramework   an optional package is needed: install it
├── Untrusted          reading on would run code from the file: pass trust=True or supply a factory
├── MissingOption      something only the user knows is needed: pass it (input shapes, a factory)
└── ConversionFailed   the exporter failed on this model: its message is attached
"""

from __future__ import annotations

__all__ = [
    "BadFile",
    "ConversionFailed",
    "InspectorError",
    "MissingFramework",
    "MissingOption",
    "UnknownFormat",
    "Untrusted",
]


class InspectorError(Exception):
    """A fact the user must know: where, what was expected, what was found, what to do next."""

    exit_code = 2


class BadFile(InspectorError):
    """The file is damaged, hostile or not what its name says."""


class UnknownFormat(InspectorError):
    """No registered format recognises the content."""


class MissingFramework(InspectorError):
    """The file needs an optional package that is not installed."""


class Untrusted(InspectorError):
    """Going on would run code from the file."""


class MissingOption(InspectorError):
    """The file does not say something the conversion needs."""


class ConversionFailed(InspectorError):
    """The framework's exporter refused the model."""
