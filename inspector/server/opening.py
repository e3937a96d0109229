"""How does the command `open` start? Models are opened, the address is shown, a browser comes."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inspector.errors import BadInput
from inspector.server.recents import Recents, state_file
from inspector.server.running import Address, serve
from inspector.server.workplace import Workplace

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
    with Workplace() as workplace:
        workplace.first = tuple(workplace.add(source, **(options or {})) for source in sources)
        workplace.recents = Recents(state_file())
        for source in sources:
            workplace.recents.add(Path(source))
        if input is not None:
            if not Path(input).is_file():
                raise BadInput(f"{input}: no such file. Give a picture, .npy, .npz or .wav.")
            workplace.input = workplace.share(Path(input)).id

        def told(address: Address) -> None:
            tell(f"Open {address.url}\nIt answers this machine only. Ctrl+C ends it.")
            if browser:
                webbrowser.open(address.url)

        serve(workplace, port, told)
