"""Which pixels show which concept? Masks from concept folders, palette PNGs or COCO files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, UnidentifiedImageError

from inspector.errors import BadInput
from inspector.execution import read_picture
from inspector.execution.picture_files import PICTURE_SUFFIXES
from inspector.methods.dissection.run_lengths import decode_mask

__all__ = ["Example", "Labelled", "labelled_folder"]

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Example:
    """A picture (h, w, 3) with a mask for every concept that it shows, or why it could not be read.

    Masks may have another size than the picture; they are stretched over it.
    """

    name: str
    picture: Pixels | None
    masks: Mapping[str, Mask]
    problem: str = ""


@dataclass(frozen=True)
class Labelled:
    """A labelled data set of `count` pictures, each made or read when `example` is asked for its number.

    `categories` tells the kind (colour, texture, …) of every concept.
    """

    categories: Mapping[str, str]
    count: int
    example: Callable[[int], Example]
    source: str

    def stream(self, part: int = 0, parts: int = 1) -> Iterator[Example]:
        """Every `parts`-th example from number `part` on."""
        return (self.example(number) for number in range(part, self.count, parts))

    @property
    def concepts(self) -> tuple[str, ...]:
        """Every concept, sorted."""
        return tuple(sorted(self.categories))


def labelled_folder(data: str | Path, masks: str | Path) -> Labelled:
    """Pictures of a folder with masks of the same stem.

    `masks` holds a folder a concept (`masks/stripes/cat.png`, anything but black shows it; a folder deeper,
    `masks/texture/stripes/cat.png`, names the category), or palette or grey PNGs whose value is an index
    into `labels.txt` (a line an index, 0 is nothing), or is or holds a COCO .json with polygons or run
    lengths.

    Raises:
        BadInput: no masks, or no picture that any belongs to.
    """
    pictures_at, masks_at = Path(data), Path(masks)
    if not pictures_at.is_dir():
        raise BadInput(f"{data} is not a folder.")
    pictures = sorted(p for p in pictures_at.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not pictures:
        raise BadInput(f"{data} holds no picture.")
    if not masks_at.exists():
        raise BadInput(f"{masks} does not exist.")
    listed = [masks_at] if masks_at.is_file() else sorted(masks_at.glob("*.json"))
    if listed:
        return _coco(pictures_at, pictures, listed[0])
    if any(p.is_dir() for p in masks_at.iterdir()):
        return _folders(pictures_at, pictures, masks_at)
    return _palette(pictures_at, pictures, masks_at)


def _labelled(
    root: Path,
    pictures: list[Path],
    categories: Mapping[str, str],
    masks_of: Callable[[Path, Pixels], Mapping[str, Mask]],
    source: str,
) -> Labelled:
    def example(number: int) -> Example:
        path = pictures[number]
        name = path.relative_to(root).as_posix()
        try:
            picture = read_picture(path)
            return Example(name, picture, masks_of(path, picture))
        except BadInput as cause:
            return Example(name, None, {}, str(cause))

    if not categories:
        raise BadInput(f"{source}: no concept has a mask.")
    return Labelled(dict(categories), len(pictures), example, source)


def _gray(path: Path) -> npt.NDArray[np.uint8]:
    """Values or palette indices of a mask."""
    try:
        with Image.open(path) as image:
            kept = image if image.mode in ("P", "L") else image.convert("L")
            return np.asarray(kept, np.uint8)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as cause:
        raise BadInput(f"mask {path} cannot be read: {cause}.") from None


def _folders(root: Path, pictures: list[Path], masks: Path) -> Labelled:
    found: dict[str, dict[str, Path]] = {}
    categories: dict[str, str] = {}
    for path in sorted(masks.rglob("*.png")):
        parts = path.relative_to(masks).parts
        if len(parts) < 2:
            continue
        concept = parts[-2]
        categories[concept] = parts[-3] if len(parts) > 2 else "concept"
        found.setdefault(path.stem, {})[concept] = path

    def masks_of(path: Path, _: Pixels) -> Mapping[str, Mask]:
        shown = {concept: _gray(mask) > 0 for concept, mask in found.get(path.stem, {}).items()}
        return {concept: mask for concept, mask in shown.items() if mask.any()}

    _some_match(root, pictures, found, masks)
    return _labelled(root, pictures, categories, masks_of, f"concept folders of {masks.name}")


def _palette(root: Path, pictures: list[Path], masks: Path) -> Labelled:
    found = {path.stem: path for path in sorted(masks.rglob("*.png"))}
    labels = masks / "labels.txt"
    names: dict[int, str] = {}
    if labels.exists():
        lines = labels.read_text("utf-8-sig").splitlines()
        names = {index: line.strip() for index, line in enumerate(lines) if line.strip() and index}
    _some_match(root, pictures, found, masks)
    values = names or {int(v): f"label {v}" for p in found.values() for v in np.unique(_gray(p)) if v}

    def masks_of(path: Path, _: Pixels) -> Mapping[str, Mask]:
        mask = found.get(path.stem)
        if mask is None:
            return {}
        indices = _gray(mask)
        return {values[int(v)]: indices == v for v in np.unique(indices) if int(v) in values}

    return _labelled(
        root, pictures, dict.fromkeys(values.values(), "concept"), masks_of, f"palette masks of {masks.name}"
    )


def _some_match(root: Path, pictures: list[Path], masks: Mapping[str, Any], where: Path) -> None:
    if not any(path.stem in masks for path in pictures):
        raise BadInput(
            f"no picture of {root} has a mask in {where}: a mask is a .png named like its picture, such as "
            f"{where.name}/stripes/{pictures[0].stem}.png."
        )


def _coco(root: Path, pictures: list[Path], path: Path) -> Labelled:
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        names = {row["id"]: row["name"] for row in record["categories"]}
        kinds = {row["name"]: row.get("supercategory") or "concept" for row in record["categories"]}
        images = {row["id"]: row for row in record["images"]}
        drawn: dict[str, list[tuple[str, Any, tuple[int, int]]]] = {}
        for row in record["annotations"]:
            image = images[row["image_id"]]
            if row.get("segmentation"):
                size = (int(image["width"]), int(image["height"]))
                entry = (names[row["category_id"]], row["segmentation"], size)
                drawn.setdefault(Path(image["file_name"]).stem, []).append(entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise BadInput(f"{path} is no COCO file of masks: {type(cause).__name__} {cause}.") from None
    _some_match(root, pictures, drawn, path)

    def masks_of(picture: Path, _: Pixels) -> Mapping[str, Mask]:
        made: dict[str, Mask] = {}
        for concept, segmentation, size in drawn.get(picture.stem, []):
            try:
                mask = _segment(segmentation, size)
                made[concept] = mask | made[concept] if concept in made else mask
            except (ValueError, KeyError, TypeError) as cause:
                raise BadInput(f"a mask of {concept} in {path.name} cannot be read: {cause}.") from None
        return made

    return _labelled(root, pictures, kinds, masks_of, f"masks of {path.name}")


def _segment(segmentation: Any, size: tuple[int, int]) -> Mask:
    """Run lengths, or polygons drawn at a size (w, h)."""
    if isinstance(segmentation, dict):
        return decode_mask(cast(Mapping[str, Any], segmentation))
    canvas = Image.new("1", size)
    for polygon in segmentation:
        ImageDraw.Draw(canvas).polygon(list(zip(polygon[::2], polygon[1::2], strict=True)), fill=1)
    return np.asarray(canvas, bool)
