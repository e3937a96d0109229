"""Which format is this file? Content decides, the suffix only breaks ties."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

import onnx

from converters.errors import BadFile, UnknownFormat
from converters.provenance import Origin
from converters.unknown_files import looks_like

__all__ = ["Conversion", "Format", "Options", "find_format", "find_live", "format", "formats", "live"]

HEAD_BYTES = 4096
"""How much of a file `recognises` sees."""

Gives = Literal["model", "structure", "weights"]


@dataclass(frozen=True)
class Options:
    """What only the user knows about a source.

    `input_shape` maps an input name (or "" for the only or all inputs in order) to a shape whose
    entries are sizes or names of dynamic dimensions. `read_only` draws what else would be exported by
    a framework. `extra` holds options of third-party formats.
    """

    input_shape: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    trust: bool = False
    factory: str | None = None
    opset: int | None = None
    example: Any = None
    read_only: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Conversion:
    """A model in the normal form.

    Tensors of 1 KiB and more are external data in files below `folder`; `keep` holds what must
    outlive the model (a temporary folder). `model` already carries origin and notes.
    """

    model: onnx.ModelProto
    origin: Origin
    notes: tuple[str, ...] = ()
    folder: Path | None = None
    keep: TemporaryDirectory[str] | None = None


class Recognises(Protocol):
    """Whether a file is of this format, judged by its first bytes or, for archives, its listing."""

    def __call__(self, head: bytes, path: Path) -> bool: ...


@dataclass(frozen=True)
class Format:
    """A registry row: how to recognise and convert one kind of file."""

    name: str
    suffixes: tuple[str, ...]
    gives: tuple[Gives, ...]
    needs: tuple[str, ...]
    recognises: Recognises
    convert: Callable[[Any, Options], Conversion]
    about: str
    origin: str


_FORMATS: dict[str, Format] = {}

_LIVE: dict[str, Callable[[Any, Options], Conversion]] = {}


def format(
    name: str,
    *,
    suffixes: tuple[str, ...],
    gives: tuple[Gives, ...],
    recognises: Recognises,
    needs: tuple[str, ...] = (),
) -> Callable[[Callable[[Any, Options], Conversion]], Callable[[Any, Options], Conversion]]:
    """Register a format; the decorated function converts a path (or live object) to ONNX."""

    def register(convert: Callable[[Any, Options], Conversion]) -> Callable[[Any, Options], Conversion]:
        if name in _FORMATS:
            raise ValueError(
                f"format {name!r} is registered twice: by {_FORMATS[name].origin} and by {convert.__module__}"
            )
        about = (convert.__doc__ or "").strip().splitlines()
        _FORMATS[name] = Format(
            name, suffixes, gives, needs, recognises, convert, about[0] if about else "", convert.__module__
        )
        return convert

    return register


def live(
    class_name: str,
) -> Callable[[Callable[[Any, Options], Conversion]], Callable[[Any, Options], Conversion]]:
    """Register a converter for live objects whose class or any base has this full name.

    Names are compared, so no framework is imported to find out that an object is not its own.
    """

    def register(convert: Callable[[Any, Options], Conversion]) -> Callable[[Any, Options], Conversion]:
        if class_name in _LIVE:
            raise ValueError(f"live class {class_name!r} is registered twice")
        _LIVE[class_name] = convert
        return convert

    return register


def find_live(source: object) -> Callable[[Any, Options], Conversion] | None:
    """The converter of a live object, the most derived class first."""
    load_built_in()
    for base in type(source).__mro__:
        found = _LIVE.get(f"{base.__module__}.{base.__qualname__}")
        if found is not None:
            return found
    return None


def load_built_in() -> None:
    """Import every module of `converters.formats`; each registers what it converts."""
    folder = importlib.import_module("converters.formats").__path__
    for module in sorted(pkgutil.iter_modules(folder), key=lambda m: m.name):
        importlib.import_module(f"converters.formats.{module.name}")


def formats() -> Mapping[str, Format]:
    """Every registered format, built-in first, then those of the entry-point group `inspector.converters`."""
    load_built_in()
    for point in entry_points(group="inspector.converters"):
        if point.module not in {f.origin for f in _FORMATS.values()}:
            point.load()
    return dict(_FORMATS)


def find_format(path: Path) -> Format:
    """The format of a file or folder, by content; a tie is broken by the suffix.

    Raises:
        BadFile: the file is empty or cannot be read.
        UnknownFormat: nothing recognises it; the message says what it looks like.
    """
    head = _head(path)
    found = [f for f in formats().values() if f.recognises(head, path)]
    by_suffix = [f for f in found if path.name.lower().endswith(f.suffixes)]
    if found:
        return (by_suffix or found)[0]
    named = [f.name for f in _FORMATS.values() if path.name.lower().endswith(f.suffixes)]
    seen, advice = looks_like(head, path)
    expected = f" The name says {named[0]}, the content does not." if named and not advice else ""
    advice = advice or "A file of another kind must be converted to ONNX first"
    raise UnknownFormat(f"{path}: {seen}.{expected} `inspector formats` lists what can be opened. {advice}.")


def _head(path: Path) -> bytes:
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise BadFile(f"{path}: no such file.") from None
    except OSError as cause:
        raise BadFile(f"{path}: cannot be read ({cause.strerror}).") from cause
    if not head:
        raise BadFile(f"{path}: the file is empty (0 bytes). Get another copy.")
    return head
