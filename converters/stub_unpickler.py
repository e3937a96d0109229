"""What does this torch pickle hold, and what would it have called? An unpickler that runs nothing.

An allow-list gives meaning to tensor rebuilders and plain containers; every other name becomes a `Stub`
that records how it would have been made. `Report` lists what a real unpickler would have executed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor, Storage
from converters.pickle_machine import Global, Span, fill

__all__ = [
    "Builder",
    "Call",
    "Handler",
    "Ordered",
    "Report",
    "Storages",
    "Stub",
    "StubHost",
    "Text",
    "preview",
]

_TORCH = ("torch.", "__torch__.")
_KNOWN = frozenset(("torch", "__torch__", "builtins", "__builtin__", "collections", "numpy", "ml_dtypes"))
_MAX_DEPTH = 16
"""Allowed functions that call allowed functions: subclasses of parameters need three."""

MAX_CALLS_KEPT = 1000
"""Calls listed in full; a file with more is hostile and the count says so."""


class Ordered(dict[Any, Any]):
    """An OrderedDict or defaultdict; `state` is what was set on it beside its items."""

    state: object = None


@dataclass(eq=False)
class Stub:
    """An object that was not made: its class (or the function that would return it) and what it was given."""

    path: str
    args: tuple[object, ...] = ()
    kwargs: object = None
    how: str = "call"
    state: object = None
    items: list[object] = field(default_factory=list)
    """List items, or keys and values alternating, in the order stored."""

    @property
    def attributes(self) -> Mapping[Any, Any]:
        """The object's `__dict__` as the file gives it."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
            return {**(state[0] if isinstance(state[0], dict) else {}), **state[1]}
        return state if isinstance(state, dict) else {}


@dataclass(frozen=True)
class Text:
    """Bytes that old protocols write as text: encoded only when asked for."""

    text: str

    def bytes(self) -> bytes:
        """The bytes meant."""
        return self.text.encode("latin-1")


@dataclass(frozen=True)
class Call:
    """Something a real unpickler would have run."""

    path: str
    arguments: str
    how: str

    def sentence(self) -> str:
        """For the user: what this pickle would do."""
        if self.how == "create":
            return f"this pickle would create a {self.path} object"
        return f"this pickle would call {self.path}({self.arguments})"


@dataclass
class Report:
    """What unpickling for real would have executed beyond the allow-list."""

    calls: list[Call] = field(default_factory=list)
    count: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    """Classes of which objects would be created, with their number."""
    names: set[str] = field(default_factory=set)
    """Every name outside the allow-list that the pickle refers to."""

    @property
    def foreign_classes(self) -> list[str]:
        """Classes outside torch: opening for real imports and runs their packages."""
        return [path for path in self.classes if not path.startswith(_TORCH)]

    def sentences(self, limit: int = 20) -> tuple[str, ...]:
        """Every finding, worst first."""
        said = list(dict.fromkeys(call.sentence() for call in self.calls))
        more = [f"and would make {self.count - limit:,} more calls"] if self.count > limit else []
        made = [
            f"this pickle would import {path.rpartition('.')[0]} to create {self.classes[path]:,} × {path}"
            for path in self.foreign_classes
        ]
        told = {path.rpartition(".")[0] for path in (*self.classes, *(call.path for call in self.calls))}
        modules = {name.rpartition(".")[0] for name in self.names} - told
        named = [f"this pickle would import {m}" for m in sorted(modules) if not _is_known(m)]
        return (*said[:limit], *more, *made[:limit], *named[:limit])


class Storages(Protocol):
    """Where tensors of a container get their bytes from."""

    def storage(self, reference: object) -> object:
        """The storage (or container object) behind a persistent reference."""
        ...

    def nested(self, data: object) -> object:
        """The value of a whole torch file embedded as bytes."""
        ...

    def span(self, span: Span) -> Storage:
        """Raw bytes in the pickle itself, as a storage of bytes."""
        ...


Handler = Callable[["StubHost", tuple[Any, ...]], object]
"""What a call of an allowed name means: the host and the arguments in, the value out."""


def _is_known(module: str) -> bool:
    return module in _KNOWN or module.startswith(_TORCH)


class StubHost:
    """Gives the pickle machine's events their meaning; collects tensors and the report."""

    def __init__(self, storages: Storages, handlers: Mapping[str, Handler], copies: int) -> None:
        self.storages = storages
        self.handlers = handlers
        self.report = Report()
        self.tensors: list[LazyTensor] = []
        self._copies_left = copies
        self._depth = 0

    def refer(self, name: Global) -> None:
        """See `converters.pickle_machine.Host`."""
        if name.path not in self.handlers:
            self.report.names.add(name.path)

    def call(self, function: object, args: object, kwargs: object, how: str) -> object:
        """See `converters.pickle_machine.Host`."""
        given = args if isinstance(args, tuple) else (args,)
        if isinstance(function, Global):
            handler = self.handlers.get(function.path) if not kwargs else None
            if handler is not None:
                return self._handled(handler, function.path, given)
            return self.stub(function.path, given, kwargs, how)
        kind = function.path if isinstance(function, Stub) else type(function).__name__
        return self.stub(f"<{kind}>", given, kwargs, "call")

    def _handled(self, handler: Handler, path: str, args: tuple[Any, ...]) -> object:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise BadFile(f"the pickle nests calls of {path} without end")
        try:
            made = handler(self, args)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError) as cause:
            raise BadFile(f"the pickle calls {path}({preview(args)}), which cannot be ({cause})") from None
        self._depth -= 1
        if isinstance(made, LazyTensor):
            self.tensors.append(made)
        return made

    def stub(self, path: str, args: tuple[object, ...], kwargs: object, how: str) -> Stub:
        """Record something that is not run."""
        if path in HARMLESS:
            return Stub(path, args, kwargs, how)
        if how == "create":
            self.report.classes[path] = self.report.classes.get(path, 0) + 1
        else:
            self.report.count += 1
            if len(self.report.calls) < MAX_CALLS_KEPT:
                shown = ", ".join(preview(a) for a in args[:8])
                self.report.calls.append(Call(path, shown, how))
        return Stub(path, args, kwargs, how)

    def build(self, value: object, state: object) -> object:
        """See `converters.pickle_machine.Host`."""
        if isinstance(value, Builder):
            return value.build(self, state)
        if isinstance(value, (Stub, Ordered)):
            value.state = state
        return value

    def append(self, value: object, items: list[object]) -> None:
        """See `converters.pickle_machine.Host`."""
        if not isinstance(value, Stub):
            raise BadFile(f"the pickle appends to a {type(value).__name__}")
        value.items.extend(items)

    def store(self, value: object, items: list[object]) -> None:
        """See `converters.pickle_machine.Host`."""
        if isinstance(value, Ordered):
            fill(value, items)
        elif isinstance(value, Stub):
            value.items.extend(items)
        else:
            raise BadFile(f"the pickle stores keys in a {type(value).__name__}")

    def persistent(self, reference: object) -> object:
        """See `converters.pickle_machine.Host`."""
        return self.storages.storage(reference)

    def pay(self, items: int) -> None:
        """Count copied items, so that a memo read over and over cannot multiply the file."""
        self._copies_left -= items
        if self._copies_left < 0:
            raise BadFile("the pickle copies the same items over and over (memory bomb)")


class Builder(ABC):
    """A value that takes its own state."""

    @abstractmethod
    def build(self, host: StubHost, state: object) -> object:
        """The value after its state was set."""


HARMLESS = frozenset(
    {
        "argparse.Namespace",
        "types.SimpleNamespace",
        "pathlib.Path",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib.PurePosixPath",
        "pathlib.PureWindowsPath",
        "datetime.datetime",
        "datetime.date",
        "datetime.timedelta",
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
        "builtins.slice",
        "builtins.range",
        "builtins.object",
        "__builtin__.xrange",
        "__builtin__.object",
        "functools.partial",
        "torch.Generator",
        "torch._C.Generator",
        "collections.deque",
        "random.Random",
    }
)
"""Names whose call does nothing but make a plain value."""


def preview(value: object, depth: int = 2) -> str:
    """A short text for a value of any size, never longer than a line."""
    if isinstance(value, Global):
        return value.path
    if isinstance(value, Stub):
        return f"{value.path}(…)" if value.args or depth == 0 else f"{value.path}()"
    if isinstance(value, Text):
        return repr(value.text[:60].encode("latin-1", "replace"))
    if isinstance(value, LazyTensor):
        return f"<tensor {value.element.name} {list(value.shape)}>"
    if isinstance(value, (str, bytes)):
        return repr(value) if len(value) <= 160 else f"{value[:150]!r}…"
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return f"{value:#x}"[:150]
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)
    if isinstance(value, (list, tuple)) and depth:
        inner = ", ".join(preview(v, depth - 1) for v in value[:4]) + (", …" if len(value) > 4 else "")
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, dict) and depth:
        shown = [f"{preview(k, 0)}: {preview(value[k], depth - 1)}" for k in islice(value, 4)]
        return "{" + ", ".join(shown) + (", …" if len(value) > 4 else "") + "}"
    return f"<{type(value).__name__}>"
