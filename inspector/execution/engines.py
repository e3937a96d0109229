"""Where does a pass over a data set run? In this process, or as tasks of a Ray cluster."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from converters.frameworks import need
from inspector.errors import DeviceUnavailable, InspectorError, UnknownName
from inspector.progress import report

__all__ = ["run_each", "run_parts"]

T = TypeVar("T")
Item = TypeVar("Item")

PARTS_A_WORKER = 4
"""Shares of the work for every processor: a killed worker costs one share, which Ray runs again."""

AHEAD = 2
"""Tasks for every processor that wait in the cluster, so that results are fetched as they are used."""

RETRIES = 3

PATIENCE = 10
"""Seconds for a cluster's address to answer."""


def run_each(
    engine: str, work: Callable[[Item], T], items: Iterable[Item], what: str, *, gpu: bool = False
) -> Iterator[T]:
    """`work(item)` for every item, in order. `engine` is "embedded" (this process), "ray" (a cluster on this
    machine, "ray:2" with two workers) or "ray:ADDRESS" (one that runs).

    On Ray a task with `gpu` takes a whole GPU, so that each has one CUDA session. Who stops early, stops
    the tasks.

    Raises:
        UnknownName: an engine that does not exist.
        MissingFramework: Ray is not installed.
        DeviceUnavailable: the cluster cannot be reached or has no GPU.
    """
    if engine == "embedded":
        yield from map(work, items)
        return
    with _joined(engine, gpu=gpu) as cluster:
        yield from cluster.spread(work, list(items), what)


def run_parts(engine: str, work: Callable[[int, int], T], what: str, *, gpu: bool = False) -> list[T]:
    """`work(part, parts)` for every part, in order: one part in this process, several on Ray (see above)."""
    if engine == "embedded":
        return [work(0, 1)]
    with _joined(engine, gpu=gpu) as cluster:
        parts = cluster.workers * PARTS_A_WORKER
        return list(cluster.spread(_Part(work, parts), list(range(parts)), what))


@dataclass(frozen=True)
class _Part(Generic[T]):
    work: Callable[[int, int], T]
    parts: int

    def __call__(self, part: int) -> T:
        return self.work(part, self.parts)


@dataclass(frozen=True)
class _Cluster:
    ray: Any
    workers: int
    gpu: bool

    def spread(self, work: Callable[[Item], T], items: list[Item], what: str) -> Iterator[T]:
        """Results in the order of the items, a few tasks ahead."""
        task = self.ray.remote(num_cpus=1, num_gpus=int(self.gpu), max_retries=RETRIES)(_call)
        shared = self.ray.put(work)
        waiting: deque[Any] = deque()
        left = iter(items)
        try:
            for done in range(len(items)):
                for item in left:
                    waiting.append(task.remote(shared, item))
                    if len(waiting) >= AHEAD * self.workers:
                        break
                report(what, done, len(items))
                yield self._fetch(waiting[0])
                waiting.popleft()
            report(what, len(items), len(items))
        finally:
            for one in waiting:
                self.ray.cancel(one, force=True)

    def _fetch(self, waiting: Any) -> Any:
        """A task's result; an error that the user can mend comes back as itself."""
        try:
            return self.ray.get(waiting)
        except self.ray.exceptions.RayTaskError as fault:
            if isinstance(fault.cause, InspectorError):
                raise fault.cause from None
            raise


def _call(work: Callable[[Item], T], item: Item) -> T:
    return work(item)


@contextmanager
def _joined(engine: str, *, gpu: bool) -> Generator[_Cluster]:
    """The cluster, started for this work alone where none was joined before."""
    kind, _, address = engine.partition(":")
    if kind != "ray":
        raise UnknownName.among("engine", engine, ("embedded", "ray", "ray:auto"))
    ray: Any = need("ray", "--engine ray")
    started = not ray.is_initialized()
    if started:
        _join(ray, address)
    try:
        resource = "GPU" if gpu else "CPU"
        workers = int(ray.cluster_resources().get(resource, 0))
        if not workers:
            raise DeviceUnavailable(
                f"the Ray cluster has no {resource}. Add a worker, or choose --device cpu."
            )
        yield _Cluster(ray, workers, gpu)
    finally:
        if started:
            ray.shutdown()


def _join(ray: Any, address: str) -> None:
    _knock(address)
    options: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
    if address.isdecimal():
        options = {"num_cpus": max(1, int(address)), "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, ValueError, RuntimeError) as cause:
        raise DeviceUnavailable(f"Ray at {address or 'this machine'} cannot be reached: {cause}.") from None


def _knock(address: str) -> None:
    """Tell at once that nobody answers at HOST:PORT; Ray itself would wait for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except (OSError, ValueError, OverflowError) as cause:
        raise DeviceUnavailable(f"Ray at {address} cannot be reached: {cause}.") from None
