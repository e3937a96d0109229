"""Which parts of the input does the answer depend on? One call for every method, with how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.table import Table

from inspector.autograd import steady
from inspector.cards import card
from inspector.errors import BadInput
from inspector.execution import Preprocess
from inspector.methods.axes import axes_of, stated_axes
from inspector.methods.drawing import draw_map
from inspector.methods.entries import reaches
from inspector.methods.preparing import Preparation
from inspector.methods.registry import Map, Method, find_method
from inspector.methods.subject import Dtype, Subject
from inspector.methods.target import Target
from inspector.model import Model, open_model
from inspector.views import Figure

__all__ = ["Attribution", "attribute", "explain"]

Array = npt.NDArray[np.floating[Any]]

CHANNELS_LAST = (("n", "h", "w", "c"), ("n", "t", "c"))

TABLE = 128
"""More numbers than these are the samples of a signal."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """A signed raw map and everything it was made from.

    `values` has the axes in `axes`: those of the explained value, or ("n", "h", "w") for maps of a layer.
    `residual` is what the map misses of the score difference it should distribute, the largest over rows;
    None where the method promises nothing. `kept` is what stored values (biases) keep of the scores, by name,
    for methods that hand relevance back. `score` is the explained number of the first row; `tokens` (t,) and
    `signal` (c, t) are that row of what was explained, where it is token ids or a signal.
    """

    values: Array
    axes: tuple[str, ...]
    method: str
    paper: str
    target: Target
    score: float
    layer: str
    residual: float | None
    baseline: str
    input: str
    at_layer: Array | None
    options: Mapping[str, Any]
    seed: int
    dtype: str
    model: str
    kept: Mapping[str, float]
    notes: tuple[str, ...]
    picture: npt.NDArray[np.uint8] | None
    tokens: npt.NDArray[np.integer[Any]] | None
    signal: Array | None

    def figure(self, *, vocabulary: Sequence[str] = (), media: Any = "image/png") -> Figure:
        """The first row's map beside and over the input; normalisation is said in the caption.

        Tokens are drawn as coloured text, with the words of `vocabulary` by id where it is given; the
        numbers of a table as bars, signals as curves.
        """
        return draw_map(self, vocabulary, media)

    def _repr_html_(self) -> str:
        table = Table.grid()
        table.add_row("method", f"{self.method}  {self.paper}")
        table.add_row("target", f"{self.target}, score {self.score:.4g}")
        if self.layer:
            table.add_row("layer", self.layer)
        if self.residual is not None:
            table.add_row("residual", f"{self.residual:.3g}")
        table.add_row(
            "values", f"{'×'.join(map(str, self.values.shape))} ({', '.join(self.axes)}), {self.dtype}"
        )
        for note in self.notes:
            table.add_row("note", note)
        return card(table, [self.figure()])

    def to_dict(self) -> dict[str, Any]:
        """How the map was made, and its range; the values themselves leave as an array."""
        return {
            "method": self.method,
            "paper": self.paper,
            "model": self.model,
            "input": self.input,
            "target": str(self.target),
            "class": self.target.index,
            "score": self.score,
            "layer": self.layer,
            "residual": self.residual,
            "baseline": self.baseline,
            "options": dict(self.options),
            "seed": self.seed,
            "dtype": self.dtype,
            "shape": list(self.values.shape),
            "axes": list(self.axes),
            "min": float(self.values.min()),
            "max": float(self.values.max()),
            "sum": float(self.values.sum()),
            "kept": dict(self.kept),
            "notes": list(self.notes),
        }

    def cells(self) -> Array:
        """The first row's map as a picture takes it: (h, w) or (c, h, w); one line for vectors and tokens."""
        cells = self.values[0] if self.axes[:1] == ("n",) else self.values
        cells = cells.sum(-1) if self.axes == ("n", "t", "e") else cells
        cells = np.moveaxis(cells, -1, 0) if self.axes in CHANNELS_LAST else cells
        return cells.reshape(1, -1) if cells.ndim == 1 else cells


@steady()
def attribute(
    model: Model | Any,
    inputs: Any,
    method: str = "grad-cam",
    target: int | str | Target | None = None,
    layer: str | None = None,
    dtype: Dtype = "float32",
    *,
    input: str | None = None,
    preprocess: str | Preprocess | None = None,
    device: str = "cpu",
    logit: bool = True,
    straight_through: bool = False,
    seed: int = 0,
    **options: Any,
) -> Attribution:
    """Explain one score of a model by a method of `inspector methods`.

    `model` is anything that can be opened. `inputs` is a picture's path, an array, or
    `{input name: array}`; `target` a class index or label, "top"
    (the default), or an expression of the outputs. `logit` explains the score before a final softmax.
    `options` are those of the method. The map is computed in `dtype` throughout.

    Raises:
        NoGradientPath: the method needs a gradient or a layer the model does not have.
        UnknownName: an unknown method, option, layer, input or label.
        BadInput: inputs or target do not fit the model.
    """
    found = find_method(method)
    model = model if isinstance(model, Model) else open_model(model)
    prepared = Preparation(
        model,
        inputs,
        layer=layer,
        dtype=dtype,
        input=input,
        preprocess=preprocess,
        device=device,
        logit=logit,
        straight_through=straight_through,
        seed=seed,
    )
    return explain(prepared.subject(found, target), found, **options)


def explain(subject: Subject, method: Method, **options: Any) -> Attribution:
    """Apply a method to a prepared subject; several methods may share one."""
    unused = _is_unused(subject)
    made = _nothing(subject) if unused else method.run(subject, **options)
    values, axes = made.values.detach().cpu(), made.axes
    if axes == axes_of(subject.x):
        values, axes = (subject.as_fed(values).contiguous() if subject.last else values), stated_axes(subject)
    if not bool(torch.isfinite(values).all()):
        raise BadInput(
            f"{method.name} gave NaN or infinite values at this input: a division by zero or an overflow. "
            "Try dtype='float64', or another method."
        )
    notes = [*subject.notes, *made.notes]
    if not bool(values.any()) and not unused:
        notes.append(
            "The map is zero everywhere: the score does not react here. Try another layer or target."
        )
    uses_layer = "layer" in method.needs
    defaults = {name: p.default for name, p in method.options.items()}
    return Attribution(
        values=values.numpy(),
        axes=axes,
        method=method.name,
        paper=method.paper,
        target=subject.target,
        score=float(subject.own_score[0]),
        layer=made.layer or (subject.layer.key if uses_layer and not unused else ""),
        residual=None if made.residual is None else float(made.residual.abs().max()),
        baseline=made.baseline,
        input=subject.entry,
        at_layer=None if made.at_layer is None else made.at_layer.detach().cpu().numpy(),
        options=defaults | options,
        seed=subject.seed,
        dtype=str(subject.x.dtype).removeprefix("torch."),
        model=subject.model.digest,
        kept=dict(made.kept),
        notes=tuple(notes),
        picture=_picture(subject),
        tokens=_tokens(subject),
        signal=_signal(subject),
    )


def _is_unused(subject: Subject) -> bool:
    target = subject.target
    outputs = [value.name for value in subject.model.outputs]
    return not reaches(subject.model, subject.entry, outputs if target.expression else [target.value])


def _nothing(subject: Subject) -> Map:
    note = f"{subject.entry!r} is not used: no path leads from it to the score, so the map is zero."
    return Map(torch.zeros(subject.x.shape, dtype=subject.own_score.dtype), axes_of(subject.x), notes=(note,))


def _picture(subject: Subject) -> npt.NDArray[np.uint8] | None:
    """The first picture as the model sees it: cut and scaled, (h, w, 3)."""
    picture = subject.inputs.pictures.get(subject.entry)
    recipe = subject.inputs.recipes.get(subject.entry)
    return None if picture is None or recipe is None else recipe.place(picture)


def _signal(subject: Subject) -> Array | None:
    """The first row (c, t) of what is a signal: three axes, or too many numbers for a table."""
    axes, x = stated_axes(subject), subject.x
    if axes in (("n", "c", "t"), ("n", "t", "c")):
        return x[0].cpu().numpy()
    return x[:1].cpu().numpy() if axes == ("n", "f") and x.shape[1] > TABLE else None


def _tokens(subject: Subject) -> npt.NDArray[np.integer[Any]] | None:
    """The first row's ids (t,), where token ids or their embedding are explained."""
    name = subject.entry
    if name not in subject.feeds:
        node = subject.model.producers.get(name)
        name = node.inputs[1] if node is not None and len(node.inputs) > 1 else ""
    ids = subject.feeds.get(name)
    if not isinstance(ids, torch.Tensor) or ids.is_floating_point() or ids.ndim != 2:
        return None
    return ids[0].cpu().numpy()
