"""Which concepts can be tested with nothing downloaded? Drawn colours, textures, shapes and letters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from inspector.methods.dissection.concepts import Example, Labelled, Mask

__all__ = ["COLOURS", "LETTERS", "SHAPES", "TEXTURES", "synthetic_concepts"]

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (214, 39, 40), "green": (44, 160, 44), "blue": (40, 80, 200), "yellow": (240, 220, 40),
    "orange": (250, 140, 20), "purple": (140, 60, 180), "white": (250, 250, 250), "black": (8, 8, 8),
}  # fmt: skip
Grid = npt.NDArray[np.float64]
TEXTURES: Mapping[str, Callable[[Grid, Grid, float], npt.NDArray[np.bool_]]] = {
    "striped across": lambda y, x, p: y % p < p / 2,
    "striped upright": lambda y, x, p: x % p < p / 2,
    "striped aslant": lambda y, x, p: (x + y) % p < p / 2,
    "chequered": lambda y, x, p: (y % p < p / 2) ^ (x % p < p / 2),
    "dotted": lambda y, x, p: ((y % p - p / 2) ** 2 + (x % p - p / 2) ** 2) < (0.3 * p) ** 2,
}
SHAPES: Mapping[str, Callable[[Grid, Grid], npt.NDArray[np.bool_]]] = {
    "disc": lambda v, u: u**2 + v**2 < 1,
    "square": lambda v, u: np.maximum(abs(u), abs(v)) < 0.85,
    "triangle": lambda v, u: (v < 0.8) & (abs(u) < (v + 0.9) * 0.55),
    "ring": lambda v, u: (u**2 + v**2 < 1) & (u**2 + v**2 > 0.36),
    "cross": lambda v, u: (np.minimum(abs(u), abs(v)) < 0.3) & (np.maximum(abs(u), abs(v)) < 1),
}
LETTERS = "AEHORSTX"

OBJECTS = 3
"""Things in one picture; later ones hide earlier ones, and masks say so."""


def synthetic_concepts(count: int = 120, side: int = 224, seed: int = 0) -> Labelled:
    """`count` pictures of things with exact masks: colours, textures, shapes and letters."""
    categories = {
        **dict.fromkeys(COLOURS, "colour"),
        **dict.fromkeys(TEXTURES, "texture"),
        **dict.fromkeys(SHAPES, "shape"),
        **{f"letter {name}": "letter" for name in LETTERS},
    }

    def example(number: int) -> Example:
        return _scene(np.random.default_rng((seed, number)), side, f"synthetic {number:04d}")

    return Labelled(categories, count, example, f"{count} drawn pictures, seed {seed}")


def _scene(random: np.random.Generator, side: int, name: str) -> Example:
    ground = random.normal(random.uniform(90, 165), 9, (side, side, 1))
    picture = np.clip(np.repeat(ground, 3, 2), 0, 255).astype(np.uint8)
    masks: dict[str, Mask] = {}
    for _ in range(OBJECTS):
        outline, kind = _outline(random, side)
        colour = random.choice(list(COLOURS))
        paint = np.broadcast_to(np.array(COLOURS[colour], np.uint8), picture.shape)
        shown = [kind, colour]
        inked = outline
        if random.random() < 0.5:
            texture = random.choice(list(TEXTURES))
            rows, columns = np.mgrid[:side, :side].astype(np.float64)
            pattern = TEXTURES[texture](rows, columns, random.uniform(side / 24, side / 12))
            inked = outline & pattern
            picture[outline & ~pattern] = random.integers(100, 160)
            shown.append(texture)
        picture[inked] = paint[inked]
        for other in masks.values():
            other &= ~outline
        for concept in shown:
            added = inked if concept == colour else outline
            masks[concept] = added | masks[concept] if concept in masks else added.copy()
    return Example(name, picture, {concept: mask for concept, mask in masks.items() if mask.any()})


def _outline(random: np.random.Generator, side: int) -> tuple[Mask, str]:
    radius = random.uniform(0.14, 0.26) * side
    cy, cx = random.uniform(radius, side - radius, 2)
    if random.random() < 0.3:
        letter = LETTERS[int(random.integers(len(LETTERS)))]
        canvas = Image.new("1", (side, side))
        font = ImageFont.load_default(size=2 * radius)
        ImageDraw.Draw(canvas).text((cx, cy), letter, fill=1, font=font, anchor="mm")
        return np.asarray(canvas, bool).copy(), f"letter {letter}"
    shape = str(random.choice(list(SHAPES)))
    rows, columns = np.mgrid[:side, :side].astype(np.float64)
    return SHAPES[shape]((rows - cy) / radius, (columns - cx) / radius), shape
