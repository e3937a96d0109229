"""What does the model answer for many variants of one input? Scores from ONNX Runtime, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.execution import open_session, run
from inspector.execution.session import Session, Settings
from inspector.methods.target import Target, scores_of
from inspector.model import Model

__all__ = ["Runtime"]

BATCH = 16
"""Rows that go through the session together where the batch is open."""


@dataclass(eq=False)
class Runtime:
    """A model that is run and never differentiated; sessions are made once for each set of inner values.

    They take as many threads as torch does, whose part of the work goes on between their runs.
    """

    model: Model
    device: str = "cpu"
    _sessions: dict[tuple[Any, ...], Session] = field(default_factory=dict[tuple[Any, ...], Session])
    _batches: bool = True

    def outputs(self, feeds: Mapping[str, Any]) -> dict[str, Tensor]:
        """Every output that is a tensor of numbers, by name."""
        return self.values(feeds, [value.name for value in self.model.outputs])

    def values(self, feeds: Mapping[str, Any], names: Sequence[str]) -> dict[str, Tensor]:
        """The named top-level values that are tensors of numbers."""
        found = self._run(feeds, list(names))
        return {name: value for name, value in zip(names, found, strict=True) if isinstance(value, Tensor)}

    def score(self, x: Tensor, entry: str, feeds: Mapping[str, Tensor], target: Target) -> Tensor:
        """Scores (n,) for rows of `x`, which stand for the input `entry`; other inputs are repeated."""
        rows = feeds[entry].shape[0] if feeds[entry].ndim else 1
        names = [v.name for v in self.model.outputs] if target.expression else [target.value]
        joint = any(_goes_with_rows(v, rows) for k, v in feeds.items() if k != entry)
        least = self._fixed_batch(entry) or (rows if joint else 1)
        step = max(least, BATCH // least * least if self._batches and self._fixed_batch(entry) is None else 0)
        found: list[Tensor] = []
        start = 0
        while start < x.shape[0]:
            part = x[start : start + step]
            try:
                values = self._run(
                    {k: _repeated(v, rows, part.shape[0]) for k, v in feeds.items()} | {entry: part}, names
                )
            except BadInput:
                if step == least:
                    raise
                self._batches, step = (
                    False,
                    least,
                )  # an inner Reshape fixes the batch
                continue
            tensors = {n: v for n, v in zip(names, values, strict=True) if isinstance(v, Tensor)}
            found.append(scores_of(target, tensors))
            start += step
        return torch.cat(found)

    def _fixed_batch(self, entry: str) -> int | None:
        shape = next((v.shape for v in self.model.inputs if v.name == entry), None)
        if not shape:
            return 1
        return shape[0] if isinstance(shape[0], int) else None

    def _run(self, feeds: Mapping[str, Any], names: list[str]) -> list[Any]:
        arrays = {k: v.numpy() if isinstance(v, Tensor) else np.asarray(v) for k, v in feeds.items()}
        found = run(self._session(names), arrays, names)
        return [torch.from_numpy(np.array(v)) if _is_tensor(v) else v for v in found]

    def _session(self, names: list[str]) -> Session:
        known = {value.name for value in self.model.outputs}
        hidden = tuple(name for name in names if name not in known)
        threads = torch.get_num_threads()
        if (threads, hidden) not in self._sessions:
            proto = onnx.ModelProto()
            proto.CopyFrom(self.model.proto)
            proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in hidden)
            settings = Settings(fusion="all", threads=threads)
            self._sessions[threads, hidden] = open_session(
                self.model, proto, device=self.device, settings=settings
            )
        return self._sessions[threads, hidden]


def _is_tensor(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def _goes_with_rows(value: Tensor, rows: int) -> bool:
    return value.ndim > 0 and value.shape[0] == rows


def _repeated(value: Tensor, have: int, want: int) -> Tensor:
    if have == want or not _goes_with_rows(value, have):
        return value
    return value.repeat(want // have, *[1] * (value.ndim - 1))
