"""How far is a long piece of work, and does the user still want it?

Code that takes more than a second wraps its loop in `track`. Whoever started the work (the command
line, the server, a notebook) listens by `listening`; without a listener nothing is shown. A listener
that raises `inspector.errors.Cancelled` stops the work at its next step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Step", "listening", "report", "track"]

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One moment of a piece of work; `total` is None while unknown, `done == total` ends it."""

    what: str
    done: int
    total: int | None


_listener: ContextVar[Callable[[Step], None] | None] = ContextVar("progress listener", default=None)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield the items, reporting before each one how many are done."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # pyright: ignore[reportArgumentType]  # checked by hasattr
    done = 0
    for item in items:
        report(what, done, total)
        yield item
        done += 1
    report(what, done, done)


def report(what: str, done: int, total: int | None = None) -> None:
    """Tell the listener, if any, where a piece of work stands."""
    listener = _listener.get()
    if listener is not None:
        listener(Step(what, done, total))


@contextmanager
def listening(listener: Callable[[Step], None]) -> Generator[None]:
    """Send every step of the work done inside this block to the listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
