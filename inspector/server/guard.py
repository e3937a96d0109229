"""Who may ask? Host, token, Origin and Sec-Fetch-Site are checked before any route is looked up."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

__all__ = ["HEADERS", "Guard", "hosts_of"]

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob: data:; "
    "worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": POLICY.encode("ascii"),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
"""On every answer; there is no Access-Control-Allow header anywhere."""


def hosts_of(port: int) -> frozenset[bytes]:
    """The Host headers by which this machine may be called."""
    return frozenset(f"{name}:{port}".encode("ascii") for name in ("127.0.0.1", "localhost", "[::1]"))


class Guard:
    """Refuses what does not come from the page: foreign hosts, foreign origins, missing tokens.

    The page itself and its files carry no data and need only a known Host, since a link in a notebook
    arrives as cross-site; everything below `/api/` needs all of it.
    """

    def __init__(self, app: App, token: str, hosts: frozenset[bytes] = frozenset()) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode("ascii")
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's own start and stop."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._app(scope, receive, self._sealed(scope, send))
            else:
                await _refuse(self._sealed(scope, send), *refusal)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        given = {name: [v for n, v in headers if n == name] for name, _ in headers}
        host = given.get(b"host", [])
        if len(host) != 1 or host[0].lower() not in self.hosts:
            return 421, "this server answers only under its own address on this machine."
        if not scope["path"].startswith("/api/"):
            return None
        origin = given.get(b"origin", [])
        if origin and origin != [b"http://" + host[0]]:
            return 403, "the request comes from another site."
        if any(value != b"same-origin" for value in given.get(b"sec-fetch-site", [])):
            return 403, "the request comes from another site."
        token = given.get(b"authorization", [b""])
        if len(token) != 1 or not hmac.compare_digest(token[0], self._expected):
            return 401, "the token is missing or wrong. Open the address that the terminal shows."
        return None

    def _sealed(self, scope: Scope, send: Send) -> Send:
        store = b"no-store" if scope["path"].startswith("/api/") else b"no-cache"

        async def sealed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                kept = [(n, v) for n, v in message.get("headers", []) if n.lower() not in HEADERS]
                message["headers"] = [*kept, *HEADERS.items(), (b"cache-control", store)]
            await send(message)

        return sealed


async def _refuse(send: Send, status: int, why: str) -> None:
    body = f'{{"error": "{why}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
