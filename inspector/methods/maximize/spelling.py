"""Which objective does a text mean? `relu_25:3@6,6`, `logits:281`, `2 * relu_20:7 - total-variation`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from inspector.errors import BadInput, UnknownName
from inspector.execution import model_labels
from inspector.methods.maximize.objectives import Objective, known_objectives, objective
from inspector.methods.maximize.stage import Stage
from inspector.methods.target import labelled, score_value

__all__ = ["parse_objective", "with_channel"]

_OPERATOR = re.compile(r"\s+([+\-*])\s+|(?<=\d)\s*(\*)\s*(?=[A-Za-z(_])")
_UNIT = re.compile(r"(?P<layer>.+?):(?P<index>-?\d+)(?:@(?P<row>-?\d+),(?P<column>-?\d+))?")
_KINDS = (
    "layer",
    "channel",
    "neuron",
    "direction",
    "logit",
    "logits",
    "probability",
    "diversity",
    "caricature",
)


def parse_objective(text: str, stage: Stage) -> Objective:
    """The objective that a text means for this model.

    A term is `LAYER` (all of it), `LAYER:CHANNEL`, `LAYER:CHANNEL@ROW,COLUMN`, `LAYER:FILE.npy` (a
    direction), `logit:CLASS`, `probability:CLASS` (index or label), `diversity:LAYER`, `caricature:LAYER`,
    `l2`, `total-variation`, `blur` or a number, joined by + - * with spaces around; * binds tighter.

    Raises:
        UnknownName: a layer or class that the model does not have.
        BadInput: a text that is no objective.
    """
    pieces = _split(text.strip())
    if len(pieces) == 1:
        return _as_objective(_term(pieces[0], stage), text)
    total: Objective | float | None = None
    product: Objective | float | None = None
    sign, joint = "+", ""
    for piece in pieces:
        if piece in ("+", "-", "*"):
            joint = piece
            continue
        value = _term(piece, stage)
        if joint == "*" and product is not None:
            product = product * value
        else:
            total = _added(total, sign, product)
            product, sign = value, joint or "+"
    return _as_objective(_added(total, sign, product), text)


def with_channel(text: str, stage: Stage, count: int) -> list[str]:
    """A text for each of the first `count` channels, where the text names a whole layer; else []."""
    kind, _, rest = text.partition(":")
    name = rest if kind == "layer" else text
    try:
        key = stage.key(name)
    except UnknownName:
        return []
    shape = _shape(stage, key)
    return [f"{name}:{index}" for index in range(min(count, shape[1]))]


def _shape(stage: Stage, key: str) -> tuple[int, ...]:
    blank = stage.mean_picture[None, :, None, None].expand(1, 3, *stage.size)
    return tuple(stage.values(blank, [key])[key].shape)


def _added(
    total: Objective | float | None, sign: str, part: Objective | float | None
) -> Objective | float | None:
    if part is None:
        return total
    if total is None:
        return -part if sign == "-" else part
    return total - part if sign == "-" else total + part


def _as_objective(found: Objective | float | None, text: str) -> Objective:
    if not isinstance(found, Objective):
        raise BadInput(f"objective {text!r} is no objective: give LAYER:CHANNEL, logit:CLASS, …")
    return found


def _split(text: str) -> list[str]:
    if not text:
        raise BadInput("the objective is empty: give LAYER:CHANNEL, logit:CLASS, probability:CLASS, …")
    if re.search(r"^[+*]\s|\s[+\-*]$", text):
        raise BadInput(f"objective {text!r} begins or ends with an operator.")
    parts = [part for part in _OPERATOR.split(text) if part is not None]
    stripped = [part.strip() for part in parts if part.strip()]
    if stripped and stripped[0].startswith("- "):
        stripped[0:1] = ["-1", "*", stripped[0][2:]]
    operators = [part in ("+", "-", "*") for part in stripped]
    if operators[::2].count(True) or not all(operators[1::2]) or len(stripped) % 2 == 0:
        raise BadInput(f"objective {text!r}: terms must be joined by + - * with spaces around.")
    return stripped


def _term(text: str, stage: Stage) -> Objective | float:
    if re.fullmatch(r"-?[\d.]+(e-?\d+)?", text):
        return float(text)
    kind, colon, rest = text.partition(":")
    if not colon and kind in ("l2", "total-variation", "blur"):
        return objective(kind)
    if colon and kind in _KINDS and kind not in stage.model.values:
        return _of_kind("logit" if kind == "logits" else kind, rest, stage)
    if kind == "logits" and rest and not _UNIT.fullmatch(text):
        return _of_kind("logit", rest, stage)
    unit = _UNIT.fullmatch(text)
    if unit is not None:
        layer, index = stage.key(unit["layer"]), int(unit["index"])
        if unit["row"] is not None:
            return _renamed(objective("neuron", layer, index, int(unit["row"]), int(unit["column"])), text)
        return _renamed(objective("channel", layer, index), text)
    if text.endswith(".npy"):
        return _direction(text, stage)
    return _renamed(objective("layer", stage.key(text)), text)


def _of_kind(kind: str, rest: str, stage: Stage) -> Objective:
    if kind in ("logit", "probability"):
        output = stage.model.outputs[0].key
        value, _ = score_value(stage.model, output)
        found = objective(kind, value, _class(rest, stage))
    elif kind == "direction":
        return _direction(rest, stage)
    elif kind in ("channel", "neuron"):
        unit = _UNIT.fullmatch(rest)
        if unit is None:
            raise BadInput(f"{kind}:{rest}: expected {kind}:LAYER:CHANNEL.")
        place = () if unit["row"] is None else (int(unit["row"]), int(unit["column"]))
        found = objective(kind, stage.key(unit["layer"]), int(unit["index"]), *place)
    elif kind in known_objectives():
        found = objective(kind, stage.key(rest))
    else:
        raise UnknownName.among("objective", kind, known_objectives())
    return _renamed(found, f"{kind}:{rest}")


def _class(name: str, stage: Stage) -> int:
    if re.fullmatch(r"-?\d+", name):
        return int(name)
    found = labelled(stage.model, name)
    if found is None:
        raise UnknownName.among("class", name, model_labels(stage.model), "An index works too.")
    return found


def _direction(text: str, stage: Stage) -> Objective:
    layer, _, path = text.partition(":")
    try:
        vector = np.load(Path(path), allow_pickle=False)
    except (OSError, ValueError, EOFError) as cause:
        raise BadInput(f"direction {path} cannot be read: {cause}.") from None
    return _renamed(objective("direction", stage.key(layer), vector.ravel().tolist()), text)


def _renamed(found: Objective, text: str) -> Objective:
    return Objective(text, found.layers, found.measure, found.compares)
