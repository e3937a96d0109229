"""What does the model answer? The most probable classes, or a summary of outputs that are no classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from inspector.errors import BadInput
from inspector.execution.feeds import complete_feeds
from inspector.execution.inputs import Inputs, read_inputs
from inspector.execution.labels import model_labels
from inspector.execution.moments import Moments, measure
from inspector.execution.open_sizes import sizes_told
from inspector.execution.preprocess import Preprocess
from inspector.execution.preset_check import describe_trials, try_presets
from inspector.execution.session import Session, open_session, run
from inspector.model import Model

__all__ = ["Class", "Prediction", "Ranking", "predict", "rank_classes"]

Array = np.ndarray[Any, np.dtype[Any]]
Scale = Literal[
    "probability", "softmax of scores", "exp of log probability", "independent probability", "score"
]


@dataclass(frozen=True)
class Class:
    """One class of one row: its index, name, raw output and probability (None for plain scores)."""

    index: int
    label: str
    score: float
    probability: float | None


@dataclass(frozen=True)
class Ranking:
    """The best classes of each row of one output, and how probabilities came from its numbers."""

    output: str
    classes: int
    scale: Scale
    rows: tuple[tuple[Class, ...], ...]


@dataclass(frozen=True)
class Prediction:
    """Rankings of the outputs that hold classes, and statistics of every output."""

    rankings: tuple[Ranking, ...]
    outputs: Mapping[str, Moments]
    arrays: Mapping[str, Array]
    inputs: Inputs
    device: str
    notes: tuple[str, ...]

    @property
    def top(self) -> tuple[Class, ...]:
        """The best classes of the first row of the first ranking; () when no output holds classes."""
        return self.rankings[0].rows[0] if self.rankings else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "device": self.device,
            "preprocess": {name: recipe.to_dict() for name, recipe in self.inputs.recipes.items()},
            "rankings": [
                {
                    "output": ranking.output,
                    "classes": ranking.classes,
                    "scale": ranking.scale,
                    "rows": [[vars(entry) for entry in row] for row in ranking.rows],
                }
                for ranking in self.rankings
            ],
            "outputs": {name: moments.to_dict() for name, moments in self.outputs.items()},
            "notes": list(self.notes),
        }


def predict(
    model: Model,
    inputs: Any,
    *,
    preprocess: str | Preprocess | None = None,
    labels: Sequence[str] = (),
    top: int = 5,
    device: str = "cpu",
    seed: int = 0,
) -> Prediction:
    """Run the model on files or arrays (`read_inputs`) and rank the classes of its outputs.

    Labels given must name every class; without them the model's own metadata is used. Softmax is applied
    only where the numbers are not probabilities already, and the ranking says so. Where nothing says how
    pictures are prepared, the likely presets are tried and a note gives the confidence under each.

    Raises:
        BadInput: the inputs do not fit, or the labels are not as many as the classes.
    """
    if top < 1:
        raise BadInput(f"top={top}: at least one class must be asked for.")
    read = (
        inputs if isinstance(inputs, Inputs) else read_inputs(model, inputs, preprocess=preprocess, seed=seed)
    )
    feeds, _ = complete_feeds(model, read.feeds)
    session = open_session(model, device=device)
    with sizes_told(model, feeds):
        results = dict(zip(session.output_names, run(session, feeds), strict=True))
    arrays = {name: value for name, value in results.items() if isinstance(value, np.ndarray)}
    names = tuple(labels) or model_labels(model)
    notes = [*read.notes, *([session.note] if session.note else [])]
    rankings = [
        rank_classes(model, name, array, names, top=top, strict=bool(labels), notes=notes)
        for name, array in arrays.items()
        if _holds_classes(array)
    ]
    if any(ranking.scale != "softmax of scores" for ranking in rankings):  # raw numbers beside are no classes
        rankings = [ranking for ranking in rankings if ranking.scale != "softmax of scores"]
    rankings.sort(key=lambda ranking: -ranking.classes)
    if labels and not rankings:
        notes.append("Labels were given, but no output has the shape of classes.")
    if rankings:
        best = rankings[0]
        trials = try_presets(model, read, lambda fed: _surest(model, session, fed, best, names))
        notes += describe_trials(trials, read.preprocess.name if read.preprocess is not None else "")
    measured = {name: measure(a) for name, a in arrays.items() if a.dtype.kind not in "OUS"}
    return Prediction(tuple(rankings), measured, arrays, read, session.device, tuple(notes))


def _surest(
    model: Model, session: Session, feeds: Mapping[str, Array], like: Ranking, labels: Sequence[str]
) -> tuple[str, float] | None:
    """The best class of the first row of one output, and its probability."""
    (array,) = run(session, complete_feeds(model, feeds)[0], [like.output])
    (best,) = rank_classes(model, like.output, array, labels, top=1).rows[0]
    return None if best.probability is None else (best.label or str(best.index), best.probability)


def rank_classes(
    model: Model,
    output: str,
    array: Array,
    labels: Sequence[str] = (),
    *,
    top: int = 5,
    strict: bool = False,
    notes: list[str] | None = None,
) -> Ranking:
    """The `top` classes of every row of an output (n, classes), further axes of size 1 dropped.

    With `strict`, labels must be as many as the classes; else a mismatch is noted and they are left out.
    """
    rows = np.asarray(array, np.float64).reshape(array.shape[0], -1)
    count = rows.shape[1]
    named = _named(labels, count, output, strict, notes if notes is not None else [])
    scale = _scale_of(model, output, rows)
    probabilities = _probabilities(rows, scale)
    ranked = tuple(
        tuple(
            Class(
                int(index),
                str(named[int(index)]) if named else "",
                float(scores[index]),
                None if probabilities is None else float(probabilities[row, index]),
            )
            for index in np.argsort(-_sortable(scores), kind="stable")[:top]
        )
        for row, scores in enumerate(rows)
    )
    return Ranking(output, count, scale, ranked)


def _sortable(scores: Array) -> Array:
    return np.where(np.isnan(scores), -np.inf, scores)


def _holds_classes(array: Array) -> bool:
    if array.dtype.kind not in "fiu" or array.ndim < 2 or not array.size:
        return False
    return array.shape[1] > 1 and all(size == 1 for size in array.shape[2:])


def _named(labels: Sequence[str], count: int, output: str, strict: bool, notes: list[str]) -> Sequence[str]:
    if not labels or len(labels) == count:
        return labels
    if len(labels) == count - 1:
        notes.append(
            f"Output {output!r} has one class more than there are labels; class 0 is taken as background."
        )
        return ("background", *labels)
    if strict and count > 10:
        raise BadInput(f"{len(labels)} labels were given, output {output!r} has {count} classes.")
    notes.append(f"{len(labels)} labels do not fit the {count} classes of output {output!r}; left out.")
    return ()


def _scale_of(model: Model, output: str, rows: Array) -> Scale:
    """What the numbers are: by the operator that made them, then by their sums."""
    key, operator = output, ""
    for _ in range(6):
        node = model.producers.get(key)
        if node is None:
            break
        operator = node.op
        if operator not in ("Identity", "Reshape", "Flatten", "Squeeze", "Cast", "Unsqueeze"):
            break
        key = node.inputs[0]
    if operator == "LogSoftmax":
        return "exp of log probability"
    finite = np.isfinite(rows).all()
    sums_to_one = finite and bool((rows >= 0).all()) and bool(np.allclose(rows.sum(axis=1), 1, atol=1e-3))
    if operator == "Softmax" or sums_to_one:
        return "probability"
    if operator in ("Sigmoid", "HardSigmoid"):
        return "independent probability"
    return "softmax of scores" if rows.shape[1] > 1 else "score"


def _probabilities(rows: Array, scale: Scale) -> Array | None:
    if scale in ("probability", "independent probability"):
        return rows
    if scale == "exp of log probability":
        return np.exp(rows)
    if scale == "score":
        return None
    with np.errstate(invalid="ignore"):
        powers = np.exp(rows - np.max(rows, axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
