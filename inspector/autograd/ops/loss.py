"""Training losses."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.autograd.registry import operator

__all__: list[str] = []


@operator("NegativeLogLikelihoodLoss", since=12)
@operator("NegativeLogLikelihoodLoss", since=13)
@operator("NegativeLogLikelihoodLoss", since=22)
def nll_loss(
    log_p: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int | None, reduction: str
) -> Tensor:
    target = target.long()
    kept = torch.ones_like(target, dtype=torch.bool) if ignore_index is None else target != ignore_index
    chosen = torch.where(kept, target, torch.zeros_like(target))
    loss = -torch.gather(log_p, 1, chosen.unsqueeze(1)).squeeze(1)
    each = torch.ones_like(loss) if weight is None else weight[chosen]
    each = torch.where(kept, each, torch.zeros_like(each))
    loss = torch.where(kept, loss, torch.zeros_like(loss)) * each
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / each.sum()


@operator("SoftmaxCrossEntropyLoss", since=12)
@operator("SoftmaxCrossEntropyLoss", since=13)
def softmax_cross_entropy_loss(
    scores: Tensor, labels: Tensor, weight: Tensor | None = None, *, ignore_index: int | None, reduction: str
) -> tuple[Tensor, Tensor]:
    log_p = torch.log_softmax(scores, 1)
    return nll_loss(log_p, labels, weight, ignore_index=ignore_index, reduction=reduction), log_p
