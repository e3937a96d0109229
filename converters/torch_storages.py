"""Where do the storages of a torch file lie? Zip entries, the tail of a legacy file, or the pickle itself."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from converters.elements import Element, by_storage_class, by_torch
from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor, Place, Storage
from converters.pickle_machine import Global, Machine, Span
from converters.stub_unpickler import Report, StubHost, Text
from converters.torch_rebuilders import HANDLERS
from converters.zip_archive import Archive

__all__ = ["Container", "Legacy", "ZipEntries", "is_legacy"]

_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
_STARTS = tuple(bytes([0x80, protocol, 0x8A, 10]) + _MAGIC for protocol in (2, 3, 4))
_MAX_NESTING = 4
_I8 = struct.Struct("<q")


def is_legacy(head: bytes) -> bool:
    """Whether a file begins as torch 1.5 and older wrote it: with a pickled magic number."""
    return head.startswith(_STARTS)


class Container:
    """What all containers share: raw bytes in the pickle, and whole torch files embedded in it."""

    def __init__(self, data: memoryview, path: Path | None, base: int = 0, depth: int = 0) -> None:
        self.data = data
        self.path = path
        self.depth = depth
        self.base = base
        self.reports: list[Report] = []
        self._nested: dict[tuple[int, int], object] = {}

    def unpickle(self, at: int = 0, end: int | None = None) -> tuple[Any, StubHost, int]:
        """Read one pickle: its value, the host with tensors and report, and the position behind it."""
        length = (len(self.data) if end is None else end) - at
        host = StubHost(self, HANDLERS, copies=1_000_000 + 4 * length)
        machine = Machine(self.data, host, at, end)
        return machine.run(), host, machine.at

    def storage(self, reference: object) -> object:
        """What a persistent reference stands for; plain pickles have none."""
        raise BadFile("the pickle refers to objects outside itself")

    def span(self, span: Span) -> Storage:
        """Bytes of the pickle as a storage."""
        place = Place(self.path, self.base + span.start, span.length) if self.path is not None else None
        byte = by_torch("uint8")
        assert byte is not None  # a row of the table
        view = self.data[span.start : span.start + span.length]
        return Storage(f"bytes at {span.start}", byte, span.length, place, read=lambda: bytes(view))

    def nested(self, data: object) -> object:
        """The value of a torch file embedded as bytes (`torch.storage._load_from_bytes`)."""
        if self.depth >= _MAX_NESTING:
            raise BadFile("torch files are nested in each other without end")
        if isinstance(data, Span):
            key = (data.start, data.length)
            if key not in self._nested:
                view = self.data[data.start : data.start + data.length]
                self._nested[key] = self._read_nested(view, self.path, self.base + data.start)
            return self._nested[key]
        raw = data.bytes() if isinstance(data, Text) else data
        if not isinstance(raw, bytes):
            raise BadFile("an embedded torch file is not given as bytes")
        return self._read_nested(memoryview(raw), None, 0)

    def _read_nested(self, view: memoryview, path: Path | None, base: int) -> object:
        if not is_legacy(bytes(view[:15])):
            raise BadFile("an embedded torch file is not in the legacy container")
        value, _, report = Legacy(view, path, base, self.depth + 1).read()
        self.reports.append(report)
        return value

    def merged(self, report: Report) -> Report:
        """The report with those of embedded files."""
        for other in self.reports:
            report.calls += other.calls
            report.count += other.count
            report.names |= other.names
            for path, count in other.classes.items():
                report.classes[path] = report.classes.get(path, 0) + count
        return report

    @staticmethod
    def check(tensors: list[LazyTensor]) -> None:
        """Hold every tensor against its storage."""
        for tensor in tensors:
            tensor.check()


def _storage_reference(reference: object) -> tuple[Element, str, int]:
    """Element, key and count of `("storage", class, key, location, count, …)`."""
    if not isinstance(reference, tuple) or len(reference) < 5 or _plain(reference[0]) != "storage":
        raise BadFile("a persistent reference of the pickle is no storage")
    _, cls, key, _, count = reference[:5]
    element = by_storage_class(cls.path) if isinstance(cls, Global) else None
    if element is None:
        raise BadFile(f"a storage has the unknown class {getattr(cls, 'path', cls)!s}")
    if type(count) is not int or not 0 <= count < 1 << 60:
        raise BadFile(f"a storage declares {count!r} elements")
    return element, str(_plain(key)), count


def _plain(value: object) -> object:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class ZipEntries(Container):
    """Storages are entries of a zip archive."""

    def __init__(
        self, archive: Archive, folder: str, data: memoryview, big: bool, in_place: bool, hollow: bool
    ) -> None:
        super().__init__(data, archive.path if in_place else None)
        self.hollow = hollow
        self.archive = archive
        self.folder = folder
        self.big = big
        self._known: dict[tuple[str, str], Storage] = {}

    def storage(self, reference: object) -> object:
        """The entry that holds a storage."""
        element, key, count = _storage_reference(reference)
        if (key, element.name) in self._known:
            return self._known[key, element.name]
        entry = self.archive.entry(f"{self.folder}/{key}")
        if self.hollow and entry.size == 0:
            return Storage(key, element, count, big_endian=self.big)
        if entry.size < count * element.bytes:
            raise BadFile(
                f"storage {key!r} declares {count * element.bytes:,} bytes, its entry has {entry.size:,}: "
                "the file lies about its sizes"
            )
        place = Place(self.archive.path, entry.offset, entry.size) if entry.stored else None
        read = None if entry.stored else lambda: self.archive.read(entry.name)
        made = Storage(key, element, count, place, read, self.big)
        self._known[key, element.name] = made
        return made


class Legacy(Container):
    """Five pickles, then the storages one after the other, each with its count."""

    def __init__(self, data: memoryview, path: Path | None, base: int = 0, depth: int = 0) -> None:
        super().__init__(data, path, base, depth)
        self.sources: dict[str, str] = {}
        self._roots: dict[str, Storage] = {}
        self._views: list[tuple[Storage, str, int]] = []

    def read(self) -> tuple[Any, tuple[LazyTensor, ...], Report]:
        """The object, with its storages placed; its tensors, and what it would have run."""
        _, _, at = self.unpickle()
        protocol, _, at = self.unpickle(at)
        if protocol != 1001:
            raise BadFile(f"legacy torch container of unknown protocol {protocol!r}, expected 1001")
        _, _, at = self.unpickle(at)  # the writer's byte order; the data are always little-endian
        value, host, at = self.unpickle(at)
        keys, _, at = self.unpickle(at)
        self._place(keys, at)
        self.check(host.tensors)
        return value, tuple(host.tensors), self.merged(host.report)

    def storage(self, reference: object) -> object:
        """A storage whose place is known after the pickle; or a module with its source code."""
        if isinstance(reference, tuple) and len(reference) == 4 and _plain(reference[0]) == "module":
            _, module, _, source = reference
            if isinstance(source, str) and isinstance(module, Global):
                self.sources[module.path] = source
            return module
        element, key, count = _storage_reference(reference)
        root = self._roots.setdefault(key, Storage(key, element, count))
        view = reference[5] if isinstance(reference, tuple) and len(reference) > 5 else None
        if isinstance(view, tuple) and len(view) == 3:
            name, offset, size = view
            if type(offset) is not int or type(size) is not int or not 0 <= offset <= offset + size <= count:
                raise BadFile(f"a view on storage {key!r} lies outside it")
            part = Storage(f"{key}/{_plain(name)}", element, size)
            self._views.append((part, key, offset * element.bytes))
            return part
        return root

    def _place(self, keys: object, at: int) -> None:
        if not isinstance(keys, list):
            raise BadFile("the legacy container has no list of storages")
        for key in keys:
            storage = self._roots.get(str(_plain(key)))
            if storage is None:
                raise BadFile(f"the legacy container stores {str(_plain(key))[:40]!r}, which nothing uses")
            if at + 8 > len(self.data):
                raise BadFile("the legacy container is cut off before its last storage")
            stored = _I8.unpack_from(self.data, at)[0]
            at += 8
            if stored < storage.count or at + stored * storage.element.bytes > len(self.data):
                raise BadFile(
                    f"storage {storage.key!r} declares {storage.count:,} elements, {stored:,} should follow, "
                    f"{len(self.data) - at:,} bytes are left: cut off, or the file lies about its sizes"
                )
            self._fix(storage, at)
            at += stored * storage.element.bytes
        for part, key, offset in self._views:
            root = self._roots[key]
            if root.place is not None:
                part.place = Place(root.place.path, root.place.offset + offset, part.nbytes)
            elif root.read is not None:
                part.read = lambda root=root, offset=offset: root.buffer()[offset:].tobytes()

    def _fix(self, storage: Storage, at: int) -> None:
        length = storage.nbytes
        if self.path is not None:
            storage.place = Place(self.path, self.base + at, length)
        else:
            view = self.data[at : at + length]
            storage.read = lambda: bytes(view)
