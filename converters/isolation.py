"""Run one piece of framework work in a fresh child process: limited, locked down, cancellable.

The request goes in as JSON, progress and the answer come back as JSON lines on a private pipe, files
appear in a folder that the caller owns. Nothing is pickled between the two.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from converters import errors
from converters.errors import ConversionFailed, InspectorError

__all__ = ["Answer", "Limits", "run"]

_ROOT = Path(__file__).resolve().parent.parent
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from converters.child import main; main(*map(int, sys.argv[2:]))"
)
_POLL_SECONDS = 0.05
_KEPT_LINES = 40
_KEPT_MESSAGES = 1000
_LONGEST_MESSAGE = 1 << 20
"""A child gone wild must not fill the memory of its parent."""

GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What the child may use: seconds of wall time, bytes of private memory, bytes in one written file."""

    seconds: float = 600.0
    memory: int = 8 * GIB
    file_size: int = 64 * GIB


@dataclass(frozen=True)
class Answer:
    """What the child returned, and which locks were in force while it worked."""

    values: Mapping[str, Any]
    locks: tuple[str, ...] = ()
    seconds: float = 0.0
    log: str = field(default="", repr=False)


def run(
    task: str,
    request: Mapping[str, Any],
    folder: Path,
    *,
    limits: Limits | None = None,
    locked: bool = True,
    readable: Sequence[Path] = (),
    progress: Callable[[str], None] | None = None,
) -> Answer:
    """Run a task of `converters.child` on a JSON-able request; its files are written below `folder`.

    `locked=False` is for code the user vouched for: limits hold, but it may read and write as the user.
    Any exception here, also `KeyboardInterrupt` or one raised by `progress`, kills the child at once.

    Raises:
        ConversionFailed: time or memory ran out, the child crashed, or the framework refused the model.
        InspectorError: whatever the task itself raised.
    """
    bounds = limits or Limits()
    envelope = {
        "task": task,
        "request": dict(request),
        "folder": str(folder.resolve()),
        "locked": locked,
        "readable": [str(path.resolve()) for path in readable],
        "memory": bounds.memory,
        "file_size": bounds.file_size,
        "path": [] if locked else [*filter(None, sys.path), str(Path.cwd())],
    }
    began = time.monotonic()
    answers, writer = os.pipe()
    child: subprocess.Popen[bytes] | None = None
    with open(answers, "rb") as lines:
        try:
            with _interrupts_held():
                try:
                    child = _start(folder, writer)
                finally:
                    os.close(writer)
            return _follow(child, lines, envelope, bounds, began, progress)
        finally:
            if child is not None:
                _kill(child)


@contextlib.contextmanager
def _interrupts_held() -> Generator[None]:
    """Let Ctrl-C wait while a child is being started: one that nobody knows of could not be killed."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(folder: Path, writer: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _START, str(_ROOT), str(writer), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        pass_fds=(writer,),
        start_new_session=True,
    )


def _follow(
    child: subprocess.Popen[bytes],
    lines: IO[bytes],
    envelope: Mapping[str, Any],
    bounds: Limits,
    began: float,
    progress: Callable[[str], None] | None,
) -> Answer:
    log: deque[str] = deque(maxlen=_KEPT_LINES)
    inbox: deque[dict[str, Any]] = deque(maxlen=_KEPT_MESSAGES)
    assert child.stdin is not None
    assert child.stdout is not None
    readers = [
        threading.Thread(target=_collect_log, args=(child.stdout, log), daemon=True),
        threading.Thread(target=_collect_answers, args=(lines, inbox), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        child.stdin.write(json.dumps(envelope).encode())
        child.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; its exit status and log say why
    while child.poll() is None:
        _deliver(inbox, progress)
        if time.monotonic() - began > bounds.seconds:
            raise ConversionFailed(
                f"{envelope['task']}: stopped after {bounds.seconds:g} s, the time limit. "
                "Give it more time or a smaller input shape."
            )
        time.sleep(_POLL_SECONDS)
    for reader in readers:
        reader.join(timeout=5)
    final = _deliver(inbox, progress)
    return _answer(child.returncode, final, "\n".join(log), envelope, time.monotonic() - began)


def _deliver(inbox: deque[dict[str, Any]], progress: Callable[[str], None] | None) -> dict[str, Any] | None:
    """Hand progress lines to the listener; the answer or the error, if it is there, is returned."""
    while inbox:
        message = inbox[0]
        if "progress" not in message:
            return message
        inbox.popleft()
        if progress is not None:
            progress(str(message["progress"]))
    return None


def _answer(
    status: int, final: dict[str, Any] | None, log: str, envelope: Mapping[str, Any], seconds: float
) -> Answer:
    if final is not None and isinstance(final.get("answer"), dict):
        return Answer(final["answer"], tuple(map(str, final.get("locks", ()))), seconds, log)
    if final is not None and "error" in final:
        kind = getattr(errors, str(final["error"]), ConversionFailed)
        if not (isinstance(kind, type) and issubclass(kind, InspectorError)):
            kind = ConversionFailed
        raise kind(str(final.get("message", "")))
    task, memory = envelope["task"], envelope["memory"] / GIB
    if "MemoryError" in log or "bad_alloc" in log or "Cannot allocate memory" in log:
        raise ConversionFailed(f"{task}: needs more than {memory:.3g} GiB, the memory limit.\n{log}")
    reason = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    raise ConversionFailed(f"{task}: the child process ended without an answer ({reason}).\n{log}".rstrip())


def _collect_log(stream: IO[bytes], log: deque[str]) -> None:
    for line in iter(lambda: stream.readline(4096), b""):
        log.append(line.decode(errors="replace").rstrip())


def _collect_answers(stream: IO[bytes], inbox: deque[dict[str, Any]]) -> None:
    for line in iter(lambda: stream.readline(_LONGEST_MESSAGE), b""):
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict):
            inbox.append(message)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the whole process group of the child and reap it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None and not stream.closed:
            try:
                stream.close()
            except BrokenPipeError:
                continue
