"""How do pixels become the numbers that a network was trained on? A recipe as data, and its inverse.

The channel order is the trap: a network trained on BGR still answers for RGB, only worse.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from inspector.errors import BadInput, UnknownName

__all__ = ["PRESETS", "Preprocess", "parse_preprocess"]

Array = np.ndarray[Any, np.dtype[Any]]
Pixels = npt.NDArray[np.uint8]
Channels = Literal["RGB", "BGR", "GRAY", "RGBA"]
Fit = Literal["crop", "stretch", "pad", "none"]
Resample = Literal["bilinear", "bicubic", "nearest", "box", "lanczos"]
Layout = Literal["", "NCHW", "NHWC", "CHW", "HWC", "NHW", "HW"]

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)
GRAY_WEIGHTS = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma


@dataclass(frozen=True)
class Preprocess:
    """`x = (pixel · scale - mean) / std`, pixels 0 … 255, `mean` and `std` in the order of `channels`.

    `size` is (height, width), None for the model's or the picture's own. `fit` says how a picture of
    another shape gets there: "crop" scales the shorter side to `size / crop` and takes the centre,
    "stretch" ignores the aspect, "pad" keeps it on a black ground. `source` tells where the recipe is from.
    """

    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    crop: float = 1.0
    resample: Resample = "bilinear"
    channels: Channels = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Layout = ""
    name: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for spec, allowed in (
            ("fit", Fit),
            ("resample", Resample),
            ("channels", Channels),
            ("layout", Layout),
        ):
            if getattr(self, spec) not in get_args(allowed):
                raise UnknownName.among(f"preprocess {spec}", str(getattr(self, spec)), get_args(allowed))
        if not 0 < self.crop <= 1 or not self.scale or any(not s for s in self.std):
            raise BadInput(
                f"preprocess: crop must be in (0, 1], scale and std not 0; got crop={self.crop:g}, "
                f"scale={self.scale:g}, std={_numbers(self.std)}."
            )
        count = self.channel_count
        if any(len(v) not in (1, count) for v in (self.mean, self.std)):
            raise BadInput(f"preprocess: mean and std need 1 or {count} numbers for {self.channels}.")

    @property
    def channel_count(self) -> int:
        """Channels of the model's input."""
        return {"GRAY": 1, "RGBA": 4}.get(self.channels, 3)

    @property
    def affine(self) -> tuple[Array, Array]:
        """(factor, offset), each (c,) float64 in the order of `channels`: x = pixel · factor + offset."""
        std = np.broadcast_to(np.array(self.std, np.float64), (self.channel_count,))
        mean = np.broadcast_to(np.array(self.mean, np.float64), (self.channel_count,))
        return self.scale / std, -mean / std

    def apply(self, picture: Pixels, dtype: npt.DTypeLike = np.float32) -> Array:
        """A picture (h, w, 3 or 4) in RGB(A) as the model's input, with the batch axis of `layout`."""
        factor, offset = (part[:, None, None] for part in self.affine)
        numbers = np.moveaxis(self._reorder(self.place(picture)), -1, 0).astype(np.float64, "C")
        numbers *= factor
        numbers += offset
        wanted = np.dtype(dtype)
        if wanted.kind in "iu":
            info = np.iinfo(wanted.name)
            numbers = np.clip(np.rint(numbers), info.min, info.max)
        return np.ascontiguousarray(self._arrange(numbers.astype(wanted)))

    def place(self, picture: Pixels) -> Pixels:
        """The picture cut and scaled to `size`, still (h, w, c) in RGB order: what the model looks at."""
        if self.size is None or (picture.shape[:2] == self.size and self.crop == 1.0):
            return picture
        height, width = self.size
        if self.fit == "none":
            got = f"{picture.shape[0]}×{picture.shape[1]}"
            raise BadInput(
                f"the picture is {got}, the model takes {height}×{width} (height×width), and the recipe says "
                "fit=none. Use fit=crop, stretch or pad."
            )
        image = Image.fromarray(picture)
        rule = Image.Resampling[self.resample.upper()]
        if self.fit == "stretch":
            return np.asarray(image.resize((width, height), rule))
        if self.fit == "crop":
            return np.asarray(image.resize((width, height), rule, box=self._centre(image)))
        ratio = min(height / image.height, width / image.width)
        scaled = image.resize((max(1, round(image.width * ratio)), max(1, round(image.height * ratio))), rule)
        left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
        return np.asarray(scaled.crop((left, top, left + width, top + height)))

    def _centre(self, image: Image.Image) -> tuple[int, int, int, int]:
        """The largest centred box of the target's aspect, times `crop`: left, top, right, bottom."""
        height, width = self.size or image.size[::-1]
        side = min(image.width / width, image.height / height) * self.crop
        cut_width, cut_height = max(1, round(width * side)), max(1, round(height * side))
        left, top = (image.width - cut_width) // 2, (image.height - cut_height) // 2
        return left, top, left + cut_width, top + cut_height

    def invert(self, array: npt.ArrayLike) -> Pixels:
        """Model inputs back as pictures (n, h, w, 3) uint8 in RGB, clipped to 0 … 255."""
        values = np.asarray(array, np.float64)
        if "N" not in self.layout or values.ndim == len(self.layout) - 1:
            values = values[None]
        axes = self.layout.replace("N", "") or "CHW"
        if "C" not in axes:
            values = values[..., None]
        elif axes == "CHW":
            values = np.moveaxis(values, -3, -1)
        factor, offset = self.affine
        pixels = np.clip(np.rint((values - offset) / factor), 0, 255).astype(np.uint8)
        if self.channels == "GRAY":
            return np.repeat(pixels, 3, axis=-1)
        return pixels[..., ::-1].copy() if self.channels == "BGR" else pixels[..., :3].copy()

    def describe(self) -> str:
        """One sentence with everything that changes the numbers."""
        where = "its own size" if self.size is None else f"{self.size[0]}×{self.size[1]}"
        part = f" of {self.crop:g}" if self.crop != 1 else ""
        how = {
            "crop": f"centre crop{part} to {where} ({self.resample})",
            "stretch": f"stretched to {where} ({self.resample})",
            "pad": f"padded to {where} ({self.resample})",
            "none": "not resized",
        }[self.fit if self.size is not None else "none"]
        parts = [how, self.channels]
        if self.scale != 1:
            parts.append(f"× 1/{1 / self.scale:g}" if self.scale < 1 else f"× {self.scale:g}")
        if any(self.mean):
            parts.append(f"minus {_numbers(self.mean)}")
        if any(s != 1 for s in self.std):
            parts.append(f"divided by {_numbers(self.std)}")
        if self.scale == 1 and not any(self.mean) and all(s == 1 for s in self.std):
            parts.append("values 0 … 255")
        parts += [self.layout] * bool(self.layout)
        named = f"{self.name}: " if self.name else ""
        return named + ", ".join(parts) + (f" ({self.source})" if self.source else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` reads them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], source: str = "") -> Preprocess:
        """A recipe from plain values; the key `preset` names one to start from.

        Raises:
            UnknownName: a key or preset that does not exist.
        """
        record = dict(record)
        start = preset(str(record.pop("preset"))) if "preset" in record else Preprocess()
        known = {f.name for f in fields(cls)}
        for key in record:
            if key not in known:
                raise UnknownName.among("preprocess field", key, sorted(known))
        cleaned = {key: _value(key, value) for key, value in record.items()}
        if {start.channels, cleaned.get("channels")} == {"RGB", "BGR"}:  # each colour keeps its numbers
            cleaned = {"mean": start.mean[::-1], "std": start.std[::-1]} | cleaned
        made = replace(start, **cleaned)
        return replace(made, source=source) if source else made

    def _reorder(self, picture: Pixels) -> Array:
        if self.channels == "GRAY":
            return (picture[..., :3].astype(np.float64) @ GRAY_WEIGHTS)[..., None]
        if self.channels == "RGBA":
            opaque = np.full((*picture.shape[:2], 1), 255, np.uint8)
            return picture if picture.shape[2] == 4 else np.concatenate([picture, opaque], axis=2)
        rgb = picture[..., :3]
        return rgb[..., ::-1] if self.channels == "BGR" else rgb

    def _arrange(self, numbers: Array) -> Array:
        """(c, h, w) to the layout."""
        axes = (self.layout or "NCHW").replace("N", "")
        if "C" not in axes:
            numbers = numbers[0]
        elif axes == "HWC":
            numbers = np.moveaxis(numbers, 0, -1)
        return numbers[None] if "N" in (self.layout or "NCHW") else numbers


PRESETS: Mapping[str, Preprocess] = {
    p.name: p
    for p in (
        Preprocess(
            (224, 224), crop=0.875, scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD, name="imagenet-torch"
        ),
        Preprocess((224, 224), channels="BGR", mean=CAFFE_MEAN, name="imagenet-caffe"),
        Preprocess((224, 224), crop=0.875, scale=1 / 127.5, mean=(1.0,), name="imagenet-tf"),
        Preprocess((224, 224), resample="bicubic", scale=1 / 255, mean=CLIP_MEAN, std=CLIP_STD, name="clip"),
        Preprocess(fit="stretch", scale=1 / 128, mean=(127.5 / 128,), name="mtcnn"),
        Preprocess(scale=1 / 255, name="unit"),
        Preprocess(name="raw255"),
        Preprocess(channels="BGR", name="raw255-bgr"),
        Preprocess(channels="GRAY", scale=1 / 255, name="gray-unit"),
    )
}  # fmt: skip
"""Recipes by name; the size of a fixed model input replaces theirs."""


def preset(name: str) -> Preprocess:
    """One of the named recipes."""
    if name not in PRESETS:
        raise UnknownName.among("preprocess preset", name, PRESETS)
    return replace(PRESETS[name], source=f"preset {name}")


def parse_preprocess(spec: str | Preprocess | Mapping[str, Any]) -> Preprocess:
    """A recipe from a preset's name, `preset,field=value,…`, a .json file, or plain values.

    `imagenet-caffe,size=192x256,channels=RGB` changes two fields of a preset.
    """
    if isinstance(spec, Preprocess):
        return spec
    if isinstance(spec, Mapping):
        return Preprocess.from_dict(spec, source="given")
    if spec.endswith(".json"):
        try:
            stored: Any = json.loads(Path(spec).read_text("utf-8"))
        except (OSError, ValueError) as cause:
            raise BadInput(f"preprocess file {spec!r} cannot be read: {cause}.") from None
        if not isinstance(stored, dict):
            raise BadInput(f"preprocess file {spec!r} must hold one JSON object of fields.")
        return Preprocess.from_dict(stored, source=f"file {Path(spec).name}")
    head, *changes = spec.split(",")
    record: dict[str, Any] = {} if "=" in head else {"preset": head}
    for change in ([head] if "=" in head else []) + changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise BadInput(f"preprocess {spec!r}: {change!r} is not field=value.")
        record[key.strip()] = value.strip()
    return Preprocess.from_dict(record, source=f"given as {spec}")


def _value(key: str, value: Any) -> Any:
    """A field's value from JSON or text."""
    try:
        if key == "size":
            if value in (None, "", "none"):
                return None
            numbers = value.lower().replace("×", "x").split("x") if isinstance(value, str) else value
            numbers = [numbers] if isinstance(numbers, int) else list(numbers)
            height, width = (int(n) for n in (numbers * 2 if len(numbers) == 1 else numbers))
            return height, width
        if key in ("mean", "std"):
            numbers = value.replace(";", " ").split() if isinstance(value, str) else value
            listed = numbers if isinstance(numbers, (list, tuple)) else [numbers]
            return tuple(float(n) for n in listed)
        if key in ("scale", "crop"):
            over, slash, under = str(value).partition("/")
            return float(over) / float(under) if slash else float(value)
    except (ValueError, TypeError, ZeroDivisionError):
        raise BadInput(f"preprocess {key}={value!r} cannot be read as numbers.") from None
    return value


def _numbers(values: tuple[float, ...]) -> str:
    text = ", ".join(f"{v:.6g}" for v in values)
    return f"({text})" if len(values) > 1 else text
