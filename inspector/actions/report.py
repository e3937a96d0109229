"""What is worth keeping of a model, or of two? The page with its data, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector import execution, methods, workbench
from inspector.actions import pictures, reporting
from inspector.actions.parameters import OutputFile
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, InspectorError
from inspector.progress import track

if TYPE_CHECKING:
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Report", "collect", "report"]

_MOST_TENSORS = 2000
"""Weights, and values, whose statistics a report holds; the page says when there are more."""

_MOST_ELEMENTS = 1 << 30


@dataclass(frozen=True)
class Report(Result):
    """A written report: where, how large, and what it had to leave out."""

    model: str
    path: Path
    size: int
    notes: tuple[str, ...]
    drawn: Mapping[str, Figure] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Model, file, bytes and notes."""
        return {"model": self.model, "file": str(self.path), "bytes": self.size, "notes": list(self.notes)}

    def to_text(self) -> str:
        """File and size, then what was left out."""
        lines = [
            f"Written to {self.path}: {self.size / 1000:,.0f} kB, opens in any browser without a server."
        ]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def figures(self) -> Mapping[str, Figure]:
        """The pictures that the report holds."""
        return self.drawn


@action(
    group="Look inside",
    examples=(
        "inspector report net.onnx -o report.html",
        "inspector report net.onnx --input cat.png -o report.html",
        "inspector report old.onnx new.onnx -o report.html",
    ),
)
def report(
    model: Model,
    input: str | None = None,
    path: OutputFile = Path("report.html"),
    other: Model | None = None,
    *,
    preprocess: str | None = None,
    labels: str | None = None,
    seed: int = 0,
) -> Report:
    """Write the page and its data into one file: structure, statistics, and what an input does inside.

    Args:
        model: The model file.
        input: A picture, .npy, .npz, .wav, numbers or random; adds answer, activations and a heat map.
        path: File to write, .html.
        other: A second model; both graphs, their differences and figures of all pairs stand side by side.
        preprocess: How pictures are prepared: a preset (imagenet-caffe), preset,field=value, or .json.
        labels: File with class names, a line each or JSON; by default those recorded in the model.
        seed: Seed of random inputs.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise BadInput(f"{path}: a report is a page; name it .html.")
    record, drawn = collect(model, input, preprocess=preprocess, labels=labels, seed=seed)
    if other is not None:
        record["comparison"] = reporting.beside(model, other, input, record["notes"])
    page = workbench.single_page(record).encode("utf-8")
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(page)
    partial.replace(path)
    return Report(model.name, path, len(page), tuple(record["notes"]), drawn)


def collect(
    model: Model,
    source: Any = None,
    *,
    preprocess: str | None = None,
    labels: str | None = None,
    seed: int = 0,
) -> tuple[dict[str, Any], Mapping[str, Figure]]:
    """The data of a page without a server, and the pictures among them."""
    notes: list[str] = []
    record: dict[str, Any] = {
        "model": workbench.document(model),
        "weights": _weights(model, notes),
        "values": {},
        "prediction": None,
        "comparison": None,
        "pictures": [],
        "notes": notes,
    }
    drawn: dict[str, Figure] = {}
    if source is not None:
        names = execution.read_labels(labels) if labels else ()
        inputs = execution.read_inputs(model, source, preprocess=preprocess, seed=seed)
        prediction = execution.predict(model, inputs, labels=names, top=10)
        record["prediction"] = prediction.to_dict()
        record["values"] = _values(model, inputs, notes)
        answers = pictures.draw_outputs(model, prediction, "image/png")
        drawn |= {f"answer of {name}": figure for name, figure in answers.items()}
        drawn |= _heat(model, source, preprocess, seed, notes)
    record["pictures"] = [
        {"title": name, "caption": figure.caption, "address": figure.data_uri}
        for name, figure in drawn.items()
    ]
    return record, drawn


def _weights(model: Model, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    left = _MOST_ELEMENTS
    for key, weight in track(list(model.weights.items()), "Reading weights"):
        if len(found) >= _MOST_TENSORS or weight.size > left:
            continue
        left -= weight.size
        found[key] = workbench.summary_of(weight.array())
    if len(found) < len(model.weights):
        notes.append(f"Statistics of {len(found):,} of {len(model.weights):,} weights are in this report.")
    return found


def _values(model: Model, inputs: execution.Inputs, notes: list[str]) -> dict[str, Any]:
    capture = execution.capture(model, inputs)
    found: dict[str, Any] = {}
    for key in track([*capture.feeds, *capture], "Reading activations"):
        if len(found) >= _MOST_TENSORS:
            notes.append(f"Statistics of the first {_MOST_TENSORS:,} values are in this report.")
            break
        found[key] = workbench.summary_of(np.asarray(capture[key]))
    return found


def _heat(
    model: Model, source: Any, preprocess: str | None, seed: int, notes: list[str]
) -> dict[str, Figure]:
    """A class map where the model has one; else the reason as a note."""
    try:
        made = methods.attribute(model, source, "grad-cam", preprocess=preprocess, seed=seed)
        return {f"grad-cam for {made.target}": made.figure()}
    except InspectorError as why:
        notes.append(f"No heat map: {why}")
        return {}
