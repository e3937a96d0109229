"""How far is a long piece of work, and does the user still want it?

Code that takes more than a second wraps its loop in `track`. Whoever started the work (the command
line, the server, a notebook) listens by `listening`; without a listener nothing is shown. A listener
that raises `inspector.errors.Cancelled` stops the work at its next step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["Step", "listening", "report", "track"]

T = TypeVar("T")
Picture = Callable[[], Any]
"""Gives what the work has made so far, (h, w, 3) uint8; called in the working thread, and only if wanted."""


@dataclass(frozen=True)
class Step:
    """One moment of a piece of work; `total` is None while unknown, `done == total` ends it."""

    what: str
    done: int
    total: int | None
    picture: Picture | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The step as JSON-able data; of the picture only whether there is one."""
        pictured = self.picture is not None
        return {"what": self.what, "done": self.done, "total": self.total, "picture": pictured}


_listener: ContextVar[Callable[[Step], None] | None] = ContextVar("progress listener", default=None)


def track(
    items: Iterable[T], what: str, total: int | None = None, *, picture: Picture | None = None
) -> Iterator[T]:
    """Yield the items, reporting before each one how many are done, and what there is to see."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # pyright: ignore[reportArgumentType]  # checked by hasattr
    done = 0
    for item in items:
        report(what, done, total, picture)
        yield item
        done += 1
    report(what, done, done, picture)


def report(what: str, done: int, total: int | None = None, picture: Picture | None = None) -> None:
    """Tell the listener, if any, where a piece of work stands."""
    listener = _listener.get()
    if listener is not None:
        listener(Step(what, done, total, picture))


@contextmanager
def listening(listener: Callable[[Step], None]) -> Generator[None]:
    """Send every step of the work done inside this block to the listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
