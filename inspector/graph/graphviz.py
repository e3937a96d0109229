"""Who lays the drawing out? The Graphviz executable, found and run as a child with limits."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from inspector.errors import InspectorError, TooLarge

__all__ = ["Engine", "find_engine"]

_NAMES = ("graphviz-pure", "graphviz-pure.exe", "dot", "dot.exe")


@dataclass(frozen=True)
class Engine:
    """One Graphviz executable."""

    path: Path

    @property
    def name(self) -> str:
        """File name without suffix."""
        return self.path.stem

    def render(self, source: str, media: str, seconds: float) -> bytes:
        """What Graphviz makes of a DOT text.

        Raises:
            TooLarge: it was not done in time.
            InspectorError: it refused the text.
        """
        command = [str(self.path), f"-T{media}", "-q1"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            _limit(child.pid, seconds)
            try:
                made, said = child.communicate(source.encode(), timeout=seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
                raise TooLarge(f"{self.name} was not done within {seconds:g} s.") from None
        if child.returncode < 0:
            raise TooLarge(f"{self.name} was stopped by signal {-child.returncode}.")
        if child.returncode or not made:
            why = said.decode(errors="replace").strip().splitlines()
            raise InspectorError(f"{self.name} failed: {why[0] if why else 'no output'}")
        return made


def _limit(pid: int, seconds: float) -> None:
    """Cap processor time, so that a child whose parent was killed ends too."""
    limit = int(seconds) + 1
    resource.prlimit(pid, resource.RLIMIT_CPU, (limit, limit))


def find_engine() -> Engine | None:
    """The executable beside the running Python, else the one on PATH, else None."""
    scripts = sysconfig.get_path("scripts")
    for where in (scripts, None):
        for name in _NAMES:
            found = shutil.which(name, path=where)
            if found is not None:
                return Engine(Path(found))
    return None
