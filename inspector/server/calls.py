"""How does a request become a call of an action? Digests are models, ids are files, paths are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inspector.actions.registry import Action, Parameter
from inspector.errors import BadInput, MissingOption, UnknownName, Untrusted
from inspector.server.workplace import Stored, Workplace

__all__ = ["HIDDEN", "arguments", "schema_of"]

HIDDEN = frozenset(("trust", "factory"))
"""Parameters that would let code run: they exist on the command line only."""

_NAMES = frozenset(
    (
        "values",
        "layer",
        "target",
        "begin",
        "end",
        "nodes",
        "method",
        "select",
        "option",
        "explained",
        "size",
        "input_shape",
        "fail_on",
    )
)
"""Parameters that name things inside a model and never open a file."""

_FILE = "file:"


def schema_of(action: Action) -> dict[str, Any]:
    """The action's JSON schema as the page needs it.

    `x-kind` says what a form offers: "model" (a digest), "file" (`file:<id>` of an upload), "output"
    (chosen by the server) or "".
    """
    schema = action.schema()
    for parameter in action.parameters:
        if parameter.name in HIDDEN:
            del schema["properties"][parameter.name]
            continue
        kind = (
            "model"
            if parameter.type == "model"
            else "output"
            if parameter.output
            else "file"
            if _may_open(parameter)
            else ""
        )
        schema["properties"][parameter.name]["x-kind"] = kind
    schema["x-group"] = action.group
    return schema


def arguments(
    action: Action, given: Mapping[str, Any], workplace: Workplace
) -> tuple[dict[str, Any], list[Stored]]:
    """The arguments of a call, and where it will write.

    Raises:
        MissingOption: a needed parameter is absent, or an unknown one is given.
        BadInput: a value has the wrong type, or names a path.
        Untrusted: a parameter would let code run.
    """
    known = {p.name: p for p in action.parameters}
    for name in given:
        if name in HIDDEN:
            raise Untrusted(f"{name} lets code run; it exists on the command line only.")
        if name not in known:
            raise UnknownName.among("parameter", name, known)
    call: dict[str, Any] = {}
    written: list[Stored] = []
    for parameter in action.parameters:
        if parameter.output:
            if parameter.required or given.get(parameter.name):
                made = workplace.room(str(given.get(parameter.name) or "result"))
                written.append(made)
                call[parameter.name] = made.path
        elif given.get(parameter.name) is not None:
            call[parameter.name] = _value(parameter, given[parameter.name], workplace)
        elif parameter.required:
            raise MissingOption(f"{action.name} needs {parameter.name}: {parameter.help}")
    return call, written


def _may_open(parameter: Parameter) -> bool:
    text = parameter.type in (str, Path) and not parameter.choices
    return text and not parameter.output and parameter.name not in _NAMES


def _value(parameter: Parameter, given: Any, workplace: Workplace) -> Any:
    if parameter.many:
        if not isinstance(given, list):
            raise BadInput(f"{parameter.name}: expected a list, got {type(given).__name__}.")
        return [_single(parameter, one, workplace) for one in given]
    return _single(parameter, given, workplace)


def _single(parameter: Parameter, given: Any, workplace: Workplace) -> Any:
    if parameter.type == "model":
        return workplace.model(str(given))
    wanted = str if parameter.type is Path else parameter.type
    if wanted is float and isinstance(given, int) and not isinstance(given, bool):
        given = float(given)
    if not isinstance(given, wanted) or (wanted is int and isinstance(given, bool)):
        raise BadInput(f"{parameter.name}: expected {wanted.__name__}, got {type(given).__name__}.")
    if parameter.choices and given not in parameter.choices:
        raise BadInput(f"{parameter.name}: {given!r} is none of {', '.join(map(str, parameter.choices))}.")
    if not _may_open(parameter):
        return given
    found = _opened(parameter.name, str(given), workplace)
    return Path(found) if parameter.type is Path else found


def _opened(name: str, text: str, workplace: Workplace) -> str:
    """`file:<id>` and `input=file:<id>` become paths of uploads; any other path is refused."""
    head, _, tail = text.rpartition("=")
    if tail.startswith(_FILE):
        path = str(workplace.file(tail.removeprefix(_FILE)).path)
        return f"{head}={path}" if head else path
    if any(sign in text for sign in "/\\\0") or ".." in text or _exists(text) or _exists(tail):
        raise BadInput(f"{name}: {text[:80]!r} names a path; files reach the server by upload only.")
    return text


def _exists(text: str) -> bool:
    return len(text) < 256 and Path(text).exists()
