"""What does a layer see in a photograph, once it is exaggerated? DeepDream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group, RenderableType

from inspector import execution, views
from inspector.actions.parameters import OutputFile
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, MissingOption
from inspector.methods import maximize as maximizing

if TYPE_CHECKING:
    from inspector.methods.maximize import Dream, Stage
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Dreamt", "dream"]


@dataclass(frozen=True)
class Dreamt(Result):
    """The dreamt picture and how it was made."""

    model: str
    made: Dream
    path: Path | None

    @property
    def picture(self) -> Any:
        """The picture (h, w, 3) uint8, of the input's size."""
        return self.made.picture

    def to_dict(self) -> dict[str, Any]:
        """How it was made."""
        return {"model": self.model, **self.made.to_dict(), "path": str(self.path) if self.path else None}

    def to_text(self) -> RenderableType:
        """Layer, octaves and strength."""
        made = self.made
        sizes = ", ".join(f"{height}×{width}" for height, width in made.octaves)
        lines = [
            f"Layer {made.layer}: {made.before:.4g} before, {made.after:.4g} after.",
            f"Octaves: {sizes}.",
        ]
        lines += [f"Written to {self.path}."] if self.path else []
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """The picture."""
        return {"dream": self.figure()}

    def figure(self, media: Any = "image/png") -> Figure:
        """The picture in its own size, and how it was made."""
        made = self.made
        return views.draw_sheet(
            [[made.picture]],
            title=f"Dream of {self.model}",
            note=f"Layer {made.layer}{', guided' if made.guided else ''}, {len(made.octaves)} octaves.",
            side=max(made.picture.shape[:2]),
            media=media,
        )


@action(
    group="Explain",
    examples=("inspector dream net.onnx --input photo.jpg --layer cat_4 -o dream.png",),
)
def dream(
    model: Model,
    input: str | None = None,
    path: OutputFile | None = None,
    *,
    layer: str | None = None,
    guide: str | None = None,
    octaves: int = 4,
    steps: int = 10,
    rate: float = 1.5,
    jitter: int = 32,
    tile: int = 512,
    largest: int = 768,
    preprocess: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    seed: int = 0,
) -> Dreamt:
    """Exaggerate in a photograph what a layer sees in it.

    Args:
        model: The model file.
        input: The photograph.
        path: Picture to write.
        layer: Value, node or scope; by default a middle layer.
        guide: Another picture whose features are drawn out.
        octaves: Sizes that are dreamt, from small to the picture's own.
        steps: Steps at each size.
        rate: Levels of 255 by which a step moves pixels on average.
        jitter: Pixels by which the picture is shifted at random in every step.
        tile: Largest side that goes through the net at once.
        largest: A longer side is scaled down to this first.
        preprocess: How pictures are prepared.
        device: Where to run.
        seed: Seed of the shifts.
    """
    if input is None:
        raise MissingOption(f"{model.name} needs a photograph: --input photo.jpg.")
    if path is not None:
        views.media_for(path)
    stage = maximizing.open_stage(model, preprocess=preprocess, device=device)
    made = maximizing.dream(
        stage, _limited(execution.read_picture(input), largest), layer or _middle(stage), octaves=octaves,
        steps=steps, rate=rate, jitter=jitter, tile=tile, seed=seed,
        guide=None if guide is None else execution.read_picture(guide),
    )  # fmt: skip
    result = Dreamt(model.name, made, path)
    if path is not None:
        result.figure(views.media_for(path)).save(path)
    return result


def _limited(picture: Any, largest: int) -> Any:
    if max(picture.shape[:2]) <= largest:
        return picture
    ratio = largest / max(picture.shape[:2])
    size = (max(1, round(picture.shape[0] * ratio)), max(1, round(picture.shape[1] * ratio)))
    return execution.Preprocess(size=size, fit="stretch").place(picture)


def _middle(stage: Stage) -> str:
    """The value of places in the middle of the net's path."""
    places = stage.spatial
    if not places:
        raise BadInput(f"{stage.model.name} has no layer with places; name one by --layer.")
    return places[len(places) // 2]
