"""What does the code inside a TorchScript archive call? Its restricted Python, parsed and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from converters.torch_operators import is_harmful_method, operator_problem

__all__ = ["ScriptCode", "read_code"]

_PLAIN_CALLS = frozenset(
    (
        "annotate", "bool", "complex", "dict", "enumerate", "float", "fork", "getattr", "hasattr", "int",
        "isinstance", "len", "list", "max", "min", "range", "reversed", "sorted", "str", "tuple",
        "unchecked_cast", "uninitialized", "zip", "Exception", "AssertionError", "device", "rangelist",
    )
)  # fmt: skip
_ROOTS = ("torch", "ops", "__torch__")
_QUANTISED = "__torch__.torch.classes.quantized."
_CLASSES = "__torch__.torch.classes."

_ALLOWED = (
    ast.Module, ast.ClassDef, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign,
    ast.AnnAssign, ast.AugAssign, ast.For, ast.While, ast.If, ast.With, ast.withitem, ast.Raise,
    ast.Assert, ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.BoolOp, ast.BinOp, ast.UnaryOp,
    ast.IfExp, ast.Dict, ast.List, ast.Tuple, ast.Call, ast.Constant, ast.Attribute, ast.Subscript,
    ast.Slice, ast.Name, ast.Starred, ast.Compare, ast.keyword, ast.expr_context, ast.operator,
    ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip


@dataclass(frozen=True)
class ScriptCode:
    """All operators the code can reach, its classes with their methods, and everything not allowed."""

    operators: frozenset[str]
    methods: Mapping[str, tuple[str, ...]]
    """Class path (`__torch__.module.Class`) → its methods."""
    findings: tuple[str, ...]

    @property
    def loaders(self) -> tuple[str, ...]:
        """Classes whose `__setstate__` runs while the file is loaded."""
        return tuple(path for path, methods in self.methods.items() if "__setstate__" in methods)


def read_code(files: Mapping[str, str]) -> ScriptCode:
    """Parse every file of an archive, by its name below `code/`."""
    findings: list[str] = []
    trees: dict[str, ast.Module] = {}
    for name, text in files.items():
        try:
            trees[name] = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as cause:
            findings.append(f"{name}: is not the restricted Python of TorchScript ({str(cause)[:120]})")
    methods = {path: found for name, tree in trees.items() for path, found in _classes(name, tree)}
    defined = {method for found in methods.values() for method in found}
    operators: set[str] = set()
    for name, tree in trees.items():
        reader = _Reader(defined)
        reader.read(tree)
        operators |= reader.operators
        findings += [f"{name}: {problem}" for problem in dict.fromkeys(reader.problems)]
    return ScriptCode(frozenset(operators), methods, tuple(findings))


def _classes(name: str, tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    module = name.removesuffix(".py").replace("/", ".")
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield f"{module}.{node.name}", tuple(n.name for n in node.body if isinstance(n, ast.FunctionDef))


class _Reader:
    """One file: which names it uses, and which of them are not allowed."""

    def __init__(self, defined: Iterable[str]) -> None:
        self.defined = frozenset(defined)
        self.operators: set[str] = set()
        self.problems: list[str] = []
        self.aliases: set[str] = set()

    def read(self, tree: ast.Module) -> None:
        """Visit every node once; how deeply they nest does not matter."""
        nodes = list(ast.walk(tree))
        inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        self.aliases = {name for node in nodes for name in _alias(node)}
        for node in nodes:
            if not isinstance(node, _ALLOWED):
                self.problems.append(f"line {getattr(node, 'lineno', 0)} holds {type(node).__name__}")
            elif isinstance(node, ast.Attribute) and id(node) not in inner:
                self._chain(_dotted(node))
            elif isinstance(node, ast.Name) and node.id in _ROOTS and id(node) not in inner:
                self.problems.append(f"line {node.lineno} uses {node.id!r} as a value")
            elif isinstance(node, ast.Call):
                self._call(node)

    def _chain(self, parts: tuple[str, ...]) -> None:
        """A dotted name such as `torch.conv2d`, `ops.prim.data` or `__torch__.net.Block`."""
        if parts[0] == "torch":
            name = f"aten::{'.'.join(parts[1:])}"
        elif parts[0] == "ops":
            name = "::".join((parts[1], ".".join(parts[2:])))
        else:
            path = ".".join(parts)
            if path.startswith(_CLASSES) and not path.startswith(_QUANTISED):
                self.problems.append(f"uses the native class {path.removeprefix('__torch__.')}")
            return
        self.operators.add(name)
        problem = operator_problem(name)
        if problem:
            self.problems.append(problem)

    def _call(self, call: ast.Call) -> None:
        function = call.func
        if isinstance(function, ast.Name) and function.id not in self.aliases | _PLAIN_CALLS:
            self.problems.append(f"line {call.lineno} calls {function.id[:60]!r}")
        elif isinstance(function, ast.Attribute) and _dotted(function)[0] not in _ROOTS:
            self._method(function.attr, call.lineno)
        elif not isinstance(function, (ast.Name, ast.Attribute)):
            self.problems.append(f"line {call.lineno} calls the result of an expression")

    def _method(self, name: str, line: int) -> None:
        """A method of a value: one of the archive's own, or an operator in disguise."""
        if is_harmful_method(name):
            self.problems.append(f"line {line} calls the method {name!r}, which is not known to be harmless")
        elif name not in self.defined and operator_problem(f"aten::{name}"):
            self.problems.append(f"line {line} calls the unknown method {name[:60]!r}")


def _alias(node: ast.AST) -> Iterator[str]:
    """Local names for a function of the archive: `_0 = __torch__.torch.nn.functional.relu`."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Attribute):
        return
    if _dotted(node.value)[0] in _ROOTS:
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _dotted(node: ast.expr) -> tuple[str, ...]:
    """The parts of a dotted name; an expression at its root gives ""."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else "", *reversed(parts))
