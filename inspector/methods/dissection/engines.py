"""Where does a pass over a data set run? In this process, or as tasks of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from converters.frameworks import need
from inspector.errors import BadInput, DeviceUnavailable, UnknownName
from inspector.progress import track

__all__ = ["run_parts"]

T = TypeVar("T")

PARTS_A_WORKER = 4
"""Shares of the work for every processor: a killed worker costs one share, which Ray runs again."""

RETRIES = 3


def run_parts(engine: str, work: Callable[[int, int], T], what: str, *, gpu: bool = False) -> list[T]:
    """`work(part, parts)` for every part, in order: one part in this process, several on Ray.

    On Ray a task with `gpu` takes a whole GPU, so that each has one CUDA session.

    Raises:
        UnknownName: an engine that does not exist.
        MissingFramework: Ray is not installed.
        DeviceUnavailable: the cluster cannot be reached or has no GPU.
    """
    if engine == "embedded":
        return [work(0, 1)]
    kind, _, address = engine.partition(":")
    if kind != "ray":
        raise UnknownName.among("engine", engine, ("embedded", "ray", "ray:auto"))
    ray: Any = need("ray", "--engine ray")
    started = not ray.is_initialized()
    if started:
        _join(ray, address)
    try:
        kind_of = "GPU" if gpu else "CPU"
        workers = int(ray.cluster_resources().get(kind_of, 0))
        if not workers:
            raise DeviceUnavailable(
                f"the Ray cluster has no {kind_of}. Add a worker, or choose --device cpu."
            )
        parts = workers * PARTS_A_WORKER
        task = ray.remote(num_cpus=1, num_gpus=int(gpu), max_retries=RETRIES)(_call)
        shared = ray.put(work)
        waiting = [task.remote(shared, part, parts) for part in range(parts)]
        return [_fetch(ray, one) for one in track(waiting, what)]
    finally:
        if started:
            ray.shutdown()


def _call(work: Callable[[int, int], T], part: int, parts: int) -> T:
    return work(part, parts)


def _join(ray: Any, address: str) -> None:
    options = {"address": address} if address else {"include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, ValueError, RuntimeError) as cause:
        raise DeviceUnavailable(f"Ray at {address or 'this machine'} cannot be reached: {cause}.") from None


def _fetch(ray: Any, waiting: Any) -> Any:
    """A task's result; an error that the user can mend comes back as itself."""
    try:
        return ray.get(waiting)
    except ray.exceptions.RayTaskError as fault:
        cause = fault.cause
        if isinstance(cause, BadInput):
            raise cause from None
        raise
