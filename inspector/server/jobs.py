"""How does long work run beside the server? Jobs in threads, with progress, cancelling and kept results."""

from __future__ import annotations

import asyncio
import secrets
import time
import traceback
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from inspector.errors import Cancelled, InspectorError, TooLarge, UnknownName
from inspector.progress import Step, listening

__all__ = ["Job", "Jobs"]

State = Literal["waiting", "running", "done", "failed", "cancelled"]

_WORKERS = 4
_KEPT = 64
"""Results of the latest jobs; older finished ones are forgotten."""

_WAITING = 256
_FRAME_PAUSE = 0.25
"""Seconds between two pictures of one job, however often they are asked for."""
_PAUSE = 0.05


@dataclass(eq=False)
class Job:
    """One piece of work; only its own thread writes to it, except for `stop`."""

    id: str
    what: str
    state: State = "waiting"
    step: Step | None = None
    result: Any = None
    error: str = ""
    stop: bool = field(default=False, repr=False)
    frame: Any = field(default=None, repr=False)
    """What the work had made when last looked at, (h, w, 3) uint8, or None."""
    watched: bool = field(default=False, repr=False)
    """Somebody has asked for a picture since the last one was taken."""
    _taken: float = field(default=0.0, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """What the page shows of it."""
        step = self.step.to_dict() if self.step is not None else None
        return {"job": self.id, "what": self.what, "state": self.state, "step": step, "error": self.error}

    def listen(self, step: Step) -> None:
        """Take a step of the work, or end it where the user asked so."""
        if self.stop:
            if self.frame is not None and step.picture is not None:
                self.frame = step.picture()  # what was watched stays as far as it came
            raise Cancelled(f"{self.what} was stopped.")
        self.step = step
        if self.watched and step.picture is not None and time.monotonic() - self._taken >= _FRAME_PAUSE:
            self.frame, self.watched, self._taken = step.picture(), False, time.monotonic()


class Jobs:
    """The jobs of one server; `worded` rewrites what the user is told of a fault."""

    def __init__(self, worded: Callable[[str], str] = str) -> None:
        self._worded = worded
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="job")
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def start(self, what: str, work: Callable[[], Any]) -> Job:
        """Run `work` in a thread.

        Raises:
            TooLarge: too many jobs wait already.
        """
        open_jobs = [job for job in self._jobs.values() if job.state in ("waiting", "running")]
        if len(open_jobs) >= _WAITING:
            raise TooLarge(f"{len(open_jobs)} jobs wait already. Cancel some, or come back later.")
        job = Job(secrets.token_urlsafe(12), what)
        self._jobs[job.id] = job
        self._forget()
        self._pool.submit(_run, job, work, self._worded)
        return job

    def find(self, identity: str) -> Job:
        """The job with this id; UnknownName once it is forgotten."""
        if identity not in self._jobs:
            raise UnknownName("no such job: it never was, or its result has been forgotten. Start it again.")
        return self._jobs[identity]

    async def events(self, job: Job) -> AsyncIterator[dict[str, Any]]:
        """Its states as they change, the last one included."""
        shown: tuple[Any, ...] = ()
        while True:
            now = (job.state, job.step)
            if now != shown:
                shown = now
                yield job.to_dict()
            if now[0] in ("done", "failed", "cancelled"):
                return
            await asyncio.sleep(_PAUSE)

    def close(self) -> None:
        """Ask every job to stop."""
        for job in self._jobs.values():
            job.stop = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _forget(self) -> None:
        ended = [key for key, job in self._jobs.items() if job.state in ("done", "failed", "cancelled")]
        for key in ended[: max(0, len(self._jobs) - _KEPT)]:
            del self._jobs[key]


def _run(job: Job, work: Callable[[], Any], worded: Callable[[str], str]) -> None:
    if job.stop:
        job.state = "cancelled"
        return
    job.state = "running"
    try:
        with listening(job.listen):
            job.result = work()
    except Cancelled as stopped:
        job.error, job.state = str(stopped), "cancelled"
    except InspectorError as fault:  # a sheet of methods tells the stop as the reason of each refusal
        job.error, job.state = worded(str(fault)), "cancelled" if job.stop else "failed"
    except MemoryError as fault:
        job.error, job.state = f"memory ran out ({fault}): use a smaller batch or input", "failed"
    except Exception as fault:  # noqa: BLE001  # a job that breaks must not take the server with it
        traceback.print_exc()
        job.error, job.state = worded(f"internal error: {type(fault).__name__}: {fault}"), "failed"
    else:
        job.state = "done"
