"""Everything the user can be told, in one tree.

InspectorError (converters.errors)
├── BadFile, UnknownFormat, MissingFramework, Untrusted, MissingOption, ConversionFailed   from opening a file
├── UnknownName            a name, pattern or choice that does not exist: the near ones are listed
├── BadInput               an input array or picture that does not fit the model
├── NotRunnable            the model cannot be executed, and why
├── UnsupportedOperator    an operator or attribute the engine does not have
├── NoGradientPath         the asked gradient does not exist
├── DeviceUnavailable      the asked device cannot be used here, and why
├── OutputExists           writing would lose what is already there
├── TooLarge               a time, size or memory limit would be exceeded
└── Cancelled              the user stopped it
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from converters.errors import (
    BadFile,
    ConversionFailed,
    InspectorError,
    MissingFramework,
    MissingOption,
    UnknownFormat,
    Untrusted,
)

__all__ = [
    "BadFile",
    "BadInput",
    "Cancelled",
    "ConversionFailed",
    "DeviceUnavailable",
    "InspectorError",
    "MissingFramework",
    "MissingOption",
    "NoGradientPath",
    "NotRunnable",
    "OutputExists",
    "TooLarge",
    "UnknownFormat",
    "UnknownName",
    "UnsupportedOperator",
    "Untrusted",
]


class UnknownName(InspectorError):
    """A name that does not exist in the model or a registry."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str], hint: str = "") -> UnknownName:
        """The error for `name`, listing up to five near ones of the known names."""
        names = list(known)
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
        listed = ", ".join(near) + (" …" if len(names) > len(near) else "")
        return cls(
            f"no {kind} is called {name!r}. Near: {listed or 'none exists'}.{' ' + hint if hint else ''}"
        )


class BadInput(InspectorError):
    """An input that does not fit the model."""


class NotRunnable(InspectorError):
    """The model holds something that cannot be executed."""


class UnsupportedOperator(InspectorError):
    """An operator, version or attribute that the engine does not have."""


class NoGradientPath(InspectorError):
    """The asked derivative does not exist."""


class DeviceUnavailable(InspectorError):
    """The asked device cannot be used on this machine."""


class OutputExists(InspectorError):
    """Writing would overwrite something that was not made by the same command."""


class TooLarge(InspectorError):
    """A stated limit of time, size or memory would be exceeded."""


class Cancelled(InspectorError):
    """The user stopped the work."""

    exit_code = 130
