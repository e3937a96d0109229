"""Which images of a data set, and which regions of them, excite each unit most?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from PIL import Image
from rich.console import Group, RenderableType
from rich.table import Table

from inspector import views
from inspector.actions import pictures
from inspector.actions.parameters import Flag, OutputFile, Source
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput
from inspector.methods import dissection

if TYPE_CHECKING:
    from inspector.methods.dissection import Hit, TopImages
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["TopUnits", "top_images"]

LISTED = 20
LIT = 0.5
"""Part of a map's maximum above which its region is kept bright."""

DIM = 0.25


@dataclass(frozen=True)
class TopUnits(Result):
    """The strongest images of every unit of a layer."""

    model: str
    found: TopImages
    path: Path | None

    @property
    def hits(self) -> tuple[tuple[Hit, ...], ...]:
        """By unit, strongest first."""
        return self.found.hits

    def to_dict(self) -> dict[str, Any]:
        """Every unit's images, values, places and windows."""
        return {
            "model": self.model,
            "layer": self.found.layer,
            "images": self.found.images,
            "skipped": dict(self.found.skipped),
            "preprocess": self.found.recipe,
            "units": [[hit.to_dict() for hit in hits] for hits in self.found.hits],
            "notes": list(self.found.notes),
            "path": str(self.path) if self.path else None,
        }

    def to_text(self) -> RenderableType:
        """The strongest image of the first or shown units."""
        table = Table("unit", "maximum", "place", "image", box=None, pad_edge=False)
        for unit in _units(self.found)[:LISTED]:
            hit = self.found.hits[unit][0]
            table.add_row(str(unit), f"{hit.value:.4g}", f"{hit.place[0]},{hit.place[1]}", hit.image)
        lines: list[RenderableType] = [table, "", *_facts(self.found)]
        lines += [f"Written to {self.path}."] if self.path else []
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """A sheet a shown unit: the regions, and below them where the unit is active."""
        return {f"unit-{unit}": _sheet(self.found, unit) for unit in _shown(self.found)}


@action(
    group="Explain",
    examples=("inspector top-images net.onnx --data photos/ --layer relu_12 -o units.html",),
)
def top_images(
    model: Model,
    path: OutputFile | None = None,
    *,
    data: Annotated[Path, Source()],
    layer: str,
    top: int = 9,
    unit: Annotated[list[int] | None, Flag(("--unit",))] = None,
    units: int = 8,
    preprocess: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    engine: str = "embedded",
    resume: bool = True,
) -> TopUnits:
    """Find the images and regions of a data set that excite each unit of a layer most.

    Args:
        model: The model file.
        path: Page to write: .html.
        data: A folder of pictures, .tar shards or .npz arrays (n, h, w, 3); or one such file.
        layer: Value, node or scope whose channels are the units.
        top: Images kept for every unit.
        unit: A unit to show. Repeatable.
        units: How many of the strongest units to show where none is named.
        preprocess: How pictures are prepared.
        device: Where to run.
        engine: embedded, or ray[:address] to share the work out (extra `ray`); both give the same.
        resume: Go on from the state of an interrupted run, kept beside the page.
    """
    if top < 1:
        raise BadInput(f"--top {top} must be at least 1.")
    state = None
    if path is not None:
        path = Path(path)
        pictures.check_page(path)
        state = path.with_name(path.name + ".state.npz")
        if not resume:
            state.unlink(missing_ok=True)
    found = dissection.top_images(
        model, data, layer, k=top, show=units if unit is None else list(unit), preprocess=preprocess,
        state=state, device=device, engine=engine,
    )  # fmt: skip
    result = TopUnits(model.name, found, path)
    if path is not None and state is not None:
        facts = _facts(found)
        pictures.write_page(path, f"Top images of {found.layer} in {model.name}", facts, result.figures())
        state.unlink(missing_ok=True)
    return result


def _shown(found: TopImages) -> list[int]:
    return list(dict.fromkeys(unit for unit, _ in sorted(found.seen)))


def _units(found: TopImages) -> list[int]:
    return _shown(found) or list(range(len(found.hits)))


def _facts(found: TopImages) -> list[str]:
    facts = [f"{found.images} images, {len(found.hits)} units of {found.layer}.", f"Input: {found.recipe}"]
    facts += [f"Skipped {name}: {why}" for name, why in list(found.skipped.items())[:10]]
    if len(found.skipped) > 10:
        facts.append(f"… and {len(found.skipped) - 10} more images skipped.")
    return [*facts, *found.notes]


def _sheet(found: TopImages, unit: int) -> Figure:
    hits = found.hits[unit]
    crops: list[Any] = []
    masked: list[Any] = []
    for rank, hit in enumerate(hits):
        picture, values = found.seen[unit, rank]
        top, left, bottom, right = hit.window or (0, 0, *picture.shape[:2])
        crops.append(picture[top:bottom, left:right])
        masked.append(_lit(picture, values))
    return views.draw_sheet(
        [crops, masked],
        row_labels=["region that the place sees", f"active above {LIT:.0%} of its maximum"],
        texts=[[f"{hit.value:.4g}" for hit in hits], [Path(hit.image).name for hit in hits]],
        title=f"Unit {unit} of {found.layer}",
        side=150,
    )


def _lit(picture: Any, values: Any) -> Any:
    """The picture, dark where the enlarged map is below half its maximum, all dark for a silent unit."""
    size = (picture.shape[1], picture.shape[0])
    raised = np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    on = (raised >= LIT * raised.max()) & (raised > 0)
    return np.where(on[..., None], picture, (DIM * picture)).astype(np.uint8)
