"""Write docs/reference from the registries, or with `--check` fail where it is out of date."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from converters import formats
from inspector.actions.registry import Action, Parameter, actions

REFERENCE = Path(__file__).parent / "reference"


def commands_page() -> str:
    """Every action with its parameters."""
    parts = ["# Commands", "", "Each is also a function of the package: `inspector.<name>(…)`.", ""]
    for action in actions().values():
        parts += [*_command(action), ""]
    return "\n".join(parts)


def _command(action: Action) -> list[str]:
    lines = [f"## `inspector {action.name}`", "", action.summary, "", "```"]
    lines += [*action.examples, "```", "", "| parameter | type | default | what |", "|---|---|---|---|"]
    for p in action.parameters:
        default = "required" if p.required else "–" if p.default in (None, "", False) else f"`{p.default}`"
        lines.append(f"| `{_spelling(p)}` | {_type(p)} | {default} | {p.help.replace('|', chr(92) + '|')} |")
    return lines


def _spelling(p: Parameter) -> str:
    if p.output and not p.flags:
        return "-o"
    if p.positional and (p.required or p.type == "model"):
        return p.name.upper()
    return ", ".join(p.flags) or "--" + p.name.replace("_", "-")


def _type(p: Parameter) -> str:
    kind = " \\| ".join(map(str, p.choices)) or ("model" if p.type == "model" else p.type.__name__)
    return f"{kind}, repeatable" if p.many else kind


def formats_page() -> str:
    """Every format."""
    lines = ["# Formats", "", "Content decides which format a file is, not its suffix.", ""]
    lines += ["| format | suffixes | gives | needs | what |", "|---|---|---|---|---|"]
    for f in formats().values():
        needs = ", ".join(f.needs) or "–"
        lines.append(f"| {f.name} | {' '.join(f.suffixes)} | {', '.join(f.gives)} | {needs} | {f.about} |")
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {"commands.md": commands_page, "formats.md": formats_page}
TABLES: dict[str, str] = {
    "keras-layers.md": "converters.keras_layers:coverage_markdown",
    "operators.md": "inspector.autograd:operator_table_markdown",
}
"""Further pages by the function that makes them, as `module:function`."""


def main() -> int:
    """Write or check every page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing, fail where a page is out of date"
    )
    check = parser.parse_args().check
    REFERENCE.mkdir(exist_ok=True)
    stale: list[str] = []
    makers = PAGES | {name: _function(path) for name, path in TABLES.items()}
    for name, make in makers.items():
        page, path = make(), REFERENCE / name
        if not path.exists() or path.read_text() != page:
            stale.append(name)
            if not check:
                path.write_text(page)
    if check and stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `make docs`\n")
        return 1
    return 0


def _function(path: str) -> Callable[[], str]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    sys.exit(main())
