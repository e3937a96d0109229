"""What sets the class apart from those most like it? Finer-CAM, Grad-CAM of a difference of scores."""

from __future__ import annotations

import torch

from inspector.errors import BadInput
from inspector.methods.cams.weighting import as_places, finish, weighted_map
from inspector.methods.registry import Map, method
from inspector.methods.subject import Subject
from inspector.methods.tail import differentiate
from inspector.methods.target import class_scores

__all__ = ["finer_cam"]


@method(
    "finer-cam",
    family="cams",
    paper="arXiv:2501.11309",
    unit="score",
    needs=("gradient", "layer"),
    cost="1 forward, 2 tail forwards, 1 tail backward",
)
def finer_cam(subject: Subject, *, classes: int = 3, strength: float = 1.0, rectified: bool = True) -> Map:
    """Grad-CAM of the class's score minus `strength` times the mean score of similar classes (section 3.2).

    Similar are the `classes` whose score at this input is nearest to the target's. strength=0 is Grad-CAM.

    Raises:
        BadInput: the target is an expression, or the model has a single class.
    """
    target = subject.target
    if target.index is None:
        raise BadInput("finer-cam compares classes: give the target as a class, not as an expression.")
    tail = subject.tail(subject.layer.key)
    activations = tail.activations
    with torch.no_grad():
        scores = class_scores(tail.values(activations)[target.value], target.value)
    count = min(classes, scores.shape[1] - 1)
    if count < 1:
        raise BadInput(
            f"finer-cam needs other classes to compare with: {scores.shape[1]} class, {classes} asked."
        )
    away = (scores - scores[:, target.index, None]).abs()
    away[:, target.index] = torch.inf
    similar = away.topk(count, largest=False).indices
    leaf = activations.detach().requires_grad_()
    again = class_scores(tail.values(leaf)[target.value], target.value)
    apart = again[:, target.index] - strength * again.gather(1, similar).mean(1)  # eq. 4
    gradient = as_places(differentiate(apart, leaf, tail.layer), subject)
    weights = gradient.mean((2, 3), keepdim=True)
    named = ", ".join(str(index) for index in similar[0].tolist())
    return finish(
        weighted_map(weights, as_places(activations, subject)),
        subject,
        rectified=rectified,
        notes=(f"Compared with the classes {named}.",),
    )
