"""Which places keep the score up when the rest is hidden at random? RISE."""

from __future__ import annotations

import torch
from torch import Tensor

from inspector.errors import BadInput
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject
from inspector.progress import track

__all__ = ["random_masks", "rise"]


@method("rise", family="perturbation", paper="arXiv:1806.07421", unit="mean score", cost="`masks` forwards")
def rise(subject: Subject, *, masks: int = 1000, cells: int = 7, keep: float = 0.5) -> Map:
    """The mean score over random smooth masks that show a place, divided by how often they do (eq. 6).

    Raises:
        BadInput: the input is no picture.
    """
    x = subject.x
    if x.ndim != 4:
        raise BadInput("rise hides parts of pictures (n, c, h, w). Use feature-ablation or kernel-shap.")
    size = (x.shape[2], x.shape[3])
    total = x.new_zeros((x.shape[0], *size))
    singles = [subject.row(i) for i in range(x.shape[0])]
    generator = torch.Generator().manual_seed(subject.seed)
    for first in track(range(0, masks, 16), "Masking", -(-masks // 16)):
        drawn = random_masks(min(16, masks - first), size, cells, keep, generator).to(x)
        for row, one in enumerate(singles):
            scores = one.score(one.x * drawn[:, None])
            total[row] += (scores[:, None, None] * drawn).sum(0)
    return Map(total / (keep * masks), ("n", "h", "w"), baseline="zero")


def random_masks(
    count: int, size: tuple[int, int], cells: int, keep: float, generator: torch.Generator
) -> Tensor:
    """Masks (count, h, w) of 0 … 1: coarse random cells, enlarged bilinearly and shifted (section 3.2)."""
    steps = tuple(-(-side // cells) for side in size)
    coarse = (torch.rand(count, 1, cells + 1, cells + 1, generator=generator) < keep).float()
    fine = torch.nn.functional.interpolate(
        coarse, ((cells + 1) * steps[0], (cells + 1) * steps[1]), mode="bilinear", align_corners=False
    )[:, 0]
    found: list[Tensor] = []
    for mask in fine:
        top, left = (int(torch.randint(step, (), generator=generator)) for step in steps)
        found.append(mask[top : top + size[0], left : left + size[1]])
    return torch.stack(found)
