"""How does the command `open` start? Models are opened, the address is shown, a browser comes."""

from __future__ import annotations

import secrets
import signal
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inspector.errors import BadInput
from inspector.server.keeping import Start, keep_serving
from inspector.server.running import address_of, bind

__all__ = ["open_page"]


def open_page(
    sources: Sequence[str],
    *,
    input: str | None = None,
    port: int = 0,
    browser: bool = True,
    tell: Callable[[str], None] = print,
    options: dict[str, Any] | None = None,
) -> None:
    """Show models in the browser until interrupted; `tell` gets the address with its token."""
    if input is not None and not Path(input).is_file():
        raise BadInput(f"{input}: no such file. Give a picture, .npy, .npz or .wav.")
    start = Start(tuple(sources), options or {}, input, secrets.token_urlsafe(12))
    with bind(port) as bound:
        address = address_of(bound)

        def ready() -> None:
            tell(f"Open {address.url}\nIt answers this machine only. Ctrl+C ends it.")
            if browser:
                webbrowser.open(address.url)

        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            keep_serving(start, bound, address, ready, tell)
        finally:
            signal.signal(signal.SIGTERM, before)
