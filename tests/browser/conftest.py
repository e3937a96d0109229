"""What browser tests share: the page over the shipped classifier, and that it has no fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inspector.server import Address


@pytest.fixture
def page(browser: Any, address: Address) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda fault: faults.append(str(fault)))
    made.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    made.goto(address.url)
    made.wait_for_function("() => Number(document.body.dataset.seq || 0) >= 1")
    yield made
    context.close()
    assert faults == []
