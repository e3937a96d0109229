"""Which addresses does the server answer? The page, and an interface derived from the actions."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image
from rich.console import Console
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from inspector.actions.registry import actions, find_action
from inspector.actions.result import Result
from inspector.errors import InspectorError, MissingOption, TooLarge, UnknownName
from inspector.execution import model_labels, read_labels
from inspector.server.calls import arguments, schema_of
from inspector.server.comparing import Comparisons
from inspector.server.jobs import Job, Jobs
from inspector.server.tensors import tensor_routes
from inspector.server.workplace import Stored, Workplace
from inspector.workbench import asset, document

__all__ = ["application"]

MAX_UPLOAD = 2 << 30
_MAX_BODY = 1 << 20
_TEXT_WIDTH = 110
_NEWEST = {"index.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}


def application(workplace: Workplace, *, max_upload: int = MAX_UPLOAD) -> Starlette:
    """The routes over one workplace, without the guard."""
    site = _Site(workplace, Jobs(workplace.worded), max_upload)
    route = Route
    return Starlette(
        routes=[
            route("/", site.page),
            route("/page.js", site.page),
            route("/page.css", site.page),
            route("/api/actions", site.actions),
            route("/api/actions/{name}", site.act, methods=["POST"]),
            route("/api/jobs/{job}", site.job),
            route("/api/jobs/{job}", site.cancel, methods=["DELETE"]),
            route("/api/jobs/{job}/events", site.events),
            route("/api/jobs/{job}/frame", site.frame),
            route("/api/jobs/{job}/figures/{name:path}", site.figure),
            route("/api/files", site.upload, methods=["POST"]),
            route("/api/files/{file}", site.download),
            route("/api/models", site.models),
            route("/api/models", site.open, methods=["POST"]),
            route("/api/models/{digest}", site.structure),
            route("/api/models/{digest}/operator", site.operator),
            route("/api/models/{digest}/labels", site.labels),
            route("/api/recents", site.recents),
            route("/api/recents", site.forget, methods=["DELETE"]),
            route("/api/runs", site.run, methods=["POST"]),
            route("/api/comparisons", site.compare, methods=["POST"]),
            *tensor_routes(workplace, site.jobs),
        ],
        exception_handlers={
            InspectorError: _told,
            HTTPException: _http_fault,
            ClientDisconnect: _gone,
            Exception: _fault,
        },
        lifespan=site.lifespan,
    )


async def _told(_: Request, fault: Exception) -> Response:
    status = 413 if isinstance(fault, TooLarge) else 404 if isinstance(fault, UnknownName) else 400
    return JSONResponse({"error": str(fault), "kind": type(fault).__name__}, status)


async def _http_fault(_: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    return JSONResponse({"error": f"no such address or method ({status})."}, status)


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)


async def _fault(_: Request, fault: Exception) -> Response:
    return JSONResponse({"error": f"internal error: {type(fault).__name__}: {fault}"}, 500)


class _Site:
    def __init__(self, workplace: Workplace, jobs: Jobs, max_upload: int) -> None:
        self._workplace, self.jobs, self._max_upload = workplace, jobs, max_upload
        self._documents: dict[str, bytes] = {}
        self._comparisons = Comparisons(workplace)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        """Stop the jobs when the server ends."""
        yield
        self.jobs.close()

    async def page(self, request: Request) -> Response:
        name = request.url.path.removeprefix("/") or "index.html"
        return Response(asset(name), media_type=_NEWEST[name])

    async def actions(self, _: Request) -> Response:
        found = await run_in_threadpool(actions)
        return JSONResponse({name: schema_of(action) for name, action in found.items()})

    async def act(self, request: Request) -> Response:
        action = find_action(request.path_params["name"])
        call, written = arguments(action, await _body(request), self._workplace)
        return self._started(action.name, lambda: (action.function(**call), written))

    async def job(self, request: Request) -> Response:
        job = self.jobs.find(request.path_params["job"])
        return await run_in_threadpool(lambda: JSONResponse(self._answer(job)))

    async def cancel(self, request: Request) -> Response:
        job = self.jobs.find(request.path_params["job"])
        job.stop = True
        return JSONResponse(job.to_dict(), 202)

    async def events(self, request: Request) -> Response:
        job = self.jobs.find(request.path_params["job"])

        async def lines() -> AsyncIterator[bytes]:
            try:
                async for state in self.jobs.events(job):
                    yield b"data: " + json.dumps(state).encode("utf-8") + b"\n\n"
            except asyncio.CancelledError:  # the tab that waits is gone
                job.stop = True
                raise

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def frame(self, request: Request) -> Response:
        """What a running job has made so far; 204 while there is nothing. Asking orders the next one."""
        job = self.jobs.find(request.path_params["job"])
        job.watched = True
        if job.frame is None:
            return Response(status_code=204)
        return Response(await run_in_threadpool(_png, job.frame), media_type="image/png")

    async def figure(self, request: Request) -> Response:
        job = self.jobs.find(request.path_params["job"])
        drawn = await run_in_threadpool(lambda: _figures(job))
        name = request.path_params["name"]
        if name not in drawn:
            raise UnknownName.among("picture", name, drawn)
        return Response(drawn[name].data, media_type=drawn[name].media)

    async def upload(self, request: Request) -> Response:
        stored = self._workplace.room(request.query_params.get("name", "file"))
        try:
            await self._receive(request, stored)
        except BaseException:
            self._workplace.drop(stored)
            raise
        self._workplace.keep(stored)
        return JSONResponse({"file": stored.id, "name": stored.name}, 201)

    async def _receive(self, request: Request, stored: Stored) -> None:
        size = 0
        with stored.path.open("xb") as target:
            async for chunk in request.stream():
                size += len(chunk)
                if size > self._max_upload:
                    raise TooLarge(f"the file has more than {self._max_upload:,} bytes; open it by its path.")
                await run_in_threadpool(target.write, chunk)

    async def download(self, request: Request) -> Response:
        stored = self._workplace.file(request.path_params["file"])
        if not stored.path.is_file():
            raise UnknownName("this is a folder, or it was not written.")
        return Response(
            await run_in_threadpool(stored.path.read_bytes), media_type="application/octet-stream"
        )

    async def models(self, _: Request) -> Response:
        rows = [
            {"model": digest, "name": model.name, "nodes": len(model.nodes), "format": model.origin.format}
            for digest, model in self._workplace.models.items()
        ]
        return JSONResponse(
            {"models": rows, "first": list(self._workplace.first), "input": self._workplace.input}
        )

    async def open(self, request: Request) -> Response:
        given = await _body(request)
        if given.get("recent"):
            path = self._workplace.recents.find(str(given["recent"]))
            return self._started(f"open {path.name}", lambda: (self._reopened(path), []))
        stored = self._workplace.file(str(given.get("file")))
        return self._started(
            f"open {stored.name}",
            lambda: (_Opened(self._workplace.add(stored.path, stored.name), stored.name), []),
        )

    def _reopened(self, path: Path) -> _Opened:
        made = _Opened(self._workplace.add(path), path.name)
        self._workplace.recents.add(path)
        return made

    async def recents(self, _: Request) -> Response:
        """The files that the user opened lately, newest first."""
        return JSONResponse({"recents": await run_in_threadpool(self._workplace.recents.rows)})

    async def forget(self, _: Request) -> Response:
        """Forget them all."""
        await run_in_threadpool(self._workplace.recents.clear)
        return JSONResponse({"recents": []})

    async def structure(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        model = self._workplace.model(digest)
        if digest not in self._documents:
            self._documents[digest] = await run_in_threadpool(lambda: _packed(document(model)))
        return Response(
            self._documents[digest], media_type="application/json", headers={"content-encoding": "gzip"}
        )

    async def operator(self, request: Request) -> Response:
        model = self._workplace.model(request.path_params["digest"])
        key = request.query_params.get("key", "")
        node = model.nodes.get(key)
        if node is None:
            raise UnknownName.among("node", key, model.nodes)
        version = model.opsets.get(node.domain, 1)
        known = onnx.defs.has(node.op, max_inclusive_version=version, domain=node.domain)
        text = onnx.defs.get_schema(node.op, version, node.domain).doc if known else ""
        return JSONResponse({"op": node.op, "opset": version, "doc": (text or "").strip()})

    async def labels(self, request: Request) -> Response:
        """Names of the classes: those of an uploaded `file`, or those recorded in the model."""
        model, given = self._workplace.model(request.path_params["digest"]), request.query_params.get("file")
        stored = self._workplace.file(given) if given else None
        names = await run_in_threadpool(lambda: read_labels(stored.path) if stored else model_labels(model))
        return JSONResponse({"labels": list(names)})

    async def run(self, request: Request) -> Response:
        given = await _body(request)
        digest, source = str(given.get("model")), str(given.get("input") or "random")
        self._workplace.model(digest)
        path = "random" if source == "random" else str(self._workplace.file(source).path)
        labels = given.get("labels")
        names = read_labels(self._workplace.file(str(labels)).path) if labels else ()

        def work() -> Any:
            made = self._workplace.run(digest, path, None, names)
            return _Ran({"run": made.id} | made.prediction.to_dict()), []

        return self._started("run", work)

    async def compare(self, request: Request) -> Response:
        given = await _body(request)
        a, b, source = str(given.get("a")), str(given.get("b")), str(given.get("input") or "random")
        for digest in (a, b):
            self._workplace.model(digest)
        if source != "random":
            self._workplace.file(source)
        return self._started("compare", lambda: (_Ran(self._comparisons.answer(a, b, source)), []))

    def _started(self, what: str, work: Callable[[], Any]) -> Response:
        return JSONResponse(self.jobs.start(what, work).to_dict(), 202)

    def _answer(self, job: Job) -> dict[str, Any]:
        record = job.to_dict()
        if job.state != "done":
            return record
        result, written = job.result
        for stored in written:
            self._workplace.keep(stored)
        files = [{"file": s.id, "name": s.name} for s in written if s.path.is_file()]
        return record | {
            "result": result.to_dict(),
            "text": _written(result.to_text()),
            "figures": [[name, drawn.title, drawn.caption] for name, drawn in _figures(job).items()],
            "files": files,
        }


class _Opened(Result):
    """An opened file as the answer of a job."""

    def __init__(self, digest: str, name: str) -> None:
        self._record = {"model": digest, "name": name}

    def to_dict(self) -> dict[str, Any]:
        return self._record

    def to_text(self) -> str:
        return ""

    def figures(self) -> dict[str, Any]:
        return {}


class _Ran(_Opened):
    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _MAX_BODY:
            raise TooLarge(f"a request holds at most {_MAX_BODY:,} bytes; files are uploaded.")
    try:
        given = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise MissingOption("expected one JSON object.")
    return given


def _figures(job: Job) -> dict[str, Any]:
    return dict(job.result[0].figures()) if job.state == "done" else {}


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "png", compress_level=1)
    return target.getvalue()


def _packed(record: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"), 5, mtime=0)


def _written(text: Any) -> str:
    console = Console(width=_TEXT_WIDTH, file=io.StringIO(), no_color=True, highlight=False, markup=False)
    with console.capture() as got:
        console.print(text)
    return got.get()
