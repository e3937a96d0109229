"""Which questions can be asked, and with which parameters? Read from signatures, the only description."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

import docstring_parser

from inspector import model as models
from inspector.actions.parameters import Flag, Output, OutputFile, OutputFolder, Source
from inspector.errors import UnknownName

__all__ = ["Action", "Parameter", "action", "actions", "find_action"]

P = ParamSpec("P")
R = TypeVar("R")

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "string"}


@dataclass(frozen=True)
class Parameter:
    """One parameter of an action.

    `type` is a plain type (`str`, `int`, `float`, `bool`, `Path` or "model"); `choices` lists the values
    of a Literal; `many` tells a list. `output` is "file" or "folder" where a result is written.
    """

    name: str
    type: type | Literal["model"]
    many: bool
    optional: bool
    choices: tuple[Any, ...]
    default: Any
    required: bool
    positional: bool
    output: Literal["", "file", "folder"]
    source: bool
    flags: tuple[str, ...]
    help: str

    def schema(self) -> dict[str, Any]:
        """JSON schema of the value."""
        kind: dict[str, Any] = {"type": "string" if self.type == "model" else _SCALARS[self.type]}
        if self.choices:
            kind["enum"] = list(self.choices)
        if self.many:
            kind = {"type": "array", "items": kind}
        if self.optional:
            kind = {"anyOf": [kind, {"type": "null"}]}
        if not self.required and not isinstance(self.default, Path):
            kind["default"] = self.default
        return kind | {"description": self.help}


@dataclass(frozen=True)
class Action:
    """One question a user can ask."""

    name: str
    function: Callable[..., Any]
    summary: str
    group: str
    examples: tuple[str, ...]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, in order, with help from the docstring's Args."""
        hints = _hints(self.function)
        docs = {p.arg_name: p.description or "" for p in docstring_parser.parse(self.description).params}
        return tuple(
            _parameter(parameter, hints[name], docs.get(name, ""))
            for name, parameter in inspect.signature(self.function).parameters.items()
        )

    @property
    def description(self) -> str:
        """The whole docstring."""
        return inspect.getdoc(self.function) or ""

    def schema(self) -> dict[str, Any]:
        """JSON schema of the parameters as one object."""
        return {
            "type": "object",
            "title": self.name,
            "description": self.summary,
            "properties": {p.name: p.schema() for p in self.parameters},
            "required": [p.name for p in self.parameters if p.required],
            "additionalProperties": False,
        }


_ACTIONS: dict[str, Action] = {}


def action(
    *, name: str = "", group: str = "Look inside", examples: tuple[str, ...] = ()
) -> Callable[[Callable[P, R]], Callable[..., R]]:
    """Register a function as an action.

    Its `Model` parameters then accept anything that can be opened, and its outputs paths as text.
    """

    def register(function: Callable[P, R]) -> Callable[..., R]:
        spelled = name or function.__name__.replace("_", "-")
        if spelled in _ACTIONS:
            raise ValueError(f"action {spelled!r} is registered twice, by {function.__module__}")
        signature = inspect.signature(function)
        convert: dict[str, Callable[[Any], Any]] = {}
        for parameter in signature.parameters.values():
            kind = str(parameter.annotation).removesuffix(" | None")
            if kind in ("Model", "OutputFile", "OutputFolder"):
                convert[parameter.name] = _open if kind == "Model" else Path

        @functools.wraps(function)
        def opened(*args: Any, **kwargs: Any) -> R:
            call = signature.bind(*args, **kwargs)
            for key, converted in convert.items():
                if call.arguments.get(key) is not None:
                    call.arguments[key] = converted(call.arguments[key])
            return function(*call.args, **call.kwargs)

        summary = (inspect.getdoc(function) or "").split("\n", 1)[0]
        _ACTIONS[spelled] = Action(spelled, opened, summary, group, examples)
        return opened

    return register


def actions() -> Mapping[str, Action]:
    """Every action by command name; modules of this package register themselves."""
    package = importlib.import_module("inspector.actions")
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        importlib.import_module(f"inspector.actions.{module.name}")
    return dict(_ACTIONS)


def find_action(name: str) -> Action:
    """One action.

    Raises:
        UnknownName: no action has this name; near ones are listed.
    """
    known = actions()
    if name not in known:
        raise UnknownName.among("command", name, known, "`inspector --help` lists them all.")
    return known[name]


def _open(source: Any) -> Any:
    return models.open_model(source)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    inner = inspect.unwrap(function)
    names = {
        "Model": "model",
        "OutputFile": OutputFile,
        "OutputFolder": OutputFolder,
        "Path": Path,
        "Literal": Literal,
        "Annotated": Annotated,
        "Source": Source,
        "Flag": Flag,
    }
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(inner).parameters.items():
        text = parameter.annotation
        found[name] = (
            "model"
            if text in ("Model", "Model | None")
            else eval(text, inner.__globals__ | names)  # our own source
        )
    return found


def _parameter(parameter: inspect.Parameter, hint: Any, help_text: str) -> Parameter:
    marks, hint = _unwrap(hint)
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        arms = [arm for arm in typing.get_args(hint) if arm is not type(None)]
        optional = len(arms) < len(typing.get_args(hint))
        inner_marks, hint = _unwrap(arms[0])
        marks += inner_marks
    many = typing.get_origin(hint) is list
    if many:
        inner_marks, hint = _unwrap(typing.get_args(hint)[0])
        marks += inner_marks
    choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    kind = type(choices[0]) if choices else hint
    if kind != "model" and kind not in _SCALARS:
        raise TypeError(f"parameter {parameter.name!r} has type {hint!r}, which no action takes")
    output = next((m for m in marks if isinstance(m, Output)), None)
    required = parameter.default is inspect.Parameter.empty
    return Parameter(
        name=parameter.name,
        type=kind,
        many=many,
        optional=optional,
        choices=choices,
        default=None if required else parameter.default,
        required=required,
        positional=parameter.kind is not inspect.Parameter.KEYWORD_ONLY and output is None,
        output="" if output is None else "folder" if output.folder else "file",
        source=any(isinstance(m, Source) for m in marks),
        flags=next((m.names for m in marks if isinstance(m, Flag)), ()),
        help=" ".join(help_text.split()),
    )


def _unwrap(hint: Any) -> tuple[list[Any], Any]:
    if typing.get_origin(hint) is Annotated:
        inner, *marks = typing.get_args(hint)
        return list(marks), inner
    return [], hint
