"""The few annotations an action's parameters may carry beyond plain types."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

__all__ = ["Flag", "OutputFile", "OutputFolder", "Source"]


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
