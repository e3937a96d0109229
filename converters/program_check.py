"""Can an exported program do more than compute? Every text that torch evaluates, held to a grammar.

`torch.export.load` evaluates size expressions and guards as Python, writes node, input and attribute
names into Python source, and imports the modules that tree specifications name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from converters.exported_program import Program
from converters.expressions import expression_problem, guard_problem, symbol_problem
from converters.torch_operators import operator_problem

__all__ = ["check_program"]

MAX_FINDINGS = 50
_NAME = re.compile(r"[\w.\-:/ ]{0,300}", re.ASCII)
_TEXT = re.compile(r"[^'\"\\\r\n`]{0,2000}")
_FREE_TEXT = frozenset(
    ("stack_trace", "nn_module_stack", "torch_fn", "source_fn_stack", "from_node", "custom")
)
_TREE_TYPES = frozenset(
    ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", "collections.deque")
)
_SUBGRAPH_ARGUMENTS = ("as_custom_obj", "as_opaque", "custom_obj_name")


def check_program(program: Program) -> list[str]:
    """Sentences on everything that could run; empty for a program that only computes."""
    found: list[str] = []
    sources = {
        **program.models,
        **{folder + "*_config.json": table for folder, table in program.tables.items()},
    }
    for member, document in sources.items():
        for problem in _problems(document):
            found.append(f"{member}: {problem}")
            if len(found) >= MAX_FINDINGS:
                return found
    return found


def _problems(document: object) -> Iterator[str]:
    pending: list[tuple[str, object]] = [("", document)]
    while pending:
        key, item = pending.pop()
        if isinstance(item, dict):
            for inner, value in item.items():
                if not _NAME.fullmatch(inner):
                    yield f"the name {inner[:80]!r} is not plain"
                yield from _special(inner, value)
                if inner not in _FREE_TEXT and inner not in _CHECKED:
                    pending.append((inner, value))
        elif isinstance(item, list):
            pending.extend((key, value) for value in item)
        elif isinstance(item, str):
            yield from _plain_text(key, item)


def _plain_text(key: str, text: str) -> Iterator[str]:
    """Texts become part of Python source: names without quotation marks only."""
    if not _NAME.fullmatch(text) and not (key in _WORDS and _TEXT.fullmatch(text)):
        yield f"{key or 'a text'} holds {text[:80]!r}, which is no plain name"


_WORDS = ("as_string", "as_strings", "type", "path_name", "torch_version")
_CHECKED = ("expr_str", "guards_code", "in_spec", "out_spec", "range_constraints", "forward_arg_names")


def _special(key: str, value: Any) -> Iterator[str]:
    """Fields with a grammar of their own."""
    if key == "expr_str":
        yield from _held(f"the size expression {str(value)[:80]!r}", expression_problem(str(value)))
    elif key == "guards_code":
        for guard in value if isinstance(value, list) else [value]:
            yield from _held(f"the guard {str(guard)[:80]!r}", guard_problem(str(guard)))
    elif key == "range_constraints":
        for symbol in value if isinstance(value, dict) else {}:
            yield from _held(f"the symbol {symbol[:80]!r}", symbol_problem(symbol))
    elif key in ("target", "as_operator") and isinstance(value, str):
        yield from _held(f"a node of target {value[:80]!r}", operator_problem(value))
    elif key in ("in_spec", "out_spec") and value:
        yield from _tree_problems(str(value))
    elif key == "forward_arg_names":
        names = value if isinstance(value, list) else []
        yield from (f"the argument {str(n)[:80]!r} is no name" for n in names if not str(n).isidentifier())
    elif key in _SUBGRAPH_ARGUMENTS:
        yield f"holds an object of a native or Python class ({key})"


def _held(what: str, problem: str) -> Iterator[str]:
    if problem:
        yield f"{what} {problem}"


def _tree_problems(text: str) -> Iterator[str]:
    """Tree specifications name classes and modules, which torch imports."""
    try:
        pending: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        yield f"the tree specification {text[:80]!r} is no JSON"
        return
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            kind = item.get("type")
            if kind is not None and kind not in _TREE_TYPES:
                yield f"a tree specification names the class {str(kind)[:80]!r}"
            yield from _context_problems(item.get("context"))
            strange = item.keys() - {"type", "context", "children_spec"}
            if strange:
                yield f"a tree specification holds {sorted(strange)[0][:80]!r}"
            pending.append(item.get("children_spec"))


def _context_problems(context: object) -> Iterator[str]:
    """A context is null, a length, or a list of plain keys."""
    try:
        value = json.loads(context) if isinstance(context, str) else context
    except (ValueError, RecursionError):
        yield f"a tree specification has the context {str(context)[:80]!r}, which is no JSON"
        return
    keys = value if isinstance(value, list) else [value]
    for key in keys:
        plain = (
            key is None or type(key) in (int, float, bool) or (isinstance(key, str) and _NAME.fullmatch(key))
        )
        if not plain:
            yield f"a tree specification has the context {str(context)[:80]!r}"
