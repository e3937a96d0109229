"""Does docs/reference/conformance.md say what the suite gives today?"""

from __future__ import annotations

from family_table import PAGE, page


def test_the_page_of_conformance_is_current() -> None:
    assert PAGE.read_text() == page(), "run `python tests/conformance/family_table.py`"
