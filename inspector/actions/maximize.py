"""What does a unit respond to? Pictures invented by ascent, one or a sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution, views
from inspector.actions.parameters import Flag, OutputFile
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, NoGradientPath
from inspector.methods import maximize as maximizing

if TYPE_CHECKING:
    from inspector.methods.maximize import Objective, Settings, Stage, Visualization
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Maximized", "maximize"]

ROW = 5
"""Up to so many pictures stand in one row."""

COLUMNS = (4, 5, 3)
"""Widths of larger sheets, of which the first with the fewest empty places is taken."""


@dataclass(frozen=True)
class Maximized(Result):
    """Pictures that make their objectives large, and how they were made; why some of several stay empty."""

    model: str
    found: tuple[Visualization, ...]
    path: Path | None
    silent: Mapping[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> list[Any]:
        """Every picture (h, w, 3), in order."""
        return [picture for made in self.found for picture in made.pictures]

    def to_dict(self) -> dict[str, Any]:
        """How each was made, its scores and history."""
        return {
            "model": self.model,
            "visualizations": [made.to_dict() for made in self.found],
            "silent": dict(self.silent),
            "path": str(self.path) if self.path else None,
        }

    def to_text(self) -> RenderableType:
        """A row an objective."""
        table = Table("objective", "before", "after", "pictures", box=None, pad_edge=False)
        for made in self.found:
            table.add_row(
                made.objective,
                f"{_mean(made.before):.4g}",
                f"{_mean(made.after):.4g}",
                str(len(made.pictures)),
            )
        first = self.found[0]
        lines: list[RenderableType] = [table, "", _how(first), f"Recipe undone: {first.recipe}"]
        lines += [f"Empty: {why}" for why in self.silent.values()]
        lines += [f"Written to {self.path}."] if self.path else []
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """The picture or the sheet."""
        return {"maximized": self.figure()}

    def figure(self, media: Any = "image/png") -> Figure:
        """All pictures in rows, each with its objective and score."""
        cells: list[tuple[Any, str]] = [
            (picture, f"{made.objective}   {score:.4g}")
            for made in self.found
            for picture, score in zip(made.pictures, made.after, strict=True)
        ]
        cells += [(None, f"{text}   silent") for text in self.silent]
        count = len(cells)
        width = count if count <= ROW else min(COLUMNS, key=lambda columns: -count % columns)
        rows = [cells[i : i + width] for i in range(0, count, width)]
        rows[-1] += [(None, "")] * (width - len(rows[-1]))
        return views.draw_sheet(
            [[picture for picture, _ in row] for row in rows],
            texts=[[text for _, text in row] for row in rows],
            title=f"What makes {_title(self.found)} of {self.model} large",
            note=_how(self.found[0]),
            side=448 if len(cells) == 1 else 240,
            media=media,
        )


@action(
    group="Explain",
    examples=(
        "inspector maximize net.onnx --objective relu_25:281 -o unit.png",
        "inspector maximize net.onnx --objective relu_12 --sheet 16 -o units.png",
        "inspector maximize net.onnx --objective 'logit:tabby - 0.5 * total-variation' -o tabby.png",
    ),
)
def maximize(
    model: Model,
    path: OutputFile | None = None,
    *,
    objective: Annotated[list[str], Flag(("--objective",))],
    sheet: int = 1,
    parametrization: Literal["pixel", "fourier", "cppn", "maco"] = "fourier",
    optimizer: Literal["adam", "ascent"] = "adam",
    start: Literal["noise", "mean"] | None = None,
    steps: int = 96,
    rate: float | None = None,
    clip: float | None = None,
    transforms: bool = True,
    size: int | None = None,
    input: str | None = None,
    preprocess: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    seed: int = 0,
) -> Maximized:
    """Invent pictures that make a neuron, channel, layer or class large.

    Args:
        model: The model file.
        path: Picture to write: .png or .svg.
        objective: LAYER:CHANNEL, LAYER:CHANNEL@ROW,COLUMN, LAYER, logit:CLASS, probability:CLASS,
            direction:LAYER:FILE.npy, diversity:LAYER, caricature:LAYER, l2, total-variation, blur; joined by
            + - * with spaces around. Several are drawn side by side. Repeatable.
        sheet: How many pictures: of a whole layer its first channels, of one objective as many different
            pictures.
        parametrization: How the picture is written down.
        optimizer: adam, or ascent along the normalised gradient; ascent starts from the mean picture.
        start: noise, or the picture that the recipe maps to zero.
        steps: Steps of the optimiser.
        rate: Its step; by default one that suits the parametrization.
        clip: Largest norm of a gradient.
        transforms: Shift, scale and turn the picture before every step.
        size: Height and width of the picture that the net sees, where the model takes any.
        input: The picture that a caricature exaggerates.
        preprocess: How pictures are prepared: a preset (imagenet-caffe), preset,field=value, or .json.
        device: Where to run.
        seed: Seed of the start and the transforms.
    """
    if sheet < 1 or steps < 1:
        raise BadInput(f"--sheet {sheet} and --steps {steps} must be at least 1.")
    if size is not None and size < 1:
        raise BadInput(f"--size {size} must be at least 1.")
    if path is not None:
        views.media_for(path)
    stage = maximizing.open_stage(
        model, preprocess=preprocess, size=None if size is None else (size, size), device=device
    )
    plain = optimizer == "ascent"
    settings = maximizing.Settings(
        "pixel" if plain else parametrization, steps, rate, optimizer,
        start or ("mean" if plain else "noise"), None if transforms and not plain else (), clip, seed=seed,
    )  # fmt: skip
    reference = None if input is None else _reference(stage, input)
    listed = [objective] if isinstance(objective, str) else list(objective)
    plan = [one for text in listed for one in _planned(stage, text, settings, sheet)]
    found: list[Visualization] = []
    silent: dict[str, str] = {}
    for wanted, chosen in plan:
        try:
            found.append(maximizing.ascend(stage, wanted, chosen, reference=reference))
        except NoGradientPath as cause:
            if len(plan) == 1:
                raise
            silent[wanted.text] = str(cause)
    if not found:
        raise NoGradientPath("\n".join(silent.values()))
    result = Maximized(model.name, tuple(found), path, silent)
    if path is not None:
        result.figure(views.media_for(path)).save(path)
    return result


def _planned(stage: Stage, text: str, settings: Settings, sheet: int) -> list[tuple[Objective, Settings]]:
    """Channels of a layer, or one objective from several seeds; diversity needs them all at once."""
    if sheet == 1:
        return [(maximizing.parse_objective(text, stage), settings)]
    units = maximizing.with_channel(text, stage, sheet)
    if units:
        return [(maximizing.parse_objective(unit, stage), settings) for unit in units]
    wanted = maximizing.parse_objective(text, stage)
    if "diversity" in text:
        return [(wanted, maximizing.with_rows(settings, sheet))]
    return [(wanted, maximizing.with_seed(settings, settings.seed + i)) for i in range(sheet)]


def _reference(stage: Stage, input: str) -> Any:
    return maximizing.shown(stage, execution.read_picture(input))


def _mean(numbers: tuple[float, ...]) -> float:
    return sum(numbers) / len(numbers)


def _how(made: Visualization) -> str:
    way = "Adam" if made.optimizer == "adam" else "plain ascent from the mean picture"
    return f"{made.parametrization} parametrization, {made.steps} steps of {way}, seed {made.seed}."


def _title(found: tuple[Visualization, ...]) -> str:
    names = list(dict.fromkeys(made.objective for made in found))
    return ", ".join(names) if len(names) < 4 else f"{names[0]} … {names[-1]}"
