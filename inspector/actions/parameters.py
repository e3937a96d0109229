"""The few annotations an action's parameters may carry beyond plain types."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from inspector.errors import MissingOption

__all__ = ["Flag", "OutputFile", "OutputFolder", "Source", "parse_names", "parse_options", "parse_shapes"]


@dataclass(frozen=True)
class Source:
    """Marks a path of a file or folder that the user names as input (a picture, a data folder)."""


@dataclass(frozen=True)
class Output:
    """Marks where a result is written; the command spells it `-o`."""

    folder: bool


@dataclass(frozen=True)
class Flag:
    """Spells an option differently from its parameter, or gives it a short form."""

    names: tuple[str, ...]


OutputFile = Annotated[Path, Output(folder=False)]
OutputFolder = Annotated[Path, Output(folder=True)]


def parse_names(given: Sequence[str]) -> list[str]:
    """Names (of methods, say) given one by one or with commas between them."""
    return [part.strip() for text in given for part in text.split(",") if part.strip()]


def parse_shapes(given: Sequence[str]) -> dict[str, tuple[int | str, ...]]:
    """`["1,3,224,224"]` or `["x=1,3,h,w", "n="]` as a mapping from input name ("" for all in order).

    Raises:
        MissingOption: a part is neither a size nor the name of a dynamic size.
    """
    found: dict[str, tuple[int | str, ...]] = {}
    for text in given:
        name, equals, sizes = text.rpartition("=")
        parts = [part.strip() for part in sizes.split(",")] if sizes.strip() or not equals else []
        if not all(part.lstrip("-").isdigit() or part.isidentifier() for part in parts):
            raise MissingOption(
                f"--input-shape {text!r}: expected sizes or names separated by commas, as in 1,3,224,224 "
                "or image=batch,3,224,224."
            )
        found[name if equals else ""] = tuple(int(p) if p.lstrip("-").isdigit() else p for p in parts)
    return found


def parse_options(given: Sequence[str]) -> dict[str, Any]:
    """`samples=50` as a name and a value; numbers, true, false and none are read as such.

    Raises:
        MissingOption: a text without `=`.
    """
    words = {"true": True, "false": False, "none": None}
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise MissingOption(f"--option {text!r}: expected name=value, as in samples=50.")
        try:
            found[name.replace("-", "_")] = (
                words[value.lower()] if value.lower() in words else ast.literal_eval(value)
            )
        except (ValueError, SyntaxError):
            found[name.replace("-", "_")] = value
    return found
