"""Are two models the same network, and if not, what changed?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspector import comparison
from inspector.actions.parameters import Flag, OutputFile
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, UnknownName
from inspector.views import media_for

if TYPE_CHECKING:
    from inspector.comparison import Comparison
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["ModelComparison", "compare"]

_FAILED = 3
_GROUNDS = ("structure", "weights", "activations")


@dataclass(frozen=True)
class ModelComparison(Result):
    """What two models share, where they differ, and whether that was to count as failure."""

    comparison: Comparison
    failed: tuple[str, ...]
    written: tuple[Path, ...]

    @property
    def exit_code(self) -> int:
        """3 when something differs that --fail-on names, else 0."""
        return _FAILED if self.failed else 0

    def to_dict(self) -> dict[str, Any]:
        """Everything that was found, after `comparison.SCHEMA`."""
        return comparison.record(self.comparison)

    def to_text(self) -> RenderableType:
        """Verdict, edits, first divergence, weights and activations that differ."""
        found = self.comparison
        a, b = found.alignment.a.model, found.alignment.b.model
        lines: list[RenderableType] = [
            Text(f"{found.verdict[0].upper()}{found.verdict[1:]}.", style="bold"),
            f"A: {a.name} ({a.origin.format}), B: {b.name} ({b.origin.format})",
            "",
            *comparison.facts(found),
        ]
        lines += [f"  • {edit.text}" for edit in found.edits[:_MOST]]
        if len(found.edits) > _MOST:
            lines.append(f"  … and {len(found.edits) - _MOST} more edits; --json lists them.")
        if found.first_divergence is not None:
            lines += ["", Text(comparison.first_words(found), style="bold")]
        lines += _table(comparison.WEIGHT_HEAD, comparison.weight_rows(found))
        lines += _table(comparison.ACTIVATION_HEAD, comparison.activation_rows(found))
        lines += ["", *(f"Note: {note}" for note in found.notes)]
        lines += [f"Written to {path}." for path in self.written]
        lines += [Text(f"Failed on {ground}.", style="bold red") for ground in self.failed]
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """The two graphs side by side."""
        return {"comparison": comparison.draw_comparison(self.comparison)}


_MOST = 30
"""Edits shown in the terminal."""


@action(
    group="Compare",
    examples=(
        "inspector compare a.onnx b.keras",
        "inspector compare old.onnx new.onnx -o diff.html --fail-on structure,activations:1e-4",
    ),
)
def compare(
    a: Model,
    b: Model,
    inputs: Annotated[list[str] | None, Flag(("--input",))] = None,
    *,
    random: int = 1,
    json: Annotated[OutputFile | None, Flag(("--json",))] = None,
    output: OutputFile | None = None,
    fail_on: list[str] | None = None,
    cka: Annotated[OutputFile | None, Flag(("--cka",))] = None,
    seed: int = 0,
    preprocess: str | None = None,
    device: str = "cpu",
) -> ModelComparison:
    """Match two models whatever their framework, names and layout, and tell how they differ.

    "The same network" is said only when structure and activations agree.

    Args:
        a: The first model file.
        b: The second model file.
        inputs: Picture, .npy, .npz or .wav that both are fed; each model prepares pictures its own way.
        random: Number of random samples when no input is given; 0 leaves activations out.
        json: File for the whole result as JSON.
        output: Report to write: .html, .svg or .md.
        fail_on: What ends with exit code 3: structure, weights, activations or activations:1e-4.
        cka: Picture (.png, .svg) of which layers see the same, for networks that differ; wants 4 samples or
            more, as --random 16.
        seed: Seed of the random samples.
        preprocess: How pictures are prepared, for both models, instead of what each model says.
        device: Where to run: cpu, cuda or auto.
    """
    grounds, tolerance = _grounds(fail_on or [])
    found = comparison.compare(
        a, b, inputs, random=random, seed=seed, tolerance=tolerance, preprocess=preprocess, device=device
    )
    written: list[Path] = []
    if json is not None:
        json.write_text(dumps(comparison.record(found), indent=1, ensure_ascii=False) + "\n", "utf-8")
        written.append(json)
    if output is not None:
        written.append(comparison.write_report(found, output))
    if cka is not None:
        samples = comparison.probes(found.alignment, inputs, count=random, seed=seed, preprocess=preprocess)
        names = a.name, b.name
        layers = comparison.compare_layers(found.alignment, samples)
        comparison.draw_similarities(layers, names, media=media_for(cka)).save(cka)
        written.append(cka)
    agrees = {
        "structure": found.structure_agrees,
        "weights": found.weights_agree,
        "activations": found.activations_agree,
    }
    return ModelComparison(found, tuple(g for g in grounds if not agrees[g]), tuple(written))


def _grounds(given: list[str]) -> tuple[list[str], float]:
    """What must agree, and the tolerance of the activations."""
    grounds: list[str] = []
    tolerance = comparison.TOLERANCE
    for part in ",".join(given).split(",") if given else []:
        name, colon, limit = part.strip().partition(":")
        if name not in _GROUNDS:
            raise UnknownName.among("ground to fail on", name, _GROUNDS)
        try:
            tolerance = float(limit) if colon else tolerance
        except ValueError:
            raise BadInput(f"--fail-on {part}: {limit!r} is not a number, as in activations:1e-4.") from None
        if colon and name != "activations":
            raise BadInput(f"--fail-on {part}: only activations take a limit.")
        grounds.append(name)
    return grounds, tolerance


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[RenderableType]:
    if not rows:
        return []
    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return ["", table]
