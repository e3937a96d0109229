"""Which values does a name, a pattern or a layer mean?"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from inspector.errors import UnknownName
from inspector.model import Model, Node

__all__ = ["layer_values", "select_values"]


def select_values(model: Model, wanted: str | Iterable[str]) -> tuple[str, ...]:
    """Keys of computed values in graph order: "all", names, globs over value keys, or layers.

    A pattern that matches no value is tried on node keys and on scopes (`features/3` or `features.3`).
    Stored constants are left out unless named exactly.

    Raises:
        UnknownName: a pattern matches nothing.
    """
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    computed = _computed(model)
    found: set[str] = set()
    for pattern in patterns:
        if pattern in ("all", "*"):
            return tuple(computed)
        if pattern in model.values:
            found.add(pattern)
            continue
        hits = [key for key in computed if fnmatchcase(key, pattern)] or list(layer_values(model, pattern))
        if not hits:
            raise UnknownName.among("value or layer", pattern, [*computed, *scopes(model)])
        found.update(hits)
    ordered = [key for key in computed if key in found]
    return (*ordered, *sorted(found.difference(ordered)))


def layer_values(model: Model, layer: str) -> tuple[str, ...]:
    """Outputs of the nodes whose key, name or scope matches a name or glob; () when none does."""
    spelled = layer.replace(".", "/")
    hits = [node for node in model.nodes.values() if _is(node, layer, spelled) and node.op != "Constant"]
    return tuple(key for node in hits for key in node.outputs if key)


def scopes(model: Model) -> list[str]:
    """Every recorded scope, once."""
    return list(dict.fromkeys(node.scope for node in model.nodes.values() if node.scope))


def _is(node: Node, layer: str, spelled: str) -> bool:
    if fnmatchcase(node.key, layer) or fnmatchcase(node.proto.name, layer):
        return True
    scope = node.scope.replace(".", "/")
    return bool(scope) and (fnmatchcase(scope, spelled) or scope.startswith(spelled.rstrip("/") + "/"))


def _computed(model: Model) -> list[str]:
    return [key for node in model.nodes.values() if node.op != "Constant" for key in node.outputs if key]
