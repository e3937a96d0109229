"""Which weights does a pattern name?"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from inspector.errors import UnknownName
from inspector.model import Model, Weight

__all__ = ["select_weights"]


def select_weights(model: Model, select: str | Sequence[str] | None) -> list[Weight]:
    """The weights whose key, name or source name matches one of the glob patterns, in file order.

    Raises:
        UnknownName: a pattern matches nothing; near names are listed.
    """
    weights = list(model.weights.values())
    if select is None:
        return weights
    patterns = [select] if isinstance(select, str) else list(select)
    found: dict[str, Weight] = {}
    for pattern in patterns:
        hits = [w for w in weights if any(fnmatchcase(name, pattern) for name in _names(w))]
        if not hits:
            raise UnknownName.among("weight", pattern, [w.key for w in weights], "Patterns may hold * and ?.")
        found.update((w.key, w) for w in hits)
    return [w for w in weights if w.key in found]


def _names(weight: Weight) -> list[str]:
    return [weight.key, weight.name, *(source.name for source in weight.sources)]
