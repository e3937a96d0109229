"""What is in a tensor of a model or a run? Statistics, parts as raw bytes, a file, and differences of two."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inspector.errors import BadInput, UnknownName
from inspector.server.jobs import Job, Jobs
from inspector.server.workplace import Workplace
from inspector.workbench import Reading, pictured, read_tensor, summary_of, usual_order

__all__ = ["tensor_routes"]

Array = np.ndarray[Any, np.dtype[Any]]

_BYTES = "application/octet-stream"
_VIEWS = ("summary", "data", "maps", "look", "npy")
_MAPS = 64
_NUMBERS = "biufc"
"""NumPy's kinds that can be subtracted; narrow floats of ONNX become float32 first."""


def tensor_routes(workplace: Workplace, jobs: Jobs) -> list[Route]:
    """`GET /api/tensors/{models|runs|jobs}/{id}/{summary|data|maps|look|npy}` with these parameters.

    `key` names the weight, value or array of a job's answer, `index` a part of it (data only), `order` its
    axes in another order, as in `0,2,3,1`. `minus` is the id of another model or run: the answer is then the
    difference from its tensor `minus_key` ("" for the same key), element by element after `order`; a tensor
    with as many elements takes the other's shape.

    `maps` are raw bytes too, (maps, h, w), with their numbers in `x-maps`: the first 64, or with `ranked`,
    the XX
    """

    async def answer(request: Request) -> Response:
        return await run_in_threadpool(lambda: _answer(workplace, jobs, request))

    return [Route("/api/tensors/{kind}/{id}/{what}", answer)]


def _answer(workplace: Workplace, jobs: Jobs, request: Request) -> Response:
    what, asked = request.path_params["what"], request.query_params
    if what not in _VIEWS:
        raise UnknownName.among("view of a tensor", what, _VIEWS)
    identity, minus = request.path_params["id"], asked.get("minus", "")
    array = _asked(workplace, jobs, request, identity, minus)
    if what == "summary":
        return JSONResponse(summary_of(array))
    if what == "npy":
        return Response(_npy(array), media_type=_BYTES)
    if what == "data":
        return _raw(read_tensor(array, asked.get("index", "")))
    told = {"x-summary": json.dumps(summary_of(array))} if what == "look" else {}
    if what == "look" and array.dtype.kind in "OSU":
        return Response(b"", media_type=_BYTES, headers=told)
    order = range(array.ndim) if asked.get("order") else usual_order(array.shape)
    by = asked.get("ranked", "")
    ranking = array if by in ("", identity) else _asked(workplace, jobs, request, by, "")
    if ranking.shape != array.shape:
        raise BadInput(f"maps of {list(array.shape)} cannot be ranked by those of {list(ranking.shape)}.")
    maps, numbers = pictured(array.transpose(order), _MAPS, ranking.transpose(order) if by else None)
    told |= {"x-maps": ",".join(map(str, numbers)), "x-order": ",".join(map(str, order))}
    return _raw(read_tensor(maps), told)


def _raw(read: Reading, told: Mapping[str, str] | None = None) -> Response:
    headers = {"x-dtype": read.dtype, "x-shape": ",".join(map(str, read.shape)), "x-stored": read.stored}
    return Response(read.data, media_type=_BYTES, headers=headers | dict(told or {}))


def _asked(workplace: Workplace, jobs: Jobs, request: Request, identity: str, minus: str) -> Array:
    kind, asked = request.path_params["kind"], request.query_params
    key = asked.get("key", "")
    array = _array(workplace, jobs, kind, identity, key)
    if asked.get("order"):
        array = _laid(array, asked["order"])
    if not minus:
        return array
    return _difference(array, _array(workplace, jobs, kind, minus, asked.get("minus_key") or key))


def _array(workplace: Workplace, jobs: Jobs, kind: str, identity: str, key: str) -> Array:
    if kind == "runs":
        run = workplace.find_run(identity)
        with run.lock:
            return run.capture[key]
    if kind == "jobs":
        return _made(jobs.find(identity), key)
    if kind != "models":
        raise UnknownName.among("source of tensors", kind, ("models", "runs", "jobs"))
    return workplace.model(identity).weight(key).array()


def _made(job: Job, key: str) -> Array:
    if job.state != "done":
        raise UnknownName("this job has no answer yet.")
    found = job.result[0].arrays()
    if key not in found:
        raise UnknownName.among("array", key, found)
    return found[key]


def _laid(array: Array, order: str) -> Array:
    axes = [int(axis) if axis.isdecimal() else -1 for axis in order[:200].split(",")]
    if sorted(axes) != list(range(array.ndim)):
        raise BadInput(f"order {order[:80]!r} does not name each of {array.ndim} axes once, as in 0,2,3,1.")
    return array.transpose(axes)


def _difference(array: Array, other: Array) -> Array:
    if array.shape != other.shape:
        if array.size != other.size:
            raise BadInput(f"shapes {list(array.shape)} and {list(other.shape)} have no difference.")
        array = array.reshape(other.shape)
    one, two = _numbers(array), _numbers(other)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.subtract(one, two, dtype=np.result_type(one, two, np.float32))


def _numbers(array: Array) -> Array:
    if array.dtype.kind in "OSU":
        raise BadInput(f"tensors of {array.dtype} have no difference.")
    return array if array.dtype.kind in _NUMBERS and array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _npy(array: Array) -> bytes:
    target = io.BytesIO()
    np.save(target, array, allow_pickle=False)
    return target.getvalue()
