"""How does the page outlive a crash? Its server is a process of its own, started again when it is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from inspector.errors import InspectorError
from inspector.server.recents import Recents, state_file
from inspector.server.running import Address, serve
from inspector.server.workplace import Workplace

__all__ = ["Start", "keep_serving"]

_PATIENCE = 5.0
_ASKED = frozenset((-signal.SIGINT, -signal.SIGTERM))
"""Ends that somebody wished."""


@dataclass(frozen=True)
class Start:
    """What a server begins with, and begins with again: models, their options, and one input with its id."""

    sources: tuple[str, ...]
    options: dict[str, Any]
    input: str | None
    input_id: str


def keep_serving(
    start: Start,
    bound: socket.socket,
    address: Address,
    ready: Callable[[], None],
    tell: Callable[[str], None],
) -> None:
    """Answer on a bound socket until interrupted. Uploads and runs end with the process that a signal took.

    `ready` is called once, when the models are open; `tell` hears of every new start.

    Raises:
        InspectorError: a model or the input could not be opened, or the process ended without having begun.
    """
    begun = False
    while True:
        with TemporaryDirectory(prefix="inspector-page-", ignore_cleanup_errors=True) as folder:
            ended = _one_life(start, bound, address, Path(folder), ready if not begun else lambda: None)
        if ended >= 0 or ended in _ASKED:
            return
        begun = True
        tell(f"The server was killed by signal {-ended}, perhaps by a job of its own. It starts again.")


def _one_life(
    start: Start, bound: socket.socket, address: Address, folder: Path, ready: Callable[[], None]
) -> int:
    """The exit code of one process; it ends with this one, whose end of a pipe it watches."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(start, bound, address, folder, theirs))
    process.start()
    theirs.close()
    try:
        with closing(ours):
            try:
                fault: InspectorError | None = ours.recv()
            except EOFError:
                raise InspectorError("the server's process ended before it began.") from None
            if fault is not None:
                raise fault
            ready()
            process.join()
    finally:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
    return process.exitcode or 0


def _serve(start: Start, bound: socket.socket, address: Address, folder: Path, line: Connection) -> None:
    with Workplace(folder) as workplace:
        try:
            workplace.first = tuple(workplace.add(source, **start.options) for source in start.sources)
            workplace.recents = Recents(state_file())
            for source in start.sources:
                workplace.recents.add(Path(source))
            if start.input is not None:
                workplace.input = workplace.share(Path(start.input), start.input_id).id
        except InspectorError as fault:
            line.send(fault)
            return
        line.send(None)
        threading.Thread(target=_until_alone, args=(line,), daemon=True).start()
        try:
            serve(workplace, bound, address)
        except KeyboardInterrupt:
            return


def _until_alone(line: Connection) -> None:
    try:
        line.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGINT)
