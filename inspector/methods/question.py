"""What is asked about which inputs, and what do runs tell? Target, outputs, shapes, values of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from inspector.autograd.network import Network
from inspector.errors import BadInput, NotRunnable
from inspector.methods.black_box import Runtime
from inspector.methods.layers import outputs_named, trunk
from inspector.methods.surveying import Survey, survey
from inspector.methods.target import Target, score_value, settle_target
from inspector.model import Model

__all__ = ["Lender", "Question"]


@dataclass(frozen=True, eq=False)
class Lender:
    """What the same model was found to be on other inputs of the same shapes.

    ONNX Runtime then gives the values that are wanted; a session pays from the second input on.
    """

    runtime: Runtime
    shapes: Mapping[str, tuple[int, ...]]
    layer: str | None


@dataclass(eq=False)
class Question:
    """The asked target of a net and its inputs; whatever needs a run is settled when it is first wanted.

    `seen` holds what runs over the inputs have told so far, and is shared by the targets of one input.
    """

    model: Model
    network: Network | None
    feeds: Mapping[str, Any]
    entry: str
    asked: int | str | Target | None
    logit: bool = True
    layer: str | None = None
    lender: Lender | None = None
    seen: Survey = field(default_factory=Survey)

    @cached_property
    def target(self) -> Target:
        """The settled target.

        Raises:
            BadInput: an index outside the classes, or an expression that is no scalar.
            UnknownName: no class has this label.
        """
        if isinstance(self.asked, Target):
            return self.asked
        if not any(name in self.seen.values for name in self._outputs):
            self.look()
        outputs = {name: self.seen.values[name] for name in self._outputs if name in self.seen.values}
        return settle_target(self.model, self.asked, outputs, logit=self.logit)

    @property
    def scored(self) -> tuple[str, ...]:
        """Values that tell the score and, until that is settled, the target."""
        if "target" not in self.__dict__ and not isinstance(self.asked, Target):
            return tuple(dict.fromkeys((*self._outputs, self._end)))
        return self._outputs if self.target.expression else (self.target.value,)

    def note(self, values: Mapping[str, Any]) -> None:
        """Keep what a run over these very inputs gave."""
        found = {key: value.detach() for key, value in values.items() if isinstance(value, Tensor)}
        self.seen.values.update(found)

    def look(self) -> None:
        """Run the net over the inputs; the outputs, the explained value and possible layers are kept."""
        if self.network is None or (self.lender is not None and self._looked(self.lender)):
            return
        named = outputs_named(self.layer, self.model)[-1:] if self.layer else []
        kept = {self.entry, self._end, *self._outputs, *([self.layer, *named] if self.layer else ())}
        found = survey(self.network, self.feeds, kept, trunk(self.model, self.entry, self._end))
        self.seen.shapes.update(found.shapes)
        self.seen.values.update(found.values)

    def _looked(self, lender: Lender) -> bool:
        """Ask ONNX Runtime; False where it cannot tell the same in single precision."""
        layer = () if lender.layer is None else (lender.layer,)
        names = tuple(dict.fromkeys((*self._outputs, self._end, *layer)))
        try:
            found = lender.runtime.values(self.feeds, names)
        except (BadInput, NotRunnable):
            return False
        if any(found[name].dtype != torch.float32 for name in (self._end, *layer)):
            return False
        self.seen.shapes.update(lender.shapes)
        self.seen.values.update(found)
        return True

    @property
    def _outputs(self) -> tuple[str, ...]:
        return () if self.network is None else self.network.output_names

    @property
    def _end(self) -> str:
        if isinstance(self.asked, Target):
            return self.asked.value
        return score_value(self.model, self._outputs[0], logit=self.logit)[0]
