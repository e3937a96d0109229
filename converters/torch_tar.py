"""What is in torch 0.1's tar container? Its three members, read without extracting anything."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from converters.elements import by_storage_class
from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor, Place, Storage
from converters.pickle_machine import Global
from converters.stub_unpickler import Report
from converters.torch_storages import Container

__all__ = ["Tar", "is_tar"]

_BLOCK = 512
_FIRST = (b"sys_info", b"pickle", b"tensors", b"storages")
_I8, _I4 = struct.Struct("<q"), struct.Struct("<i")


def is_tar(head: bytes) -> bool:
    """Whether these are the first bytes of torch 0.1's tar container."""
    return head[257:262] == b"ustar" and head.split(b"\0", 1)[0] in _FIRST


def _members(data: memoryview) -> dict[str, tuple[int, int]]:
    """Offset and length of the regular files of a tar archive."""
    found: dict[str, tuple[int, int]] = {}
    at = 0
    while at + _BLOCK <= len(data) and len(found) < 64:
        header = bytes(data[at : at + _BLOCK])
        if not header.strip(b"\0"):
            break
        size = header[124:136].strip(b"\0 ")
        if not size.isdigit():
            raise BadFile(f"the tar header at byte {at} has no size")
        length = int(size, 8)
        at += _BLOCK
        if at + length > len(data):
            raise BadFile(f"the tar member at byte {at} reaches beyond the file")
        if header[156:157] in (b"0", b"\0"):
            found[header[:100].split(b"\0", 1)[0].decode("latin-1")] = (at, length)
        at += -(-length // _BLOCK) * _BLOCK
    return found


class Tar(Container):
    """Three members: storages, tensors (views on them by number) and the pickle."""

    def __init__(self, data: memoryview, path: Path) -> None:
        super().__init__(data, path)
        self.file = path
        self.objects: dict[str, object] = {}

    def storage(self, reference: object) -> object:
        """A storage or tensor by its number; or a class with its source code."""
        if isinstance(reference, tuple) and reference:
            return reference[0]
        found = self.objects.get(str(reference))
        if found is None:
            raise BadFile(f"the pickle refers to the tensor {str(reference)[:40]!r}, which is not stored")
        return found

    def read(self) -> tuple[Any, tuple[LazyTensor, ...], Report]:
        """The object, its tensors, and what it would have run."""
        members = _members(self.data)
        missing = {"storages", "tensors", "pickle"} - members.keys()
        if missing:
            raise BadFile(f"the tar container has no member {', '.join(sorted(missing))}")
        _storages(self, *members["storages"])
        tensors = _tensors(self, *members["tensors"])
        at, length = members["pickle"]
        value, host, _ = self.unpickle(at, at + length)
        everything = [*tensors, *host.tensors]
        self.check(everything)
        return value, tuple(everything), self.merged(host.report)


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= 1_000_000:
        raise BadFile("the tar container does not say how many objects follow")
    return value


def _storages(container: Tar, at: int, length: int) -> None:
    data, end = container.data, at + length
    count, _, at = container.unpickle(at, end)
    for _ in range(_count(count)):
        args, _, at = container.unpickle(at, end)
        if not isinstance(args, tuple) or len(args) != 3 or not isinstance(args[2], Global):
            raise BadFile("a storage of the tar container is not described")
        element = by_storage_class(args[2].path)
        size = _I8.unpack_from(data, at)[0] if at + 8 <= end else -1
        if element is None or size < 0 or at + 8 + size * element.bytes > end:
            raise BadFile(f"storage {args[0]!r} of the tar container reaches beyond it")
        place = Place(container.file, at + 8, size * element.bytes)
        container.objects[str(args[0])] = Storage(str(args[0]), element, size, place)
        at += 8 + size * element.bytes
    views, _, at = container.unpickle(at, end)
    for target, root, offset, size in views if isinstance(views, list) else ():
        whole = container.objects.get(str(root))
        if not isinstance(whole, Storage) or whole.place is None or offset < 0 or offset + size > whole.count:
            raise BadFile("a view of the tar container lies outside its storage")
        start = whole.place.offset + offset * whole.element.bytes
        place = Place(whole.place.path, start, size * whole.element.bytes)
        container.objects[str(target)] = Storage(str(target), whole.element, size, place)


def _tensors(container: Tar, at: int, length: int) -> list[LazyTensor]:
    data, end = container.data, at + length
    made: list[LazyTensor] = []
    count, _, at = container.unpickle(at, end)
    for _ in range(_count(count)):
        args, _, at = container.unpickle(at, end)
        storage = container.objects.get(str(args[1])) if isinstance(args, tuple) and len(args) == 3 else None
        axes = _I4.unpack_from(data, at)[0] if at + 8 <= end else -1
        if not isinstance(storage, Storage) or not 0 <= axes <= 64 or at + 16 * (axes + 1) > end:
            raise BadFile("a tensor of the tar container is damaged")
        numbers = struct.unpack_from(f"<{2 * axes + 1}q", data, at + 8)
        at += 16 * (axes + 1)
        tensor = LazyTensor(storage, storage.element, numbers[:axes], numbers[axes : 2 * axes], numbers[-1])
        container.objects[str(args[0])] = tensor
        made.append(tensor)
    return made
