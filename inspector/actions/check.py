"""Is the file sound, and what would it do if it were trusted?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

import converters
from inspector import model as models
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import InspectorError

if TYPE_CHECKING:
    from inspector.model import Fault
    from inspector.views import Figure

__all__ = ["Check", "check"]


@dataclass(frozen=True)
class Check(Result):
    """Every fault found, and remarks that are no faults."""

    source: str
    format: str
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """2 when something is wrong, else 0."""
        return 2 if any(fault.fatal for fault in self.faults) else 0

    def to_dict(self) -> dict[str, Any]:
        """Faults and notes by file."""
        return {
            "source": self.source,
            "format": self.format,
            "sound": not self.exit_code,
            "faults": [{"where": f.where, "what": f.what, "fatal": f.fatal} for f in self.faults],
            "notes": list(self.notes),
        }

    def to_text(self) -> RenderableType:
        """One line a fault."""
        lines: list[RenderableType] = []
        if self.faults:
            table = Table("where", "fault", box=None, pad_edge=False)
            for fault in self.faults:
                table.add_row(fault.where, fault.what + ("" if fault.fatal else " (warning)"))
            lines.append(table)
        count = sum(fault.fatal for fault in self.faults)
        verdict = f"{count} fault{'s' * (count != 1)} found" if count else "no fault found"
        lines.append(f"{self.source} ({self.format or 'unknown format'}): {verdict}.")
        lines += [f"Note: {note}" for note in self.notes]
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """None."""
        return {}


@action(group="Look inside", examples=("inspector check net.onnx", "inspector check checkpoint.pt"))
def check(source: str) -> Check:
    """Look for everything that is wrong with a file, in one go, without running any of it.

    Args:
        source: The file to check.
    """
    dangers = _dangers(source)
    try:
        model = models.open_unchecked(source, read_only=True)
    except InspectorError as fault:
        return Check(str(source), "", (*dangers, models.Fault("file", str(fault))), ())
    faults = [*dangers, *models.find_faults(model)]
    if any(fault.fatal for fault in faults):
        return Check(Path(source).name, model.origin.format, tuple(faults), model.notes)
    if not faults and model.origin.format == "onnx" and model.runnable:
        faults += models.schema_faults(model.proto)
    notes = [*model.notes, *(f"Not runnable: {why}." for why in model.obstacles)]
    if model.inference_note:
        notes.append(model.inference_note)
    return Check(Path(source).name, model.origin.format, tuple(faults), tuple(notes))


def _dangers(source: str) -> list[Fault]:
    """What torch's own loaders would run if they were given a pickle or archive; read, not run."""
    if not Path(source).is_file():
        return []
    report = converters.torch_archives.check_archive(Path(source))
    findings = report.findings if report.kind not in ("", "damaged") else ()
    return [models.Fault(f"{report.kind}, if loaded by torch", found, fatal=False) for found in findings]
