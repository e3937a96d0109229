"""How does the server start and end? On loopback, on a free port, with a token the terminal shows."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from inspector.errors import BadInput, InspectorError
from inspector.server.application import MAX_UPLOAD, application
from inspector.server.guard import Guard, hosts_of
from inspector.server.workplace import Workplace

__all__ = ["Address", "address_of", "bind", "serve", "start"]

_LOOPBACK = "127.0.0.1"
_PATIENCE = 20.0
_WAITING = 64
"""Connections that wait for a server that is starting, for the first time or again."""


@dataclass(frozen=True)
class Address:
    """Where a server answers; `url` carries the token in its fragment, which no request contains."""

    port: int
    token: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{_LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """What a browser opens."""
        return f"{self.origin}/#token={self.token}"


def serve(workplace: Workplace, bound: socket.socket, address: Address) -> None:
    """Answer on a bound socket until interrupted."""
    _server(workplace, address, MAX_UPLOAD).run([bound])


@contextmanager
def start(workplace: Workplace, port: int = 0, max_upload: int = MAX_UPLOAD) -> Generator[Address]:
    """Answer in a thread for as long as the block runs."""
    with bind(port) as bound:
        address = address_of(bound)
        server = _server(workplace, address, max_upload)
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        until = time.monotonic() + _PATIENCE
        while not server.started:
            if time.monotonic() > until or not thread.is_alive():
                raise InspectorError("the server did not start.")
            time.sleep(0.01)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)


def address_of(bound: socket.socket) -> Address:
    """The address of a socket, with a new token."""
    return Address(bound.getsockname()[1], secrets.token_urlsafe(32))


def bind(port: int) -> socket.socket:
    """A socket of this machine alone; 0 takes a free port. Who calls before a server answers, waits.

    Raises:
        BadInput: the port cannot be used.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((_LOOPBACK, port))
        bound.listen(_WAITING)
    except (OSError, OverflowError) as why:
        bound.close()
        raise BadInput(
            f"port {port} cannot be used here: {why}. Leave --port out to take a free one."
        ) from why
    return bound


def _server(workplace: Workplace, address: Address, max_upload: int) -> uvicorn.Server:
    app = Guard(application(workplace, max_upload=max_upload), address.token, hosts_of(address.port))
    return uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_level="error",
            server_header=False,
            timeout_graceful_shutdown=1,
            lifespan="on",
            ws="none",
        )
    )
