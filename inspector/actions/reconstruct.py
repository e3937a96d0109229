"""Which patterns of an image made a layer answer? Its strongest channels projected back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution, views
from inspector.actions.parameters import Flag, OutputFile, Source
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, MissingOption
from inspector.methods import dissection
from inspector.methods import maximize as maximizing

if TYPE_CHECKING:
    from inspector.methods.dissection import Projection
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Reconstructed", "reconstruct"]

WHITE = 0.995
"""Quantile of a projection's magnitudes that is drawn as white or black."""

SHOWN_TOGETHER = 9


@dataclass(frozen=True)
class Reconstructed(Result):
    """A projection an image, with the image's name."""

    model: str
    names: tuple[str, ...]
    made: tuple[Projection, ...]
    by_unit: bool
    path: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Channels, maxima, places and windows of every image."""
        return {
            "model": self.model,
            "images": [
                {"image": name, **one.to_dict()} for name, one in zip(self.names, self.made, strict=True)
            ],
            "path": str(self.path) if self.path else None,
        }

    def to_text(self) -> RenderableType:
        """A row an image and channel."""
        table = Table("image", "channel", "maximum", "place", box=None, pad_edge=False)
        for name, one in zip(self.names, self.made, strict=True):
            for channel, value, place in zip(one.channels, one.maxima, one.places, strict=True):
                table.add_row(name, str(channel), f"{value:.4g}", ",".join(map(str, place)))
        lines: list[RenderableType] = [table]
        lines += [f"Written to {self.path}."] if self.path else []
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """The sheet."""
        return {"reconstruction": self.figure()}

    def figure(self, media: Any = "image/png") -> Figure:
        """Regions beside what of them projects back; a pair of rows an image, or a unit."""
        rows: list[list[Any]] = []
        labels: list[str] = []
        texts: list[list[str]] = []
        for name, pairs, whole in self._groups():
            rows += [[whole[0], *(region for region, _, _ in pairs)], [whole[1], *(p for _, p, _ in pairs)]]
            labels += [name, "projected back"]
            texts += [["", *(text for _, _, text in pairs)], [""] * (1 + len(pairs))]
        width = max(len(row) for row in rows)
        rows = [row + [None] * (width - len(row)) for row in rows]
        texts = [row + [""] * (width - len(row)) for row in texts]
        first = self.made[0]
        return views.draw_sheet(
            rows, row_labels=labels, texts=texts, side=150, media=media,
            title=f"What {first.layer} of {self.model} answers to",
            note="First column: the image, and all kept channels together. Others: the strongest place of a "
            f"channel. Grey is zero; overlapping pools: {first.overlaps}.",
        )  # fmt: skip

    def _groups(self) -> list[tuple[str, list[tuple[Any, Any, str]], tuple[Any, Any]]]:
        if not self.by_unit:
            return [
                (name, [_pair(one, i) for i in range(len(one.channels))], (one.picture, _gray(one.whole)))
                for name, one in zip(self.names, self.made, strict=True)
            ]
        units = dict.fromkeys(channel for one in self.made for channel in one.channels)
        groups: list[tuple[str, list[tuple[Any, Any, str]], tuple[Any, Any]]] = []
        for unit in units:
            mine = [(n, one) for n, one in zip(self.names, self.made, strict=True) if one.channels == (unit,)]
            pairs = [(*_pair(one, 0)[:2], Path(n).name) for n, one in mine]
            best = mine[0][1]
            groups.append((f"unit {unit}", pairs, (best.picture, _gray(best.whole))))
        return groups


@action(
    group="Explain",
    examples=(
        "inspector reconstruct net.onnx --input cat.png --layer relu_12 -o recon.png",
        "inspector reconstruct net.onnx --data photos/ --unit 14 --layer relu_12 -o unit-14.png",
    ),
)
def reconstruct(
    model: Model,
    input: list[str] | None = None,
    path: OutputFile | None = None,
    *,
    layer: str,
    top_channels: int = 9,
    data: Annotated[Path | None, Source()] = None,
    unit: Annotated[list[int] | None, Flag(("--unit",))] = None,
    top: int = 4,
    overlaps: Literal["sum", "overwrite"] = "sum",
    preprocess: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Reconstructed:
    """Project the strongest channels of a layer back to the image, with switches and rectification.

    Args:
        model: The model file.
        input: A picture. Repeatable.
        path: Picture to write: .png or .svg.
        layer: Value, node or scope.
        top_channels: How many of the strongest channels are kept.
        data: Folder, .tar or .npz whose strongest images for every --unit are taken instead of --input.
        unit: A channel to keep instead of the strongest. Repeatable.
        top: Images of every unit, with --data.
        overlaps: What happens where pooling windows share a maximum.
        preprocess: How pictures are prepared.
        device: Where to run.
    """
    if path is not None:
        views.media_for(path)
    if (input is None) == (data is None):
        raise MissingOption("give either --input cat.png, or --data photos/ with --unit 14.")
    if data is not None and not unit:
        raise MissingOption("--data needs the units whose images are wanted: --unit 14.")
    stage = maximizing.open_stage(model, preprocess=preprocess, device=device)
    names: list[str] = []
    made: list[Projection] = []
    if input is not None:
        for name in [input] if isinstance(input, str) else input:
            names.append(Path(name).name)
            made.append(
                dissection.project(
                    stage, execution.read_picture(name), layer, channels=unit or top_channels,
                    overlaps=overlaps,
                )
            )  # fmt: skip
    else:
        found = dissection.top_images(
            model, data or "", layer, k=top, show=list(unit or ()), preprocess=preprocess, device=device
        )
        if not found.seen:
            raise BadInput(f"{data}: no image excites these units.")
        for (one, rank), (picture, _) in sorted(found.seen.items()):
            names.append(found.hits[one][rank].image)
            made.append(dissection.project(stage, picture, layer, channels=[one], overlaps=overlaps))
    result = Reconstructed(model.name, tuple(names), tuple(made), data is not None, path)
    if path is not None:
        result.figure(views.media_for(path)).save(path)
    return result


def _pair(one: Projection, index: int) -> tuple[Any, Any, str]:
    """A channel's region, what projects back to it, and a line about it."""
    top, left, bottom, right = one.windows[index] or (0, 0, *one.picture.shape[:2])
    place = (slice(top, bottom), slice(left, right))
    text = f"{one.channels[index]}: {one.maxima[index]:.4g}"
    return one.picture[place], _gray(one.alone[index][place]), text


def _gray(values: Any) -> Any:
    """Signed values around middle grey."""
    top = float(np.quantile(np.abs(values), WHITE)) or float(np.abs(values).max()) or 1.0
    return np.clip(0.5 + values / (2 * top), 0, 1)
