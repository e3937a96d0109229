"""Which part of the net is affine in the explained value, and need be run only once for many samples?

A straight path stays straight, and a mean of gradients is pulled back as one gradient: both exact in real
arithmetic, so only the rest of the net is run for every step or sample.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.autograd import fast
from inspector.autograd.network import Network
from inspector.autograd.program import Step
from inspector.methods.subject import Subject
from inspector.methods.tail import Tail, differentiate

__all__ = ["Start", "affine_end", "folded", "start_of"]

AFFINE_WITH_WEIGHTS = frozenset({"Conv", "Gemm", "MatMul", "Linear", "ConvTranspose", "BatchNormalization"})
AFFINE_WITH_CONSTANT = frozenset({"Add", "Sub", "Mul", "Identity", "Transpose"})


@dataclass(frozen=True, eq=False)
class Start:
    """The net behind its affine start: `enter` samples, take `gradient` there, `leave` with one pull-back.

    Batches are (k·n, …): all n rows of the first sample, then of the second. `tail` is None where nothing
    can be split off.
    """

    subject: Subject
    tail: Tail | None

    @property
    def per_pass(self) -> int:
        """Samples (of n rows each) that go through the net together."""
        return max(1, self.subject.chunk // self.subject.x.shape[0])

    def enter(self, x: Tensor) -> Tensor:
        """The value behind the affine start, without a gradient."""
        if self.tail is None:
            return x.detach()
        with torch.no_grad():
            return self.tail.from_input(x)

    def score(self, z: Tensor) -> Tensor:
        """Scores of entered rows, without a gradient."""
        with torch.no_grad():
            return self._score(z)

    def gradient(self, z: Tensor) -> Tensor:
        """D score / d z, one pass."""
        z = z.detach().requires_grad_()
        return differentiate(self._score(z), z, self.subject.entry)

    def leave(self, gradient: Tensor) -> Tensor:
        """The gradient at the explained value, (n, …), for one behind the affine start."""
        if self.tail is None:
            return gradient
        x = self.subject.x.detach().requires_grad_()
        return torch.autograd.grad(self.tail.from_input(x), x, gradient)[0]

    def _score(self, z: Tensor) -> Tensor:
        return self.subject.forward(z)[0] if self.tail is None else self.tail.score(z)

    def passes(self, count: int) -> Iterator[range]:
        """0 … count - 1 in pieces of one pass."""
        for first in range(0, count, self.per_pass):
            yield range(first, min(first + self.per_pass, count))


def start_of(subject: Subject, *, exact: bool = False, linear: bool = True) -> Start:
    """The net prepared for many samples: BatchNorm folded and, where only linear combinations of gradients
    are wanted, the affine start split off; nothing of it if `exact`.
    """
    if exact:
        return Start(subject, None)
    subject = folded(subject, chains=True)
    end = affine_end(subject) if linear else None
    return Start(subject, None if end is None else subject.tail(end))


def folded(subject: Subject, *, chains: bool = False) -> Subject:
    """The subject on a net whose constants are computed and whose BatchNorms are merged into convolutions.

    `chains` also joins attention, Gelu and LayerNorm written out; rules that need their parts leave it.
    """
    net, (source, made) = subject.net, subject.folds.get(chains, (None, None))
    if made is None or source is not net:
        held = {key: v.cpu() if isinstance(v, Tensor) else v for key, v in net.weights.items()}
        block, weights = fast.optimised(net.block, held, chains=chains)
        made = Network(block, weights, net.graph, seed=net.seed, straight_through=net.straight_through)
        made = (made.double() if net.dtype == torch.float64 else made).to(net.device).eval()
        for parameter in made.parameters():
            parameter.requires_grad_(False)
        subject.folds[chains] = net, made
    return dataclasses.replace(subject, network=made)


def affine_end(subject: Subject) -> str | None:
    """The last value that is affine in the explained one and stands between it and all the rest."""
    net = subject.net
    steps = [step for step in net.block.steps if step.node.op_type not in ("Shape", "Size")]
    readers = Counter(key for step in steps for key in _reads(step))
    readers.update(key for key in net.block.outputs if key)
    readers[subject.target.value] += 1
    by_input = {key: step for step in steps for key in step.inputs if key}
    key = subject.entry
    while readers[key] == 1 and key in by_input and _is_affine(by_input[key], key, net):
        key = str(by_input[key].outputs[0])
    return None if key == subject.entry or readers[key] == 0 else key


def _is_affine(step: Step, key: str, net: Network) -> bool:
    others = [name for name in step.inputs if name is not None and name != key]
    if any(name not in net.weights for name in others) or sum(bool(o) for o in step.outputs) != 1:
        return False
    if step.node.op_type in AFFINE_WITH_WEIGHTS:
        return step.inputs[0] == key and not step.attributes.get("training_mode")
    moves_rows = step.node.op_type == "Transpose" and (step.attributes.get("perm") or [1])[0] != 0
    return step.node.op_type in AFFINE_WITH_CONSTANT and not moves_rows


def _reads(step: Step) -> list[str]:
    return [key for key in step.inputs if key] + [key for block in step.blocks for key in block.captures]
