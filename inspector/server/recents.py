"""Which model files did the user open lately? Paths and times in a file of the user's own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from inspector.errors import UnknownName

__all__ = ["Recents", "state_file"]

_KEPT = 12


def state_file() -> Path:
    """Where this user's programs keep what they remember."""
    places = {"win32": ("AppData", "Local"), "darwin": ("Library", "Application Support")}
    return Path.home().joinpath(*places.get(sys.platform, (".local", "state")), "inspector", "recent.json")


class Recents:
    """The latest files, newest first; without a file nothing is remembered."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file

    def add(self, path: Path) -> None:
        """Remember that a file was opened now; a state folder that cannot be written is no fault."""
        if self._file is None or not path.exists():
            return
        known = {**self._read(), str(path.resolve()): time.time()}
        newest = sorted(known.items(), key=lambda row: -row[1])[:_KEPT]
        self._write(dict(newest))

    def rows(self) -> list[dict[str, Any]]:
        """Id, name, folder and time (seconds since 1970) of each file that is still there."""
        found = [(Path(path), when) for path, when in self._read().items()]
        return [
            {"recent": _id(path), "name": path.name, "folder": str(path.parent), "time": when}
            for path, when in found
            if path.exists()
        ]

    def find(self, identity: str) -> Path:
        """The path behind an id; UnknownName when it is not remembered."""
        for text in self._read():
            if _id(Path(text)) == identity:
                return Path(text)
        raise UnknownName("no such file is remembered. Open it by its path.")

    def clear(self) -> None:
        """Forget all."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _read(self) -> Mapping[str, float]:
        if self._file is None:
            return {}
        try:
            rows = json.loads(self._file.read_text("utf-8"))
            return {str(path): float(when) for path, when in rows.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _write(self, rows: Mapping[str, float]) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            self._file.write_text(json.dumps(rows, indent=1), "utf-8")
        except OSError:
            return


def _id(path: Path) -> str:
    return sha256(str(path).encode("utf-8", "surrogatepass")).hexdigest()[:16]
