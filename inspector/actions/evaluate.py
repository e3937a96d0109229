"""Which attribution method explains this answer best, and do methods agree?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Column, Table

from inspector import methods, views
from inspector.actions.parameters import Flag, OutputFile, parse_names
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import MissingOption

if TYPE_CHECKING:
    from inspector.methods import Evaluation
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Judgement", "evaluate"]

USUAL_METHODS = "gradient,integrated-gradients,grad-cam,guided-backprop"
USUAL_MEASURES = "insertion,deletion,road,infidelity,max-sensitivity,sparseness,randomisation"


@dataclass(frozen=True)
class Judgement(Result):
    """The evaluation of one answer, with the model and target it belongs to."""

    model: str
    target: str
    score: float
    evaluation: Evaluation = field(repr=False)
    files: tuple[Path, ...]

    def to_dict(self) -> dict[str, Any]:
        """Values and curves by method and measure, agreement, notes, refusals and files."""
        found = self.evaluation
        known = methods.known_measures()
        return {
            "model": self.model,
            "target": self.target,
            "score": self.score,
            "methods": {
                name: {
                    measure: {"value": one.value, "curve": None if one.curve is None else list(one.curve)}
                    for measure, one in row.items()
                }
                for name, row in found.measurements.items()
            },
            "measures": {
                name: {"better": known[name].better, "paper": known[name].paper} for name in self._columns()
            },
            "agreement": {"methods": list(found.maps), "rank_correlation": found.agreement.tolist()},
            "refused": dict(found.refused),
            "notes": list(found.notes),
            "files": [str(path) for path in self.files],
        }

    def to_text(self) -> RenderableType:
        """A row a method, a column a measure with the direction that is good; then agreement and notes."""
        known, found = methods.known_measures(), self.evaluation
        heads = [f"{name} {'↑' if known[name].better == 'higher' else '↓'}" for name in self._columns()]
        table = _table("method", heads)
        for name, row in found.measurements.items():
            cells = (f"{row[m].value:.3g}" if m in row else "–" for m in self._columns())
            table.add_row(name, *cells)
        lines: list[RenderableType] = [f"{self.model}: {self.target} ({self.score:.4g})", table]
        if found.agreement.size > 1:
            alike = _table("rank correlation", list(found.maps))
            for name, numbers in zip(found.maps, found.agreement, strict=True):
                alike.add_row(name, *(f"{number:.2f}" for number in numbers))
            lines += ["", alike]
        lines += [f"Note: {note}" for note in found.notes]
        lines += [f"Refused: {name}: {why}" for name, why in found.refused.items()]
        lines += [f"Written to {path}" for path in self.files]
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """Curves of every measure that has some, by measure, and the agreement of methods."""
        return self.drawn("image/png")

    def drawn(self, media: Any) -> dict[str, Figure]:
        """The same, as PNG or SVG."""
        drawn: dict[str, Figure] = {}
        found = self.evaluation
        for measure in self._columns():
            curves = {name: row[measure].curve for name, row in found.measurements.items() if measure in row}
            lines = {name: curve for name, curve in curves.items() if curve is not None}
            if lines:
                x, y = AXES.get(measure, ("share", "value"))
                drawn[measure] = views.draw_curves(
                    lines, x_label=x, y_label=y, areas=measure in ("insertion", "deletion"),
                    title=f"{measure}: {self.target}", media=media,
                )  # fmt: skip
        if found.agreement.size > 1:
            names = list(found.maps)
            drawn["agreement"] = views.draw_matrix(
                found.agreement, row_labels=names, column_labels=names, limits=(-1, 1),
                title=f"Do methods order the places alike? {self.target}", label="rank correlation",
                media=media,
            )  # fmt: skip
        return drawn

    def _columns(self) -> list[str]:
        rows = self.evaluation.measurements.values()
        return list(dict.fromkeys(measure for row in rows for measure in row))


AXES = {
    "insertion": ("share of places shown", "probability"),
    "deletion": ("share of places removed", "probability"),
    "road": ("share of places removed", "least minus most important"),
    "randomisation": ("share of layers randomised, from the last", "rank correlation"),
}


@action(
    group="Explain",
    examples=(
        "inspector evaluate net.onnx --input cat.png --methods grad-cam,smoothgrad",
        "inspector evaluate net.onnx --input cat.png --measures pointing-game --mask cat-mask.png --json",
    ),
)
def evaluate(
    model: Model,
    input: list[str] | None = None,
    path: OutputFile | None = None,
    *,
    methods: Annotated[str, Flag(("--methods",))] = USUAL_METHODS,
    measures: Annotated[str, Flag(("--measures",))] = USUAL_MEASURES,
    target: str | None = None,
    layer: str | None = None,
    mask: str | None = None,
    preprocess: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    device: Literal["cpu", "cuda"] = "cpu",
    straight_through: bool = False,
    seed: int = 0,
) -> Judgement:
    """Judge attribution methods on one input: faithfulness, robustness, sparseness, sanity, agreement.

    Args:
        model: The model file.
        input: A picture, .npy, .npz, .wav, numbers or random; name=path among several. Repeatable.
        path: Picture of the insertion curves to write; other curves get their measure's name added.
        methods: Methods of `inspector methods`, separated by commas.
        measures: Of insertion, deletion, road, infidelity, max-sensitivity, sparseness and randomisation.
        target: Class index, label, top, or an expression of outputs.
        layer: Value, node or scope at which class maps are read.
        mask: Where the object lies, for the pointing game: white in a picture, or .npy of its size.
        preprocess: How pictures are prepared: a preset (imagenet-caffe), preset,field=value, or .json.
        dtype: float64 computes in double precision.
        device: Where to run.
        straight_through: Let gradients pass quantisation.
        seed: Seed of random numbers.
    """
    if input is None:
        raise MissingOption(f"{model.name} needs an input: --input cat.png, name=path, or random.")
    return _judge(model, input, path, methods, measures, mask, target=target, layer=layer,
                  preprocess=preprocess, dtype=dtype, device=device, straight_through=straight_through,
                  seed=seed)  # fmt: skip


def _judge(
    model: Model,
    input: list[str],
    path: Path | None,
    named: str,
    measures: str,
    mask: str | None,
    **how: Any,
) -> Judgement:
    subject = methods.prepare(model, input, **how)
    chosen = parse_names([measures])
    if mask is not None:
        chosen += [name for name in ("pointing-game", "inside-mask") if name not in chosen]
    places = None if mask is None else methods.read_mask(mask, subject)
    found = methods.evaluate(subject, parse_names([named]), chosen, mask=places)
    made = next(iter(found.maps.values()))
    result = Judgement(model.name, str(made.target), made.score, found, ())
    return Judgement(model.name, str(made.target), made.score, found, _write(result, path))


def _write(result: Judgement, path: Path | None) -> tuple[Path, ...]:
    if path is None:
        return ()
    drawn = result.drawn(views.media_for(path))
    names = {name: path if i == 0 else path.with_stem(f"{path.stem}-{name}") for i, name in enumerate(drawn)}
    return tuple(drawn[name].save(file) for name, file in names.items())


def _table(first: str, heads: list[str]) -> Table:
    """No name is cut off where the terminal is narrow."""
    return Table(*(Column(head, overflow="fold") for head in (first, *heads)), box=None, pad_edge=False)
