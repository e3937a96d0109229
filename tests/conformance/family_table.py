"""Which conformance cases pass, by operator? Writes docs/reference/conformance.md.

python tests/conformance/family_table.py
"""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

from operator_suite import Case, family, node_cases, stored_cases

from inspector.autograd import operator_table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "conformance.md"
ROWS = Path(__file__).with_name("expectations.toml")


def page() -> str:
    """The table; that all but the listed cases pass is what test_operators.py shows."""
    rows = tomllib.loads(ROWS.read_text())
    unsupported = {name for row in rows["unsupported"] for name in row["cases"]}
    known = sorted(operator_table(), key=lambda row: row.domain == "")  # ai.onnx wins where names are shared
    families = {row.name: row.family for row in known if row.family}
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for case in (*node_cases(), *stored_cases()):
        name = _group(case, families)
        total[name] += 1
        passed[name] += case.name not in unsupported
    lines = [
        "# Conformance of the differentiable engine",
        "",
        f"{sum(passed.values())} of the {sum(total.values())} backend cases of the onnx package pass "
        "(rtol 1e-3, atol 1e-5; dtype and shape exact).",
        "`python tests/conformance/family_table.py` writes this page.",
        "",
        "| family | pass | cases |",
        "|---|---|---|",
        *(f"| {name} | {passed[name]} | {total[name]} |" for name in sorted(total)),
        "",
        "What does not pass, and what is compared by dtype and shape only:",
        "",
        *(
            f"* {', '.join(row['cases'])}: {row['reason']}"
            for key in ("unsupported", "shape_only")
            for row in rows[key]
        ),
        "",
    ]
    return "\n".join(lines)


def _group(case: Case, families: dict[str, str]) -> str:
    name = family(case)
    return f"stored: {name}" if case.group != "node" else families.get(name, "by function body")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
