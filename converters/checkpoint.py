"""Which tensors of a checkpoint are the model's weights, and what else lies beside them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from converters.errors import BadFile
from converters.lazy_tensor import Composite, LazyTensor
from converters.stub_unpickler import Stub, preview
from converters.torch_rebuilders import quantiser_text
from converters.weight_graph import NamedTensor

__all__ = ["Checkpoint", "leaves", "weights_of"]

PREFERRED = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "modelState",
    "model_weights",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
)
"""Keys under which training scripts keep the model, the most telling first."""

_TRAINING = ("scheduler", "lr_schedulers", "amp", "scaler", "grad_scaler", "loops", "callbacks")
MAX_DEPTH = 200
MAX_LEAVES = 2_000_000
_MAX_SAID = 12

Path = tuple[str, ...]


@dataclass(frozen=True)
class Checkpoint:
    """The weights by name, and sentences about everything that is not among them."""

    weights: tuple[NamedTensor, ...]
    notes: tuple[str, ...]


def weights_of(value: Any) -> Checkpoint:
    """Find the state_dict inside a checkpoint; its names lose the prefix, those of other tensors keep it."""
    tensors: list[tuple[Path, LazyTensor]] = []
    others: list[tuple[Path, object]] = []
    notes: list[str] = []
    for path, leaf in leaves(value):
        if isinstance(leaf, LazyTensor):
            tensors.append((path, leaf))
        elif isinstance(leaf, Composite):
            notes.append(f"{_name(path)} is a {leaf.kind} tensor{_shape(leaf)}, listed by its parts")
        else:
            others.append((path, leaf))
    training = [(path, tensor) for path, tensor in tensors if _is_training(path)]
    kept = [(path, tensor) for path, tensor in tensors if not _is_training(path)] or tensors
    empty = [path for path, tensor in kept if tensor.storage is None]
    prefix = _model_prefix(value, [path for path, _ in kept])
    weights = [
        (_name(path[len(prefix) :] if path[: len(prefix)] == prefix else path), tensor)
        for path, tensor in kept
        if tensor.storage is not None
    ]
    if prefix:
        notes.append(f"the weights were found under {_name(prefix)!r}")
    if training and kept is not tensors:
        size = sum(tensor.nbytes for _, tensor in training)
        notes.append(
            f"not shown: {len(training)} tensors of training state ({size:,} bytes), such as "
            f"{_name(training[0][0])}"
        )
    if empty:
        notes.append(f"{len(empty)} tensors carry no values (device meta), such as {_name(empty[0])}")
    notes += _quantised(weights)
    notes += _content(others)
    return Checkpoint(tuple(weights), tuple(notes))


def leaves(value: Any) -> Iterator[tuple[Path, object]]:
    """Every tensor and plain value with its path; what occurs twice is listed once.

    Raises:
        BadFile: nested or spread beyond all measure.
    """
    seen: set[int] = set()
    pending: list[tuple[Path, object]] = [((), value)]
    count = 0
    while pending:
        path, item = pending.pop()
        if isinstance(item, _CONTAINERS):
            if id(item) in seen:
                continue
            seen.add(id(item))
        inner = _children(item)
        if inner is None or isinstance(item, Composite):
            yield path, item
        count += 1 + len(inner or ())
        if count > MAX_LEAVES:
            raise BadFile(f"more than {MAX_LEAVES:,} values lie in the file")
        if len(path) > MAX_DEPTH:
            raise BadFile(f"values are nested more than {MAX_DEPTH} deep")
        pending += [((*path, key) if key else path, child) for key, child in reversed(inner or ())]


_CONTAINERS = (dict, list, tuple, Stub, Composite)


def _children(item: object) -> list[tuple[str, object]] | None:
    """Named parts of a container; None for a leaf, also for a list of plain values."""
    if isinstance(item, dict):
        return [(_key(key), child) for key, child in item.items()]
    if isinstance(item, (list, tuple)):
        plain = all(child is None or isinstance(child, (bool, int, float, str)) for child in item)
        return None if plain else [(str(index), child) for index, child in enumerate(item)]
    if isinstance(item, Composite):
        return list(item.parts.items())
    if isinstance(item, Stub):
        state = [(_key(key), child) for key, child in item.attributes.items()]
        given = [*item.args, *item.items, *([] if state else [item.state])]
        return [*state, *((str(i), child) for i, child in enumerate(given) if child is not None)]
    return None


def _key(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("latin-1")
    return key if isinstance(key, str) else preview(key, 1)


def _name(path: Path) -> str:
    return ".".join(path)


def _shape(tensor: Composite) -> str:
    return f" of shape {list(tensor.shape)}" if tensor.shape else ""


def _is_training(path: Path) -> bool:
    outer = [part.lower() for part in path[:-1][:3]]
    return any(part.startswith(("optim", "rng")) or part in _TRAINING for part in outer)


def _model_prefix(value: Any, paths: Sequence[Path]) -> Path:
    """The path of the dictionary that is the model's state, or () for the whole file."""
    prefix: Path = ()
    while isinstance(value, dict):
        at = len(prefix)
        below = [path for path in paths if path[:at] == prefix]
        held = {path[at] for path in below if len(path) > at + 1}
        key = next((key for key in PREFERRED if key in held and isinstance(value.get(key), dict)), None)
        if key is None or any(len(path) == at + 1 for path in below):
            break
        prefix, value = (*prefix, key), value[key]
    return prefix


def _quantised(weights: Sequence[NamedTensor]) -> list[str]:
    said = [f"{name}: {text}" for name, tensor in weights if (text := quantiser_text(tensor.extra))]
    return [f"quantised: {'; '.join(said[:_MAX_SAID])}{' …' * (len(said) > _MAX_SAID)}"] if said else []


def _content(others: Sequence[tuple[Path, object]]) -> list[str]:
    """One sentence on what else the file holds."""
    said = [f"{_name(path)} = {preview(leaf)}" for path, leaf in others if path and "_metadata" not in path]
    if not said:
        return []
    more = f" and {len(said) - _MAX_SAID} more" if len(said) > _MAX_SAID else ""
    return [f"also in the file: {', '.join(said[:_MAX_SAID])}{more}"]
