"""Is this text only arithmetic? Size expressions and guards of exported programs, held to a grammar.

`torch.export.load` evaluates both as Python. What passes here can hold nothing but whole numbers, symbol
names, arithmetic, comparisons and a list of functions that only compute.
"""

from __future__ import annotations

import ast
import re

__all__ = ["expression_problem", "guard_problem", "symbol_problem"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_TEXT = 20_000
MAX_DEPTH = 100
MAX_EXPONENT = 64

_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_NUMBER = re.compile(r"-?(int_)?oo|[+-]?\d{1,40}(\.\d{1,40})?", re.ASCII)
_CHARACTERS = re.compile(r"[A-Za-z0-9_+\-*/%(), <>=!&|~.'\[\]]*", re.ASCII)

_FUNCTIONS = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "BitwiseFn_bitwise_and",
        "BitwiseFn_bitwise_or",
        "CeilDiv",
        "CeilToInt",
        "CleanDiv",
        "Eq",
        "Equality",
        "Float",
        "FloatPow",
        "FloatTrueDiv",
        "FloorDiv",
        "FloorToInt",
        "GreaterThan",
        "Ge",
        "Gt",
        "Identity",
        "IntTrueDiv",
        "Integer",
        "IsNonOverlappingAndDenseIndicator",
        "LShift",
        "Le",
        "LessThan",
        "Lt",
        "Max",
        "Min",
        "Mod",
        "ModularIndexing",
        "Mul",
        "Ne",
        "Not",
        "Or",
        "Pow",
        "PowByNatural",
        "PythonMod",
        "RShift",
        "Rational",
        "RoundDecimal",
        "RoundToInt",
        "StrictGreaterThan",
        "StrictLessThan",
        "Symbol",
        "ToFloat",
        "TruncToFloat",
        "TruncToInt",
        "Unequality",
        "Where",
        "ceiling",
        "floor",
    ]
)
_ASSUMPTIONS = _words(
    """
    positive integer nonnegative negative nonzero real finite zero
    """
)
_GUARD_FUNCTIONS = _words(
    """
    max min abs float int
    """
)
_GUARD_METHODS = _words(
    """
    size stride storage_offset dim numel
    """
)
_MATH = _words(
    """
    ceil floor sqrt trunc
    """
)

_SHAPES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Load, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or, ast.Eq, ast.NotEq,
    ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.BitAnd, ast.BitOr, ast.Invert, ast.LShift, ast.RShift,
)  # fmt: skip


def symbol_problem(text: str) -> str:
    """Why a text is not a symbol or a number; "" if it is."""
    if _SYMBOL.fullmatch(text) or _NUMBER.fullmatch(text):
        return ""
    return expression_problem(text)


def expression_problem(text: str) -> str:
    """Why a size expression is more than arithmetic on symbols; "" if it is not."""
    tree = _parse(text)
    if isinstance(tree, str):
        return tree
    return _first(tree, _expression_node)


def guard_problem(text: str) -> str:
    """Why a guard such as `L['x'].size()[0] >= 2` is more than arithmetic on input sizes; "" if it is not."""
    tree = _parse(text)
    if isinstance(tree, str):
        return tree
    return _first(tree, _guard_node)


def _parse(text: str) -> ast.Expression | str:
    if len(text) > MAX_TEXT:
        return f"has {len(text):,} characters"
    if not _CHARACTERS.fullmatch(text):
        return "holds characters that arithmetic does not need"
    if _depth(text) > MAX_DEPTH:
        return f"is nested more than {MAX_DEPTH} deep"
    try:
        return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "is no expression"


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        deepest = max(deepest, depth)
    return deepest


def _first(tree: ast.AST, check: object) -> str:
    for node in ast.walk(tree):
        problem = check(node)  # pyright: ignore  # one of the two checks below
        if problem:
            return problem
    return ""


def _plain(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Pow, ast.LShift)):
        right = node.right
        return (
            isinstance(right, ast.Constant) and type(right.value) is int and 0 <= right.value <= MAX_EXPONENT
        )
    return isinstance(node, _SHAPES)


def _expression_node(node: ast.AST) -> str:
    if _plain(node):
        return ""
    if isinstance(node, ast.Constant):
        plain = type(node.value) in (int, float, bool)
        return (
            "" if plain or _SYMBOL.fullmatch(str(node.value)) else f"holds the text {str(node.value)[:40]!r}"
        )
    if isinstance(node, ast.Name):
        return "" if _SYMBOL.fullmatch(node.id) else f"names {node.id[:40]!r}"
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS:
            return f"calls {name or 'something'!r}, which is no arithmetic"
        return _texts_problem(node) if name in ("Symbol", "Float") else _numbers_problem(node)
    if isinstance(node, ast.keyword):
        return "" if node.arg in _ASSUMPTIONS or node.arg == "precision" else f"passes {node.arg!r}"
    return f"holds {type(node).__name__}, which is no arithmetic"


def _texts_problem(call: ast.Call) -> str:
    """`Symbol('s0', …)` and `Float('0.5', …)` are the only places for a text."""
    first = call.args[0] if call.args else None
    text = first.value if isinstance(first, ast.Constant) else ""
    fits = isinstance(text, (int, float)) or _SYMBOL.fullmatch(str(text)) or _NUMBER.fullmatch(str(text))
    return "" if fits and len(call.args) == 1 else "makes a symbol of something else than its name"


def _numbers_problem(call: ast.Call) -> str:
    texts = [a for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return "passes a text where a number is due" if texts or call.keywords else ""


def _guard_node(node: ast.AST) -> str:
    if _plain(node):
        return ""
    if isinstance(node, ast.Constant):
        fits = type(node.value) in (int, float, bool) or _SYMBOL.fullmatch(str(node.value))
        return "" if fits else f"holds the text {str(node.value)[:40]!r}"
    if isinstance(node, ast.Name):
        fits = node.id in ("L", "inf", "math") or node.id in _GUARD_FUNCTIONS or node.id in _FUNCTIONS
        return "" if fits else f"names {node.id[:40]!r}"
    if isinstance(node, ast.Subscript):
        return "" if isinstance(node.slice, ast.Constant) else "indexes by something else than a constant"
    if isinstance(node, ast.Attribute):
        math = isinstance(node.value, ast.Name) and node.value.id == "math" and node.attr in _MATH
        return "" if math or node.attr in _GUARD_METHODS else f"reads the attribute {node.attr[:40]!r}"
    if isinstance(node, ast.Call):
        return "" if not node.keywords and len(node.args) <= 16 else "calls with named arguments"
    return f"holds {type(node).__name__}, which is no arithmetic"
