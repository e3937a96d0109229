"""What is in a `.pt2` exported program? Its JSON graph and its weights, read without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from converters.elements import Element, by_torch
from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor, Place, Storage
from converters.torch_file import TorchFile, read_archive_pickle
from converters.zip_archive import Archive, open_archive

__all__ = ["Program", "element_of_code", "program_inputs", "read_program"]

MAX_JSON = 512 << 20
_PAYLOADS = ("data/weights/", "data/constants/")
_OLD_GRAPH = "serialized_exported_program.json"
_OLD_WEIGHTS = "serialized_state_dict.pt"

_CODES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz",
    33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip
"""torch's numbers for element types, as its export schema writes them."""


@dataclass(frozen=True)
class Program:
    """The parsed JSON of an archive: models by name, and the tables that say where weights lie."""

    archive: Archive
    root: str
    models: Mapping[str, dict[str, Any]]
    tables: Mapping[str, dict[str, Any]]
    """Weight and constant tables by their folder (`data/weights/`): name → row."""

    @property
    def graph(self) -> dict[str, Any]:
        """The graph of the first model."""
        return _dict(_dict(next(iter(self.models.values()), {}), "graph_module"), "graph")

    def operators(self) -> tuple[str, ...]:
        """Every target that the graphs call."""
        return tuple(
            sorted({str(node.get("target", "")) for model in self.models.values() for node in nodes(model)})
        )

    def pickles(self) -> Iterator[tuple[str, TorchFile]]:
        """Every embedded torch file that is not empty, read inertly."""
        raw = {name for name, row, _ in self._rows() if not row.get("use_pickle")}
        for name, entry in self.archive.entries.items():
            inner = name.removeprefix(self.root)
            is_payload = inner.startswith(("data/weights/", "data/constants/")) and not inner.endswith(
                ".json"
            )
            if entry.size and (inner.endswith(".pt") or (is_payload and name not in raw)):
                yield inner, _embedded(self.archive, name)

    def tensors(self) -> Iterator[tuple[str, LazyTensor]]:
        """Parameters, buffers and constants under their source names."""
        for member, row, name in self._rows():
            if row.get("use_pickle"):
                value = _embedded(self.archive, member).value
                tensor = value if isinstance(value, LazyTensor) else None
            else:
                tensor = _raw_tensor(self.archive, member, row)
            if tensor is not None:
                yield name, tensor
        if f"{self.root}{_OLD_WEIGHTS}" in self.archive:
            value = _embedded(self.archive, f"{self.root}{_OLD_WEIGHTS}").value
            if isinstance(value, dict):
                yield from ((str(k), v) for k, v in value.items() if isinstance(v, LazyTensor))

    def _rows(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        for folder, table in self.tables.items():
            for name, row in table.items():
                if isinstance(row, dict):
                    yield f"{self.root}{folder}{row.get('path_name', '')}", row, name


def read_program(archive: Archive, root: str) -> Program:
    """Parse the JSON members.

    Raises:
        BadFile: a member is missing, too large or no JSON.
    """
    models: dict[str, dict[str, Any]] = {}
    tables: dict[str, dict[str, Any]] = {}
    for name in archive.entries:
        inner = name.removeprefix(root)
        if inner == _OLD_GRAPH or (inner.startswith("models/") and inner.endswith(".json")):
            models[inner] = _json(archive, name)
        elif inner.startswith(_PAYLOADS) and inner.endswith("_config.json"):
            folder = inner.rpartition("/")[0] + "/"
            tables.setdefault(folder, {}).update(_dict(_json(archive, name), "config"))
    if not models:
        raise BadFile(f"{archive.path}: the exported program has no model. Get another copy.")
    return Program(archive, root, models, tables)


def nodes(model: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a model, those of nested graphs included."""
    pending: list[Any] = [model.get("graph_module")]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            found = item.get("nodes")
            yield from (node for node in found if isinstance(node, dict)) if isinstance(found, list) else ()
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def program_inputs(program: Program) -> Iterator[tuple[str, str, tuple[int | str, ...]]]:
    """Name, dtype and shape of every input that a user feeds."""
    model = next(iter(program.models.values()))
    graph = program.graph
    values = _dict(graph, "tensor_values")
    specs = _dict(_dict(model, "graph_module"), "signature").get("input_specs")
    for spec in specs if isinstance(specs, list) else ():
        given = _dict(_dict(spec, "user_input"), "arg").get("as_tensor") if isinstance(spec, dict) else None
        name = given.get("name") if isinstance(given, dict) else None
        meta = values.get(name) if isinstance(name, str) else None
        if isinstance(name, str) and isinstance(meta, dict):
            yield name, _CODES.get(meta.get("dtype", 0), ""), sizes_of(meta)


def sizes_of(meta: Mapping[str, Any]) -> tuple[int | str, ...]:
    """The sizes of a tensor's description; unknown ones as the text of their expression."""
    found: list[int | str] = []
    for size in meta.get("sizes") or ():
        number = size.get("as_int") if isinstance(size, dict) else None
        text = _dict(size, "as_expr").get("expr_str", "?") if isinstance(size, dict) else "?"
        found.append(number if type(number) is int else _symbol(str(text)))
    return tuple(found)


def _symbol(text: str) -> str:
    """`Symbol('s0', positive=True)` is called s0; anything longer stays as it is."""
    inner = text.removeprefix("Symbol('").partition("'")[0]
    return inner if text.startswith("Symbol('") and text.count("(") == 1 else text[:60]


def element_of_code(code: object) -> Element | None:
    """The element type of one of torch's numbers."""
    return by_torch(_CODES[code]) if isinstance(code, int) and code in _CODES else None


def _raw_tensor(archive: Archive, member: str, row: Mapping[str, Any]) -> LazyTensor | None:
    meta = _dict(row, "tensor_meta")
    element = element_of_code(meta.get("dtype"))
    entry = archive.entry(member)
    if element is None:
        raise BadFile(
            f"{archive.path}: {member}: the weight has the unknown element type {meta.get('dtype')!r}."
        )
    numbers = [_whole(meta.get(key)) for key in ("sizes", "strides")]
    offset = _dict(meta, "storage_offset").get("as_int", 0)
    place = Place(archive.path, entry.offset, entry.size) if entry.stored else None
    read = None if entry.stored else lambda: archive.read(member)
    storage = Storage(member, element, entry.size // element.bytes, place, read)
    tensor = LazyTensor(storage, element, numbers[0], numbers[1], offset)
    try:
        tensor.check()
    except BadFile as fact:
        raise BadFile(f"{archive.path}: {member}: {fact}") from None
    return tensor


def _whole(value: object) -> tuple[int, ...]:
    rows = value if isinstance(value, list) else []
    return tuple(row.get("as_int", -1) if isinstance(row, dict) else -1 for row in rows)


def _embedded(archive: Archive, name: str) -> TorchFile:
    inner = open_archive(archive.path, within=archive.entry(name))
    roots = [n for n in inner.entries if n.count("/") == 1 and n.endswith("/data.pkl")]
    if len(roots) != 1:
        raise BadFile(f"{archive.path}: {name!r} is no torch file. Get another copy.")
    return read_archive_pickle(inner, roots[0])


def _json(archive: Archive, name: str) -> dict[str, Any]:
    try:
        found = json.loads(archive.read(name, MAX_JSON))
    except (ValueError, RecursionError) as cause:
        raise BadFile(f"{archive.path}: {name!r} is no sound JSON ({str(cause)[:120]}).") from None
    if not isinstance(found, dict):
        raise BadFile(f"{archive.path}: {name!r} is no JSON object. Get another copy.")
    return found


def _dict(item: Any, key: str) -> dict[str, Any]:
    found = item.get(key) if isinstance(item, dict) else None
    return found if isinstance(found, dict) else {}
