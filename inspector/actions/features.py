"""What does every layer see in this input? Pictures, arrays and statistics of captured values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution
from inspector.actions import pictures
from inspector.actions.parameters import Flag, OutputFolder
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import MissingOption
from inspector.progress import track

if TYPE_CHECKING:
    import numpy as np

    from inspector.execution import Inputs, Plan, Prepared
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Features", "features"]


MANY = 12
"""Above so many values only the maps are drawn, not also a histogram and a surface of each."""

SHOWN = 6
"""Values drawn for a caller that names no folder."""


@dataclass(frozen=True)
class Features(Result):
    """Captured values: a row of facts each, their pictures where they were kept, and how they were made."""

    model: str
    rows: tuple[dict[str, Any], ...]
    graph: str
    device: str
    notes: tuple[str, ...]
    plan: Plan = field(repr=False)
    folder: Path | None
    explained: bool
    inputs: Inputs = field(repr=False)
    drawn: Mapping[str, Figure] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Rows, graph, device, plan and notes."""
        return {
            "model": self.model,
            "graph": self.graph,
            "device": self.device,
            "folder": str(self.folder) if self.folder else None,
            "plan": self.plan.explain().splitlines(),
            "preprocess": {name: recipe.to_dict() for name, recipe in self.inputs.recipes.items()},
            "values": [dict(row) for row in self.rows],
            "notes": list(self.notes),
        }

    def to_text(self) -> RenderableType:
        """A row a value, then how they were made."""
        table = Table("value", "shape", "min", "max", "mean", "std", "zeros", box=None, pad_edge=False)
        for row in self.rows:
            numbers = (row.get(name) for name in ("minimum", "maximum", "mean", "std"))
            zeros = "–" if row.get("zeros") is None else f"{row['zeros']:.1%}"
            shape = "×".join(map(str, row["shape"])) or "scalar"
            table.add_row(row["key"], shape, *("–" if n is None else f"{n:.4g}" for n in numbers), zeros)
        lines: list[RenderableType] = [table, ""]
        lines += [self.plan.explain(), ""] * self.explained
        values = f"{len(self.rows):,} value{'s' * (len(self.rows) != 1)}"
        lines.append(f"{values} of the {self.graph} graph, on {self.device}.")
        lines += [f"Note: {note}" for note in self.notes]
        if self.folder is not None:
            lines.append(f"Written to {self.folder}/; open {self.folder}/index.html.")
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """Pictures of the inputs and, without a folder, of the first values."""
        return self.drawn


@action(
    group="Run",
    examples=(
        "inspector features net.onnx --input cat.png -o features/ --preprocess imagenet-caffe",
        "inspector features net.onnx --input cat.png -o fire/ --values 'fire*'",
        "inspector features net.onnx --input cat.png -o first/ --layer conv1 --scale own",
    ),
)
def features(
    model: Model,
    input: list[str] | None = None,
    folder: OutputFolder | None = None,
    *,
    values: Annotated[list[str] | None, Flag(("--values",))] = None,
    layer: Annotated[list[str] | None, Flag(("--layer",))] = None,
    preprocess: str | None = None,
    labels: str | None = None,
    device: Literal["cpu", "cuda", "auto"] = "cpu",
    mode: Literal["exact", "fused"] = "exact",
    stats_only: bool = False,
    strategy: Literal["all", "checkpoint", "segments", "statistics"] | None = None,
    budget: int | None = None,
    explain: bool = False,
    scale: Literal["shared", "own"] = "shared",
    format: Literal["png", "svg"] = "png",
    seed: int = 0,
) -> Features:
    """Capture what flows through the model for one input, as pictures, arrays and statistics.

    Args:
        model: The model file.
        input: A picture, .npy, .npz, .wav, numbers or random; name=path among several. Repeatable.
        folder: Folder to write; an earlier run's is replaced as a whole.
        values: Names or patterns of values, such as 'fire*'; by default all. Repeatable.
        layer: Names or patterns of nodes or layers whose outputs are wanted. Repeatable.
        preprocess: How pictures are prepared: a preset (imagenet-caffe), preset,field=value, or .json.
        labels: File with class names for the output's bars.
        device: Where to run; auto takes CUDA where it works.
        mode: exact keeps every operator of the file; fused lets the runtime optimise what is not looked at.
        stats_only: Keep statistics only, no pictures and arrays; on CUDA the device reduces them.
        strategy: How values are had; by default chosen from sizes and budget.
        budget: Megabytes of values to hold at once.
        explain: Print which strategy was chosen, and why.
        scale: One colour scale for all maps of a value, or each map's own, which shows faint maps too.
        format: Picture format.
        seed: Seed of random inputs.
    """
    if input is None:
        raise MissingOption(f"{model.name} needs an input: --input cat.png, name=path, or random.")
    inputs = execution.read_inputs(model, input, preprocess=preprocess, seed=seed)
    wanted = [*_listed(values), *_listed(layer)] or "all"
    limit = None if budget is None else budget * 1_000_000
    if stats_only and strategy is None and execution.choose_device(device).name == "cuda":
        strategy = "statistics"  # numbers leave the device instead of values
    prepared = execution.prepare(
        model, inputs.feeds, wanted, device=device, mode=mode, budget=limit, strategy=strategy, sweep=True
    )
    media = "image/png" if format == "png" else "image/svg+xml"
    look = _Look(
        media, full=len(prepared.plan.keys) <= MANY, pictures=not stats_only, shared=scale == "shared"
    )
    outputs = _answers(model, inputs, labels, look) if folder is not None and not stats_only else {}
    if folder is None:
        rows, drawn = _in_memory(prepared, inputs, look)
        return _result(prepared, inputs, rows, None, explain, drawn)
    with pictures.replacing(folder) as scratch:
        drawn = {} if stats_only else pictures.draw_inputs(model, inputs, media)
        named = {name: _save(scratch, f"input-{i}", f) for i, (name, f) in enumerate(drawn.items())}
        bars = {name: _save(scratch, f"output-{i}", f) for i, (name, f) in enumerate(outputs.items())}
        rows = _write(prepared, inputs, scratch, look)
        result = _result(prepared, inputs, rows, folder, explain, {**drawn, **outputs})
        pictures.write_index(scratch, result.to_dict() | {"inputs": named, "outputs": bars})
    return result


@dataclass(frozen=True)
class _Look:
    media: Any
    full: bool
    pictures: bool
    shared: bool


def _listed(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())


def _result(
    prepared: Prepared,
    inputs: Inputs,
    rows: list[dict[str, Any]],
    folder: Path | None,
    explain: bool,
    drawn: Mapping[str, Figure],
) -> Features:
    notes = [*inputs.describe(), *prepared.runner.notes]
    untaken = len(prepared.plan.keys) - len(rows)
    if untaken > 0:
        notes.append(f"{untaken} values were not computed for this input (branches that did not run).")
    notes += _not_finite(rows)
    return Features(
        prepared.model.name, tuple(rows), prepared.plan.mode, prepared.runner.device, tuple(notes),
        prepared.plan, folder, explain, inputs, drawn,
    )  # fmt: skip


def _not_finite(rows: list[dict[str, Any]]) -> list[str]:
    """Where numbers that are none first appear: what follows has them from there."""
    bad = [row for row in rows if (row.get("nan") or 0) + (row.get("inf") or 0)]
    if not bad:
        return []
    counts = f"{bad[0]['nan'] or 0:,} NaN, {bad[0]['inf'] or 0:,} infinite"
    hold = f"{len(bad):,} values hold" if len(bad) > 1 else "1 value holds"
    return [f"{hold} NaN or infinity, the first in graph order is {bad[0]['key']} ({counts})."]


def _values(prepared: Prepared, inputs: Inputs) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[Any]]]]:
    """Every captured value in graph order; a plan that does not hold them all is streamed or replayed."""
    runner = prepared.runner
    if prepared.plan.strategy == "segments":
        for found, _ in runner.stream(inputs.feeds):
            yield from ((key, value) for key, value in execution.drain(found) if _is_array(value))
        return
    captured = prepared.run(inputs.feeds)
    for key in captured:
        if _is_array(captured[key]):
            yield key, captured[key]


def _is_array(value: object) -> bool:
    """A sequence of tensors comes as a list, which no picture fits."""
    return hasattr(value, "dtype")


def _row(prepared: Prepared, key: str, array: np.ndarray[Any, np.dtype[Any]]) -> dict[str, Any]:
    if array.dtype.kind in "OUS":
        return _named(prepared, key) | {"dtype": array.dtype.name, "shape": list(array.shape)}
    return _named(prepared, key) | execution.measure(array).to_dict()


def _counted(prepared: Prepared, inputs: Inputs) -> list[dict[str, Any]]:
    """Rows of statistics that the graph itself reduced, where it ran; what it cannot count is replayed."""
    captured = prepared.run(inputs.feeds)
    numeric = [key for key in captured if prepared.plan.values[key].dtype not in ("", "string")]
    counted = track(numeric, "Counting values")
    return [_named(prepared, key) | captured.statistics[key].to_dict() for key in counted]


def _named(prepared: Prepared, key: str) -> dict[str, Any]:
    """The value, and what made it."""
    node = prepared.model.producers.get(key)
    made = {"node": node.key, "operator": node.op, "scope": node.scope} if node is not None else {
        "node": "", "operator": "", "scope": ""}  # fmt: skip
    return {"key": key, **made}


def _draw(
    prepared: Prepared, row: dict[str, Any], array: np.ndarray[Any, np.dtype[Any]], look: _Look
) -> Mapping[str, Figure]:
    note = f"{row['operator']} of the {prepared.plan.mode} graph" if row["operator"] else ""
    return pictures.draw_value(
        prepared.model, row["key"], array, title=row["key"], note=note, media=look.media, full=look.full,
        shared=look.shared,
    )  # fmt: skip


def _write(prepared: Prepared, inputs: Inputs, folder: Path, look: _Look) -> list[dict[str, Any]]:
    if not look.pictures and prepared.plan.strategy == "statistics":
        return _counted(prepared, inputs)
    rows: list[dict[str, Any]] = []
    total = len(prepared.plan.keys)
    for number, (key, array) in enumerate(track(_values(prepared, inputs), "Drawing features", total)):
        row = _row(prepared, key, array)
        if look.pictures:
            stored = array if array.dtype.kind not in "OUS" else array.astype("U")
            row |= pictures.write_value(
                folder, pictures.file_stem(number, key), stored, _draw(prepared, row, array, look)
            )
        rows.append(row)
    return rows


def _in_memory(
    prepared: Prepared, inputs: Inputs, look: _Look
) -> tuple[list[dict[str, Any]], dict[str, Figure]]:
    if not look.pictures and prepared.plan.strategy == "statistics":
        return _counted(prepared, inputs), {}
    rows: list[dict[str, Any]] = []
    drawn = dict(pictures.draw_inputs(prepared.model, inputs, look.media)) if look.pictures else {}
    for key, array in _values(prepared, inputs):
        row = _row(prepared, key, array)
        if look.pictures and len(rows) < SHOWN:
            made = _draw(prepared, row, array, look)
            drawn |= {f"{key} {kind}": figure for kind, figure in made.items()}
        rows.append(row)
    return rows, drawn


def _answers(model: Model, inputs: Inputs, labels: str | None, look: _Look) -> Mapping[str, Figure]:
    named = execution.read_labels(labels) if labels else ()
    return pictures.draw_outputs(model, execution.predict(model, inputs, labels=named), look.media)


def _save(folder: Path, stem: str, figure: Figure) -> str:
    name = stem + (".png" if figure.media == "image/png" else ".svg")
    figure.save(folder / name)
    return name
