"""Has the user pressed Ctrl-C? Whatever fails after that, also in a library that was loading, means stop."""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["is_heard", "listen"]

_heard: list[int] = []


def listen() -> None:
    """From now on remember Ctrl-C besides raising KeyboardInterrupt, where Python would raise it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _hear)


def is_heard() -> bool:
    """Whether it was pressed since `listen`."""
    return bool(_heard)


def _hear(number: int, frame: FrameType | None) -> None:
    _heard.append(number)
    raise KeyboardInterrupt
