"""May this archive be loaded, and what is shown of it if not? The check, the child, and the fallback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.errors import BadFile, InspectorError, Untrusted
from converters.provenance import Origin
from converters.registry import Conversion, Options
from converters.torch_archives import ArchiveInput, ArchiveReport, check_archive
from converters.torch_conversion import READ_ONLY, digest, export_in_child, new_folder
from converters.torch_oracle import Outputs, Samples, run_file

__all__ = ["convert_archive", "run_archive"]

ReadStructure = Callable[[Path, Sequence[str]], Conversion]
_SHOWN = 5


def convert_archive(
    path: Path, options: Options, kind: str, format_name: str, read_structure: ReadStructure
) -> Conversion:
    """Export an archive that passed the check; one that did not, or cannot be exported, is drawn instead.

    Raises:
        BadFile: the archive is damaged or built to deceive.
    """
    report = _checked(path)
    if not report.safe and not options.trust:
        return read_structure(path, [f"not loaded, {_reasons(report)}"])
    if options.read_only:
        return read_structure(path, [READ_ONLY])
    origin = Origin(format_name, "torch", "", digest(path), path.name)
    if kind == "script" and not options.input_shape:
        options = replace(options, input_shape=_remembered(report.inputs))
    try:
        with new_folder() as keep:
            return export_in_child(
                _request(path, kind), options, origin, keep, locked=True, readable=[path.resolve()]
            )
    except InspectorError as cause:
        return read_structure(path, [f"shown but not exported: {cause}"])


def run_archive(path: Path, options: Options, kind: str, folder: Path, samples: Samples) -> Outputs:
    """Run an archive in the child as the oracle of a comparison.

    Raises:
        Untrusted: it did not pass the check.
    """
    report = _checked(path)
    if not report.safe and not options.trust:
        raise Untrusted(f"{path}: {_reasons(report)}")
    return run_file(_request(path, kind), folder, samples, options, locked=True, readable=[path.resolve()])


def _checked(path: Path) -> ArchiveReport:
    report = check_archive(path)
    if report.kind == "damaged":
        raise BadFile(report.findings[0])
    return report


def _reasons(report: ArchiveReport) -> str:
    shown = "; ".join(report.findings[:_SHOWN])
    more = len(report.findings) - _SHOWN
    rest = f" and {more} more" if more > 0 else ""
    return (
        f"torch's loader would run code from this file: {shown}{rest}. "
        "Pass trust only if you know who made it."
    )


def _remembered(inputs: Sequence[ArchiveInput]) -> dict[str, tuple[int | str, ...]]:
    """The shape that a trace with one input was made with; its first axis is the batch."""
    if len(inputs) != 1 or not inputs[0].shape:
        return {}
    return {"": ("batch", *inputs[0].shape[1:])}


def _request(path: Path, kind: str) -> Mapping[str, Any]:
    return {"kind": kind, "path": str(path.resolve())}
