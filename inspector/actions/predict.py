"""What does the model answer for this input?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution, views
from inspector.actions import pictures
from inspector.actions.parameters import OutputFile
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, MissingOption

if TYPE_CHECKING:
    from inspector.execution import Prediction
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Answer", "predict"]


@dataclass(frozen=True)
class Answer(Result):
    """The prediction, with the model it came from."""

    model: str
    prediction: Prediction
    opened: Model = field(repr=False)
    path: Path | None = None

    @property
    def top(self) -> tuple[Any, ...]:
        """The best classes of the first row of the first output that holds classes."""
        return self.prediction.top

    def to_dict(self) -> dict[str, Any]:
        """Rankings, output statistics, preprocessing and device."""
        return {"model": self.model} | self.prediction.to_dict()

    def to_text(self) -> RenderableType:
        """A table for every output that holds classes, else statistics; then how the input was prepared."""
        lines: list[RenderableType] = []
        for ranking in self.prediction.rankings:
            for number, row in enumerate(ranking.rows):
                batch = f", item {number}" if len(ranking.rows) > 1 else ""
                table = Table("probability", "score", "index", "class", box=None, pad_edge=False)
                for entry in row:
                    share = "–" if entry.probability is None else f"{entry.probability:.3f}"
                    table.add_row(share, f"{entry.score:.4g}", str(entry.index), entry.label or "–")
                lines += [f"{ranking.output}{batch}: {ranking.classes} classes, {ranking.scale}", table, ""]
        if not self.prediction.rankings:
            lines += [_statistics(self.prediction), ""]
        lines += [f"Input {line}" for line in self._recipes()]
        lines += [f"Note: {note}" for note in self.prediction.notes]
        lines.append(f"Ran on {self.prediction.device}.")
        lines += [f"Drawn in {self.path}."] * (self.path is not None)
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """By output: bars of the best classes, or a fitting picture of what is no class."""
        return pictures.draw_outputs(self.opened, self.prediction, "image/png")

    def _recipes(self) -> list[str]:
        return [f"{name}: {recipe.describe()}" for name, recipe in self.prediction.inputs.recipes.items()]


def _statistics(prediction: Prediction) -> Table:
    table = Table("output", "shape", "min", "max", "mean", "std", box=None, pad_edge=False)
    for name, found in prediction.outputs.items():
        numbers = (found.minimum, found.maximum, found.mean, found.std)
        shape = "×".join(map(str, found.shape)) or "scalar"
        table.add_row(name, shape, *("–" if n is None else f"{n:.4g}" for n in numbers))
    return table


@action(
    group="Run",
    examples=(
        "inspector predict net.onnx --input cat.png --preprocess imagenet-caffe --labels names.txt",
        "inspector predict net.onnx --input cat.png -o answer.svg --top 10",
        "inspector predict vad.onnx --input speech.wav",
    ),
)
def predict(
    model: Model,
    input: list[str] | None = None,
    output: OutputFile | None = None,
    *,
    preprocess: str | None = None,
    labels: str | None = None,
    top: int = 5,
    device: Literal["cpu", "cuda", "auto"] = "cpu",
    seed: int = 0,
) -> Answer:
    """Run the model and list the most probable classes, or the statistics of outputs that are no classes.

    Args:
        model: The model file.
        input: A picture, .npy, .npz, .wav, numbers or random; name=path among several. Repeatable.
        output: Picture of the answer to write, .png or .svg; .html for the outputs all together.
        preprocess: How pictures are prepared: a preset (imagenet-caffe), preset,field=value, or .json.
        labels: File with class names, a line each or JSON; by default those recorded in the model.
        top: How many classes to list.
        device: Where to run; auto takes CUDA where it works.
        seed: Seed of random inputs.
    """
    if input is None:
        raise MissingOption(f"{model.name} needs an input: --input cat.png, name=path, or random.")
    media = views.media_for(output) if output is not None else "image/png"
    named = execution.read_labels(labels) if isinstance(labels, (str, Path)) else tuple(labels or ())
    prediction = execution.predict(
        model, input, preprocess=preprocess, labels=named, top=top, device=device, seed=seed
    )
    answer = Answer(model.name, prediction, model, output)
    if output is not None and media == "text/html":
        pictures.write_page(output, f"Answer of {model.name}", prediction.notes, answer.figures())
    elif output is not None:
        drawn = list(pictures.draw_outputs(model, prediction, media).values())
        if not drawn:
            raise BadInput(f"{model.name} gave nothing that can be drawn.")
        drawn[0].save(output)
    return answer
