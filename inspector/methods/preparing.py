"""How do several methods and targets share one read input, one net and its activations?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inspector.execution import Inputs, Preprocess
from inspector.methods.black_box import Runtime
from inspector.methods.registry import Method
from inspector.methods.subject import Dtype, Subject, prepare, prepare_black_box
from inspector.methods.target import Target
from inspector.model import Model

__all__ = ["Preparation"]

Wanted = int | str | Target | None


@dataclass(eq=False)
class Preparation:
    """A model and its inputs; the net, sessions and subjects are made when first needed and kept.

    Methods of the family `perturbation` run on ONNX Runtime in float32, all else on the differentiable net.
    """

    model: Model
    inputs: Any
    layer: str | None = None
    dtype: Dtype = "float32"
    input: str | None = None
    preprocess: str | Preprocess | None = None
    device: str = "cpu"
    logit: bool = True
    straight_through: bool = False
    seed: int = 0
    _read: Inputs | None = field(default=None, init=False)
    _subjects: dict[tuple[bool, Wanted], Subject] = field(
        default_factory=dict[tuple[bool, Wanted], Subject], init=False
    )

    def subject(self, method: Method, target: Wanted) -> Subject:
        """The subject of a method and a target.

        Raises:
            BadInput: inputs or target do not fit.
            NotRunnable: the model cannot be run.
        """
        runs = method.family == "perturbation" and self.dtype == "float32"
        if (runs, target) not in self._subjects:
            made = self._run_only(target) if runs else self._differentiable(target)
            self._read = made.inputs
            self._subjects[runs, target] = made
        return self._subjects[runs, target]

    def _differentiable(self, target: Wanted) -> Subject:
        return prepare(
            self.model,
            self._read or self.inputs,
            target=target,
            layer=self.layer,
            input=self.input,
            preprocess=self.preprocess,
            dtype=self.dtype,
            device=self.device,
            logit=self.logit,
            straight_through=self.straight_through,
            seed=self.seed,
            like=next((made for (runs, _), made in self._subjects.items() if not runs), None),
        )

    def _run_only(self, target: Wanted) -> Subject:
        runtime: Runtime | None = next((s.runtime for (runs, _), s in self._subjects.items() if runs), None)
        return prepare_black_box(
            self.model,
            self._read or self.inputs,
            target=target,
            input=self.input,
            preprocess=self.preprocess,
            device=self.device,
            logit=self.logit,
            seed=self.seed,
            runtime=runtime,
        )
