"""Which parts of the input does the answer depend on? Maps by methods and targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution, methods, views
from inspector.actions.parameters import Flag, OutputFile, parse_names, parse_options
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, InspectorError, MissingOption, UnknownName
from inspector.progress import report

if TYPE_CHECKING:
    from inspector.methods import Attribution
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Attributions", "attribute"]


@dataclass(frozen=True)
class Attributions(Result):
    """Maps by target (rows) and method (columns); `refused` tells why a place of the sheet is empty."""

    model: str
    rows: tuple[tuple[Attribution | None, ...], ...] = field(repr=False)
    methods: tuple[str, ...]
    refused: Mapping[str, str]
    files: tuple[Path, ...]
    vocabulary: tuple[str, ...] = field(default=(), repr=False)
    columns: int | None = None

    @property
    def maps(self) -> tuple[Attribution, ...]:
        """Every map that was made, row by row."""
        return tuple(made for row in self.rows for made in row if made is not None)

    def to_dict(self) -> dict[str, Any]:
        """How every map was made and its range, what was refused, and the written files."""
        return {
            "model": self.model,
            "maps": [made.to_dict() for made in self.maps],
            "refused": dict(self.refused),
            "files": [str(path) for path in self.files],
        }

    def to_text(self) -> RenderableType:
        """A row a map, then notes and files."""
        table = Table(
            "method", "target", "score", "layer", "min", "max", "residual", box=None, pad_edge=False
        )
        for made in self.maps:
            low, high = float(made.values.min()), float(made.values.max())
            missed = "–" if made.residual is None else f"{made.residual:.2g}"
            table.add_row(
                made.method, str(made.target), f"{made.score:.4g}", made.layer or "–", f"{low:.3g}",
                f"{high:.3g}", missed,
            )  # fmt: skip
        notes = dict.fromkeys(note for made in self.maps for note in made.notes)
        lines: list[RenderableType] = [table, *(f"Note: {note}" for note in notes)]
        lines += [f"Refused: {name}: {why}" for name, why in self.refused.items()]
        lines += [f"Written to {path}" for path in self.files]
        return Group(*lines)

    def arrays(self) -> Mapping[str, Any]:
        """The first row of every map, signed and raw, (h, w) or (c, h, w), by its number in `maps`.

        `picture` is the input (h, w, 3) as bytes, where it was a picture.
        """
        found: dict[str, Any] = {str(number): made.cells() for number, made in enumerate(self.maps)}
        picture = self.maps[0].picture
        return found if picture is None else found | {"picture": picture}

    def figures(self) -> Mapping[str, Figure]:
        """The map, or all of them in one sheet."""
        return {"attribution": self.figure()}

    def figure(self, media: Any = "image/png") -> Figure:
        """One map beside and over its input; several as a sheet of methods, a row a target."""
        if len(self.maps) == 1 and not self.refused:
            return self.maps[0].figure(vocabulary=self.vocabulary, media=media)
        return methods.draw_maps(
            self.rows, self.methods, self.model, columns=self.columns, vocabulary=self.vocabulary, media=media
        )


@action(
    group="Explain",
    examples=(
        "inspector attribute net.onnx --input cat.png --method grad-cam -o heat.png",
        "inspector attribute net.onnx --input cat.png --target tabby --raw heat.npy",
        "inspector attribute net.onnx --input cat.png --method gradient,grad-cam -o sheet.png",
    ),
)
def attribute(
    model: Model,
    input: list[str] | None = None,
    path: OutputFile | None = None,
    *,
    method: Annotated[list[str] | None, Flag(("--method",))] = None,
    target: Annotated[list[str] | None, Flag(("--target",))] = None,
    layer: Annotated[str | None, Flag(("--layer",))] = None,
    raw: Annotated[OutputFile | None, Flag(("--raw",))] = None,
    columns: int | None = None,
    option: Annotated[list[str] | None, Flag(("--option",))] = None,
    explained: str | None = None,
    vocabulary: str | None = None,
    preprocess: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    device: Literal["cpu", "cuda"] = "cpu",
    probability: bool = False,
    straight_through: bool = False,
    seed: int = 0,
) -> Attributions:
    """Map which parts of the input an answer depends on.

    Args:
        model: The model file.
        input: A picture, .npy, .npz, .wav, numbers or random; name=path among several. Repeatable.
        path: Picture to write: .png or .svg.
        method: A method of `inspector methods`; grad-cam unless given. Repeatable, or a,b: they make a sheet.
        target: Class index, label, top, or an expression of outputs (a[281] - a[282]). Repeatable.
        layer: Value, node or scope at which class maps are read; by default the last with places.
        raw: File for the signed raw map, .npy; several maps go into one .npz.
        columns: Columns of a sheet, the input's among them; by default as many as a page holds.
        option: An option of the method, as in samples=50. Repeatable.
        explained: The input (or inner value) that is explained where there are several.
        vocabulary: Texts of token ids, a line each or JSON of id and text, to draw tokens as words.
        preprocess: How pictures are prepared: a preset (imagenet-caffe), preset,field=value, or .json.
        dtype: float64 computes in double precision.
        device: Where to run.
        probability: Explain the probability after a final softmax instead of the score before it.
        straight_through: Let gradients pass quantisation.
        seed: Seed of random numbers.
    """
    if input is None:
        raise MissingOption(f"{model.name} needs an input: --input cat.png, name=path, or random.")
    names = parse_names(_listed(method)) or ["grad-cam"]
    targets = _listed(target) or ["top"]
    given = parse_options(_listed(option))
    _check(names, given, path, raw, columns)
    refused: dict[str, str] = {}
    rows: list[tuple[Attribution | None, ...]] = []
    alone = len(names) * len(targets) == 1
    prepared = methods.Preparation(
        model, input, layer, dtype, explained, preprocess, device, not probability, straight_through, seed
    )
    for wanted in targets:
        row: list[Attribution | None] = []
        for name in names:
            report("Explaining", len(rows) * len(names) + len(row), len(targets) * len(names))
            try:
                found = methods.find_method(name)
                made = methods.explain(
                    prepared.subject(found, wanted), found, **_fitting(name, given, alone=len(names) == 1)
                )
            except InspectorError as why:
                if alone:
                    raise
                refused[f"{name} for {wanted}"] = str(why)
                made = None
            row.append(made)
        rows.append(tuple(row))
    report("Explaining", len(targets) * len(names), len(targets) * len(names))
    if not any(made for row in rows for made in row):
        raise BadInput(next(iter(refused.values())))
    words = execution.read_labels(vocabulary) if vocabulary else ()
    result = Attributions(model.name, tuple(rows), tuple(names), refused, (), words, columns)
    return replace(result, files=_write(result, path, raw))


def _check(
    names: list[str], given: Mapping[str, Any], path: Path | None, raw: Path | None, columns: int | None
) -> None:
    """What can be told to be wrong before anything is computed."""
    known = {key for name in names for key in methods.find_method(name).options}
    if len(names) > 1 and (unknown := [key for key in given if key not in known]):
        raise UnknownName.among(f"option of {', '.join(names)}", unknown[0], known)
    if path is not None:
        views.media_for(path)
    if raw is not None and Path(raw).suffix not in (".npy", ".npz"):
        raise BadInput(f"{raw}: raw maps are written as .npy or .npz.")
    if columns is not None and columns < 1:
        raise BadInput(f"a sheet has at least one column, not {columns}.")


def _write(result: Attributions, path: Path | None, raw: Path | None) -> tuple[Path, ...]:
    files: list[Path] = []
    if path is not None:
        files.append(result.figure(views.media_for(path)).save(path))
    if raw is not None:
        raw = Path(raw)
        if raw.suffix == ".npz" or len(result.maps) > 1:
            raw = raw.with_suffix(".npz")
            arrays = {
                f"{made.method} for {made.target}".replace("/", "-"): made.values for made in result.maps
            }
            np.savez(raw, allow_pickle=False, **arrays)
        else:
            np.save(raw, next(iter(result.maps)).values)
        files.append(raw)
    return tuple(files)


def _listed(given: Any) -> list[str]:
    return [str(given)] if isinstance(given, (str, int)) else [str(one) for one in given or ()]


def _fitting(name: str, given: Mapping[str, Any], *, alone: bool) -> dict[str, Any]:
    """All options for a single method; of several methods each takes those that it has."""
    known = methods.find_method(name).options
    return {key: value for key, value in given.items() if alone or key in known}
