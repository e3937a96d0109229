"""Which layer of one model sees what which layer of another sees? Debiased minibatch CKA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.comparison.alignment import Alignment, CanonicalGraph
from inspector.comparison.probing import Probe
from inspector.comparison.sequence import ordered
from inspector.errors import BadInput
from inspector.execution.capturing import Prepared, prepare
from inspector.views.figure import PNG, Figure, Media
from inspector.views.matrix import draw_matrix

__all__ = ["Similarities", "cka", "compare_layers", "draw_similarities", "hsic"]

Array = np.ndarray[Any, np.dtype[Any]]
Matrix = npt.NDArray[np.float64]

_LEAST = 4
"""Samples in a batch: the unbiased estimator divides by n - 3."""
_MOST = 40
"""Layers of a model that are compared; of more, as many are taken evenly."""


@dataclass(frozen=True)
class Similarities:
    """CKA of the layers of A (rows) with those of B (columns), NaN where a layer is constant."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Matrix
    samples: int
    batch: int

    def to_dict(self) -> dict[str, Any]:
        """Names and values, undefined ones null."""
        cells = [[None if np.isnan(v) else float(v) for v in row] for row in self.values]
        return {
            "a": list(self.rows),
            "b": list(self.columns),
            "cka": cells,
            "samples": self.samples,
            "batch": self.batch,
        }


def hsic(k: Matrix, kk: Matrix) -> float:
    """Unbiased HSIC of two Gram matrices (n, n): Song et al., JMLR 13 (2012), section 3.2."""
    n = len(k)
    k, kk = k - np.diag(np.diag(k)), kk - np.diag(np.diag(kk))
    first = float((k * kk).sum())
    second = float(k.sum() * kk.sum()) / ((n - 1) * (n - 2))
    third = 2 / (n - 2) * float(k.sum(axis=0) @ kk.sum(axis=0))
    return (first + second - third) / (n * (n - 3))


def cka(a: Sequence[Sequence[Array]], b: Sequence[Sequence[Array]]) -> Matrix:
    """CKA of layers given as batches of activations: `a[batch][layer]` is (n, features).

    Numerator and both denominators are averaged over the batches before the ratio is taken (Nguyen et al.
    2021, arXiv:2010.15327, minibatch CKA); averaging ratios instead would not give 1 for equal layers.

    Raises:
        BadInput: batches that differ in number or samples, or have fewer than 4 samples.
    """
    if len(a) != len(b) or not a:
        raise BadInput(f"CKA needs the same batches on both sides, got {len(a)} and {len(b)}.")
    cross = np.zeros((len(a[0]), len(b[0])))
    own_a, own_b = np.zeros(len(a[0])), np.zeros(len(b[0]))
    for batch_a, batch_b in zip(a, b, strict=True):
        counts = {len(layer) for layer in (*batch_a, *batch_b)}
        if len(counts) != 1 or min(counts) < _LEAST:
            raise BadInput(f"CKA needs one number of samples, 4 or more, in a batch; got {sorted(counts)}.")
        grams_a, grams_b = [_gram(x) for x in batch_a], [_gram(x) for x in batch_b]
        cross += [[hsic(k, kk) for kk in grams_b] for k in grams_a]
        own_a += [hsic(k, k) for k in grams_a]
        own_b += [hsic(k, k) for k in grams_b]
    scale = np.sqrt(np.maximum(own_a, 0)[:, None] * np.maximum(own_b, 0)[None, :])
    return np.divide(cross, scale, out=np.full_like(cross, np.nan), where=scale > 0)


def _gram(x: Array) -> Matrix:
    flat = x.reshape(len(x), -1).astype(np.float64)
    flat = flat - flat.mean(axis=0)
    return flat @ flat.T


def compare_layers(alignment: Alignment, samples: Sequence[Probe], *, batch: int = 8) -> Similarities:
    """CKA of all layers with weights of both models over samples that both are fed, `batch` at a time.

    Raises:
        BadInput: fewer than 4 samples.
    """
    if len(samples) < _LEAST:
        raise BadInput(f"CKA needs 4 samples or more, got {len(samples)}; give --random 16.")
    layers = _layers(alignment.a), _layers(alignment.b)
    size = max(_LEAST, min(batch, len(samples)))
    starts = range(0, len(samples) - size + 1, size)
    sides: list[list[list[Array]]] = [[], []]
    ready: list[Prepared | None] = [None, None]
    for start in starts:
        part = samples[start : start + size]
        for i, graph in enumerate((alignment.a, alignment.b)):
            feeds = [probe.a if i == 0 else probe.b for probe in part]
            runner = ready[i] or prepare(graph.model, feeds[0], [value for _, value in layers[i]])
            ready[i] = runner
            sides[i].append(_batch(runner, feeds, [value for _, value in layers[i]]))
    names = [tuple(name for name, _ in side) for side in layers]
    return Similarities(names[0], names[1], cka(sides[0], sides[1]), len(starts) * size, size)


def _batch(ready: Prepared, feeds: Sequence[Any], values: Sequence[str]) -> list[Array]:
    rows: list[list[Array]] = [list(_flat(ready, one, values)) for one in feeds]
    return [np.stack(layer) for layer in zip(*rows, strict=True)]


def _flat(ready: Prepared, feeds: Any, values: Sequence[str]) -> Iterator[Array]:
    found = ready.run(feeds)
    for value in values:
        yield np.asarray(found[value], np.float32).reshape(-1)


def _layers(graph: CanonicalGraph) -> list[tuple[str, str]]:
    """Name and value of the nodes that hold a weight, in graph order."""
    atoms = [graph.atoms[key] for key in ordered(graph)]
    found = [
        (atom.scope or atom.key, atom.value)
        for atom in atoms
        if "weight" in graph.arrays.get(atom.key, {}) and atom.value in graph.model.producers
    ]
    if len(found) <= _MOST:
        return found
    return [found[i] for i in np.linspace(0, len(found) - 1, _MOST).astype(int)]


def draw_similarities(found: Similarities, names: tuple[str, str], *, media: Media = PNG) -> Figure:
    """The matrix as a picture on a scale from 0 to 1."""
    return draw_matrix(
        found.values,
        row_labels=found.rows,
        column_labels=found.columns,
        row_title=names[0],
        column_title=names[1],
        title="Which layers see the same?",
        note=f"Debiased CKA over {found.samples} samples in batches of {found.batch}.",
        label="CKA",
        limits=(0.0, 1.0),
        media=media,
    )
