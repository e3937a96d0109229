"""What is in a file that `torch.save` or `pickle` wrote? All containers since 2016, read without torch.

zip (torch ≥ 1.6): `data.pkl` and one entry a storage. Legacy (1.5 and older): five pickles, then the
storages. Tar (0.1): three members. Plain: one pickle with NumPy arrays or embedded legacy files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from converters.errors import BadFile
from converters.lazy_tensor import LazyTensor, mapped
from converters.stub_unpickler import Report
from converters.torch_storages import Container, Legacy, ZipEntries, is_legacy
from converters.torch_tar import Tar, is_tar
from converters.zip_archive import Archive, is_zip, open_archive

__all__ = ["TorchFile", "is_pickle", "read_archive_pickle", "read_torch_file"]

MAX_PICKLE = 1 << 30
"""Bytes of one pickle inside a zip: it holds names and shapes, rarely more than a few MiB."""

_HEAD = 512


@dataclass(frozen=True)
class TorchFile:
    """The value of a pickle with inert objects and lazy tensors, and what it would have run."""

    value: Any
    container: Literal["zip", "legacy", "tar", "pickle"]
    report: Report
    tensors: tuple[LazyTensor, ...]
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    """Source code that legacy files carry, by class path; for reading only."""


def is_pickle(head: bytes) -> bool:
    """Whether these may be the first bytes of a pickle, a legacy torch file or torch 0.1's tar."""
    if head[:1] == b"\x80":
        return len(head) > 2 and 2 <= head[1] <= 5
    return head.startswith(_OLD_STARTS) or is_tar(head)


_OLD_STARTS = (
    b"(dp", b"(lp", b"}q\x00", b"]q\x00", b"ccollections\n", b"ctorch", b"cposix\n", b"cos\n", b"cnumpy",
    b"c__builtin__\n", b"ccopy_reg\n",
)  # fmt: skip


def read_torch_file(path: Path) -> TorchFile:
    """Read any container; nothing from the file runs and no tensor is loaded.

    Raises:
        BadFile: damaged or hostile, with the reason.
    """
    real = path.resolve()
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if is_zip(head):
        archive = open_archive(real)
        roots = [name for name in archive.entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise BadFile(f"{path}: expected one data.pkl in the archive, found {len(roots)}.")
        return read_archive_pickle(archive, roots[0])
    try:
        return _read_whole(mapped(real), real, head)
    except BadFile as fact:
        raise BadFile(f"{path}: {str(fact).rstrip('.')}. Get another copy of the file.") from None


def _read_whole(data: memoryview, path: Path, head: bytes) -> TorchFile:
    if is_tar(head):
        tar = Tar(data, path)
        value, tensors, report = tar.read()
        return TorchFile(value, "tar", report, tensors)
    if is_legacy(head):
        legacy = Legacy(data, path)
        value, tensors, report = legacy.read()
        return TorchFile(value, "legacy", report, tensors, (), legacy.sources)
    plain = Container(data, path)
    value, host, _ = plain.unpickle()
    plain.check(host.tensors)
    return TorchFile(value, "pickle", plain.merged(host.report), tuple(host.tensors))


def read_archive_pickle(
    archive: Archive, member: str, storages: str = "", *, hollow: bool = False
) -> TorchFile:
    """Read one pickle of a zip container; its storages are entries of a folder (`data/` beside it).

    `hollow` accepts storages without bytes: TorchScript keeps the shapes of traced inputs that way.
    """
    folder = member.rpartition("/")[0]
    order = f"{folder}/byteorder"
    big = order in archive and archive.read(order, 64).strip() == b"big"
    where = archive.location(member)
    data = mapped(archive.path) if where else memoryview(archive.read(member, MAX_PICKLE))
    start, length = where or (0, len(data))
    entries = ZipEntries(
        archive, storages or f"{folder}/data", data, big, in_place=where is not None, hollow=hollow
    )
    try:
        if length > MAX_PICKLE:
            raise BadFile(f"the pickle has {length:,} bytes, expected at most {MAX_PICKLE:,}")
        value, host, _ = entries.unpickle(start, start + length)
        entries.check(host.tensors)
    except BadFile as fact:
        where = f"{archive.path}: {member}"
        raise BadFile(f"{where}: {str(fact).rstrip('.')}. Get another copy of the file.") from None
    notes = ("written on a big-endian machine; bytes are swapped",) if big else ()
    return TorchFile(value, "zip", entries.merged(host.report), tuple(host.tensors), notes)
