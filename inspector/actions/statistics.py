"""How do the model's channels behave over a folder of data, and which are dead?"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution
from inspector.actions.parameters import Flag, OutputFile, Source
from inspector.actions.registry import action
from inspector.actions.result import Result

if TYPE_CHECKING:
    from inspector.execution import DataStatistics, UnitStatistics
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["ChannelStatistics", "statistics"]


@dataclass(frozen=True)
class ChannelStatistics(Result):
    """Statistics by value and channel over a folder."""

    model: str
    data: DataStatistics
    path: Path | None

    @property
    def units(self) -> Mapping[str, UnitStatistics]:
        """Statistics by value key."""
        return self.data.units

    def to_dict(self) -> dict[str, Any]:
        """Every channel of every value."""
        recipe = self.data.recipe
        return {
            "model": self.model,
            "files": self.data.files,
            "skipped": dict(self.data.skipped),
            "preprocess": recipe.to_dict() if recipe is not None else None,
            "device": self.data.device,
            "values": [unit.to_dict() for unit in self.data.units.values()],
            "notes": list(self.data.notes),
        }

    def to_text(self) -> RenderableType:
        """A row a value, dead and saturated channels named."""
        table = Table("value", "channels", "mean", "std", "min", "max", "zeros", "dead", "saturated",
                      box=None, pad_edge=False)  # fmt: skip
        for unit in self.data.units.values():
            counts = unit.counts
            table.add_row(
                unit.key, str(unit.channels), f"{counts.mean.mean():.4g}", f"{counts.std.mean():.4g}",
                f"{counts.minimum.min():.4g}", f"{counts.maximum.max():.4g}", f"{unit.zeros.mean():.1%}",
                _listed(unit.dead), _listed(unit.saturated),
            )  # fmt: skip
        lines: list[RenderableType] = [table, "", f"{self.data.files} files, on {self.data.device}."]
        if self.data.recipe is not None:
            lines.append(f"Input: {self.data.recipe.describe()}")
        lines += [f"Skipped {name}: {why}" for name, why in list(self.data.skipped.items())[:10]]
        if len(self.data.skipped) > 10:
            lines.append(f"… and {len(self.data.skipped) - 10} more files skipped; --json lists them.")
        lines += [f"Note: {note}" for note in self.data.notes]
        lines += [f"Written to {self.path}."] if self.path else []
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """None."""
        return {}


@action(
    group="Run",
    examples=("inspector statistics net.onnx --data photos/ -o statistics.json --values 'relu*'",),
)
def statistics(
    model: Model,
    output: OutputFile | None = None,
    *,
    data: Annotated[Path, Source()],
    values: Annotated[list[str] | None, Flag(("--values", "--layer"))] = None,
    preprocess: str | None = None,
    device: Literal["cpu", "cuda", "auto"] = "cpu",
    engine: str = "embedded",
    resume: bool = True,
) -> ChannelStatistics:
    """Mean, spread, range, zeros and histogram of every channel over a folder; dead and saturated ones named.

    Args:
        model: The model file.
        output: JSON file to write; beside it the state of an unfinished run is kept.
        data: Folder with pictures, .npy, .npz or .wav files.
        values: Names or patterns of values or layers; by default all. Repeatable.
        preprocess: How pictures are prepared.
        device: Where to run; auto takes CUDA where it works.
        engine: embedded, or ray[:address] to share the work out (extra `ray`); both give the same.
        resume: Go on from the state of an unfinished run.
    """
    state = output.with_name(output.name + ".state.npz") if output is not None else None
    if state is not None and not resume:
        state.unlink(missing_ok=True)
    found = execution.data_statistics(
        model, data, values or "all", preprocess=preprocess, state=state, device=device, engine=engine
    )
    result = ChannelStatistics(model.name, found, output)
    if output is not None and state is not None:
        partial = output.with_name(output.name + ".partial")
        partial.write_text(json.dumps(result.to_dict(), indent=1), "utf-8")
        os.replace(partial, output)
        state.unlink(missing_ok=True)
    return result


def _listed(flags: Any) -> str:
    places = [str(index) for index, flag in enumerate(flags) if flag]
    return ", ".join(places[:8]) + (f", … ({len(places)})" if len(places) > 8 else "") if places else "–"
