"""Which units of a layer are detectors of a concept?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution, views
from inspector.actions import pictures
from inspector.actions.parameters import Flag, OutputFile, Source
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, MissingOption
from inspector.methods import dissection

if TYPE_CHECKING:
    from inspector.methods.dissection import Labelled, LayerDissection, Sighting
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Dissection", "dissect"]

LISTED = 20
SHOWN = 6
"""Detectors of every layer whose strongest images are shown."""

DIM = 0.35
OUTLINE = (230, 0, 200)


@dataclass(frozen=True)
class Dissection(Result):
    """Detectors by layer."""

    model: str
    layers: tuple[LayerDissection, ...]
    source: str
    path: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Every unit of every layer with its concept and IoU."""
        return {
            "model": self.model,
            "data": self.source,
            "layers": [layer.to_dict() for layer in self.layers],
            "path": str(self.path) if self.path else None,
        }

    def to_text(self) -> RenderableType:
        """The best detectors of every layer."""
        lines: list[RenderableType] = []
        for layer in self.layers:
            table = Table("unit", "concept", "category", "IoU", "threshold", box=None, pad_edge=False)
            for unit in layer.detectors[:LISTED]:
                label = layer.labels[unit]
                table.add_row(
                    str(unit), label, layer.categories[label], f"{layer.iou[unit].max():.3f}",
                    f"{layer.thresholds[unit]:.4g}",
                )  # fmt: skip
            lines += [_sentence(layer), table, ""]
        lines += _facts(self)
        lines += [f"Written to {self.path}."] if self.path else []
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """Detectors by layer and category, the best of every layer, and what they answer to."""
        counts = [layer.count_by_category() for layer in self.layers]
        parts = {kind: [count[kind] for count in counts] for kind in counts[0]}
        drawn = {
            "layers": views.draw_layer_bars(
                [layer.layer for layer in self.layers], parts, title=f"Detectors in {self.model}",
                note=f"IoU above {self.layers[0].minimum:g}; {self.source}.", label="units",
            )
        }  # fmt: skip
        for layer in self.layers:
            best = layer.detectors[:LISTED]
            if best:
                drawn[layer.layer] = views.draw_bars(
                    [float(layer.iou[unit].max()) for unit in best],
                    [f"unit {unit}: {layer.labels[unit]}" for unit in best],
                    top=LISTED, order="given", label="IoU", title=f"Best detectors of {layer.layer}",
                )  # fmt: skip
            if layer.seen:
                drawn[f"{layer.layer} units"] = _sheet(layer)
        return drawn


@action(
    group="Explain",
    examples=(
        "inspector dissect net.onnx --layer relu_12 -o dissection.html",
        "inspector dissect net.onnx --data photos/ --masks masks/ --layer relu_12 -o dissection.html",
    ),
)
def dissect(
    model: Model,
    path: OutputFile | None = None,
    *,
    layer: Annotated[list[str], Flag(("--layer",))],
    data: Annotated[Path | None, Source()] = None,
    masks: Annotated[Path | None, Source()] = None,
    images: int = 120,
    quantile: float = 0.005,
    iou: float = 0.04,
    preprocess: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    engine: str = "embedded",
    seed: int = 0,
) -> Dissection:
    """Find the units that detect a concept, by Network Dissection.

    Args:
        model: The model file.
        path: Page to write: .html.
        layer: Value, node or scope whose channels are the units. Repeatable.
        data: Folder of pictures; without it pictures of colours, textures, shapes and letters are drawn.
        masks: Folder of masks named like the pictures: a folder a concept, palette PNGs with labels.txt, or
            a COCO file (.json).
        images: How many pictures are drawn where no data is given.
        quantile: Share of a unit's values above its threshold.
        iou: Overlap above which a unit counts as a detector.
        preprocess: How pictures are prepared.
        device: Where to run.
        engine: embedded, or ray[:address] to share the work out (extra `ray`); both give the same.
        seed: Seed of the drawn pictures.
    """
    if path is not None:
        path = Path(path)
        pictures.check_page(path)
    labelled = _labelled(model, data, masks, images, seed)
    names = [layer] if isinstance(layer, str) else list(layer)
    found = tuple(
        dissection.dissect_layer(
            model,
            labelled,
            name,
            quantile=quantile,
            minimum=iou,
            preprocess=preprocess,
            device=device,
            engine=engine,
            show=SHOWN,
        )
        for name in names
    )
    result = Dissection(model.name, found, labelled.source, path)
    if path is not None:
        lines = [*(_sentence(one) for one in found), *_facts(result)]
        pictures.write_page(path, f"Dissection of {model.name}", lines, result.figures())
    return result


def _sheet(layer: LayerDissection) -> Figure:
    """A row a detector: its strongest images, dark where it is below its threshold, its concept outlined."""
    units = list(layer.seen)
    most = max(len(shown) for shown in layer.seen.values())
    rows = [[_lit(one) for one in layer.seen[unit]] for unit in units]
    texts = [[f"{one.value:.4g}" for one in layer.seen[unit]] for unit in units]
    return views.draw_sheet(
        [row + [None] * (most - len(row)) for row in rows],
        row_labels=[f"unit {unit}: {layer.labels[unit]}, IoU {layer.iou[unit].max():.2f}" for unit in units],
        texts=[row + [""] * (most - len(row)) for row in texts],
        title=f"What the best detectors of {layer.layer} answer to",
        note="Bright: above the unit's threshold. Outlined: the concept, in images that carry it.",
        side=150,
    )


def _lit(one: Sighting) -> Any:
    picture = np.where(one.active[..., None], one.picture, DIM * one.picture).astype(np.uint8)
    if one.concept is not None:
        framed = np.pad(one.concept, 1, mode="edge")
        inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
        picture[one.concept & ~inner] = OUTLINE
    return picture


def _labelled(model: Model, data: Path | None, masks: Path | None, images: int, seed: int) -> Labelled:
    if (data is None) != (masks is None):
        raise MissingOption("--data and --masks go together; without both, pictures are drawn.")
    if data is not None and masks is not None:
        return dissection.labelled_folder(data, masks)
    if images < 1:
        raise BadInput(f"--images {images} must be at least 1.")
    size = execution.preprocess_of(model).size or (224, 224)
    return dissection.synthetic_concepts(images, min(size), seed)


def _sentence(layer: LayerDissection) -> str:
    concepts = len({layer.labels[unit] for unit in layer.detectors})
    return (
        f"{layer.layer}: {len(layer.detectors)} of {len(layer.labels)} units detect {concepts} concepts "
        f"(IoU > {layer.minimum:g}, {layer.images} images)."
    )


def _facts(result: Dissection) -> list[str]:
    skipped = result.layers[0].skipped
    facts = [f"Data: {result.source}."]
    facts += [f"Skipped {name}: {why}" for name, why in list(skipped.items())[:10]]
    return facts + ([f"… and {len(skipped) - 10} more."] if len(skipped) > 10 else [])
