"""What lies in this zip file, and where? Listing and reading that a hostile archive cannot abuse.

A zip is described twice, in its central directory and before each entry; readers that believe different
halves see different files. `open_archive` therefore accepts only archives whose two halves agree, whose
entries do not overlap and whose names stay inside. What it lists is what any other reader would find.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from converters.errors import BadFile

__all__ = ["Archive", "Entry", "is_zip", "open_archive"]

MAX_DIRECTORY = 64 << 20
"""Bytes of central directory: about half a million entries, more than any model has tensors."""

MAX_INFLATED = 1 << 30
"""Bytes the compressed entries may declare together, unless the archive itself is of that order."""

MAX_RATIO = 100
"""Declared size over archive size, counted only above `MAX_INFLATED`. Deflate cannot exceed 1032."""

DEFLATE_LIMIT = 1100
"""No deflate stream grows more than 1032-fold; an entry that declares more is lying."""

READ_LIMIT = 1 << 30
"""The most that `Archive.read` returns in one piece unless told otherwise."""

_CHUNK = 1 << 20
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED, _STREAMED, _UTF8 = 0x1, 0x8, 0x800
_SYMLINK = 0o120000


@dataclass(frozen=True)
class Entry:
    """One file of an archive; `offset` is where its (packed) bytes start in the archive file."""

    name: str
    size: int
    packed: int
    stored: bool
    offset: int
    crc: int


@dataclass(frozen=True)
class Archive:
    """A checked listing; bytes are read only when asked for."""

    path: Path
    entries: Mapping[str, Entry]
    case_clashes: tuple[str, ...] = field(default=())
    """Names that differ only in case from an earlier one; torch's reader cannot tell them apart."""

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def entry(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            BadFile: there is none.
        """
        found = self.entries.get(name)
        if found is None:
            raise BadFile(f"{self.path}: the archive has no entry {name!r}. Get another copy of the file.")
        return found

    def read(self, name: str, limit: int = READ_LIMIT) -> bytes:
        """The unpacked bytes of one entry, checked against its checksum.

        Raises:
            BadFile: more than `limit` bytes are declared, or the bytes are damaged.
        """
        entry = self.entry(name)
        if entry.size > limit:
            raise BadFile(
                f"{self.path}: entry {name!r} declares {entry.size:,} bytes, expected at most {limit:,}."
            )
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """The unpacked bytes of one entry in pieces of at most a MiB, checked as they pass."""
        entry = self.entry(name)
        seen, crc = 0, 0
        with self.path.open("rb") as file:
            file.seek(entry.offset)
            for piece in _copied(file, entry) if entry.stored else _inflated(file, entry):
                seen += len(piece)
                if seen > entry.size:
                    break
                crc = zlib.crc32(piece, crc)
                yield piece
        if seen != entry.size or crc != entry.crc:
            raise BadFile(
                f"{self.path}: entry {name!r} is damaged (its bytes do not match the size or checksum "
                "that the archive declares). Get another copy."
            )

    def location(self, name: str) -> tuple[int, int] | None:
        """Offset and length of an entry inside the archive file, or None if it is compressed."""
        entry = self.entry(name)
        return (entry.offset, entry.size) if entry.stored else None


def is_zip(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a zip with at least one entry."""
    return head.startswith(b"PK\x03\x04")


def open_archive(path: Path, within: Entry | None = None) -> Archive:
    """List a zip archive, or one that is stored as an entry `within` another.

    Raises:
        BadFile: it is damaged or built to deceive: overlapping, duplicate, encrypted or escaping
            entries, symbolic links, sizes that cannot be true.
    """
    try:
        with path.open("rb") as file:
            if within is None:
                return Archive(path, *_listing(file))
            if not within.stored:
                raise _ZipError(f"the archive {within.name!r} inside it is packed once more")
            named, clashes = _listing(_Window(file, within.offset, within.size))
            moved = {n: replace(e, offset=e.offset + within.offset) for n, e in named.items()}
            return Archive(path, moved, clashes)
    except _ZipError as fact:
        raise BadFile(f"{path}: {fact}. The file is refused; get another copy.") from None
    except (zipfile.BadZipFile, NotImplementedError, struct.error, UnicodeDecodeError) as cause:
        raise BadFile(f"{path}: not a sound zip archive ({cause}). Get another copy.") from cause
    except OSError as cause:
        raise BadFile(f"{path}: cannot be read ({cause.strerror or cause}).") from cause


class _ZipError(Exception):
    """A short fact about the archive; `open_archive` adds which file."""


class _Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._size - self._at)
        self._file.seek(self._start + self._at)
        found = self._file.read(left if size is None or size < 0 else min(size, left))
        self._at += len(found)
        return found


def _listing(file: BinaryIO | _Window) -> tuple[dict[str, Entry], tuple[str, ...]]:
    start = _directory_start(file)
    file.seek(0)
    with zipfile.ZipFile(file) as listing:  # pyright: ignore[reportArgumentType]  # reads, seeks, tells
        if listing.start_dir != start:
            raise _ZipError("bytes precede the zip archive, so two readers would see two files")
        infos = listing.infolist()
    infos.sort(key=lambda info: info.header_offset)
    entries: list[Entry] = []
    end = 0
    for info in infos:
        if info.header_offset < end:
            raise _ZipError(f"zip entries {entries[-1].name!r}, {info.filename!r} share bytes (zip bomb)")
        entry = _entry(file, info)
        entries.append(entry)
        end = entry.offset + entry.packed
        if end > start:
            raise _ZipError(f"zip entry {entry.name!r} reaches beyond the data ({end:,} > {start:,} bytes)")
    files = [entry for entry in entries if not entry.name.endswith("/")]
    _refuse_bombs(files, file.seek(0, 2))
    return _by_name(files)


def _directory_start(file: BinaryIO | _Window) -> int:
    """Offset of the central directory, from the end record; refuses one that is too large to list."""
    tail_start = max(0, file.seek(0, 2) - _END.size - 0xFFFF)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise _ZipError("the zip archive has no end record: the file is cut off")
    _, disk, _, _, _, length, start, comment = _END.unpack_from(tail, at)
    if disk not in (0, 0xFFFF) or at + _END.size + comment != len(tail):
        raise _ZipError("bytes follow the zip archive, so two readers would see two files")
    end = tail_start + at
    file.seek(max(0, end - _LOCATOR64.size))
    locator = file.read(_LOCATOR64.size)
    if locator[:4] == b"PK\x06\x07":
        length, start, end = _end64(file, locator, end)
    if length > MAX_DIRECTORY:
        raise _ZipError(f"the zip directory has {length:,} bytes, expected at most {MAX_DIRECTORY:,}")
    if start + length != end:
        raise _ZipError(
            "the zip directory is not where its end record says, so two readers would see two files"
        )
    return start


def _end64(file: BinaryIO | _Window, locator: bytes, end: int) -> tuple[int, int, int]:
    _, _, at, _ = _LOCATOR64.unpack(locator)
    file.seek(min(at, end))
    record = file.read(_END64.size)
    if len(record) < _END64.size or record[:4] != b"PK\x06\x06":
        raise _ZipError("the zip archive's 64-bit end record is missing")
    length, start = _END64.unpack(record)[8:10]
    return length, start, at


def _entry(file: BinaryIO | _Window, info: zipfile.ZipInfo) -> Entry:
    """Check one entry against its local header and find where its bytes start."""
    what = f"zip entry {info.orig_filename!r}"
    problem = _entry_problem(info)
    if problem:
        raise _ZipError(f"{what} {problem}")
    file.seek(info.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise _ZipError(f"{what} is not where the directory says")
    _, _, flags, method, _, _, _, packed, size, name_length, extra_length = _LOCAL.unpack(header)
    name = file.read(name_length).decode("utf-8" if flags & _UTF8 else "cp437")
    if name != info.orig_filename or method != info.compress_type:
        raise _ZipError(f"{what} is called or packed differently in its own header")
    streamed = bool(flags & _STREAMED) or 0xFFFFFFFF in (packed, size)
    if not streamed and (packed, size) != (info.compress_size, info.file_size):
        raise _ZipError(f"{what} has two different sizes")
    start = info.header_offset + _LOCAL.size + name_length + extra_length
    stored = method == zipfile.ZIP_STORED
    return Entry(info.filename, info.file_size, info.compress_size, stored, start, info.CRC)


def _entry_problem(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "\\" in name or parts[0].endswith(":"):
        return "points outside the archive (path traversal)"
    if any(ord(c) < 32 for c in name):
        return "has control characters in its name"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted: unpack it with its password first"
    if (info.external_attr >> 16) & 0o170000 == _SYMLINK:
        return "is a symbolic link"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed by method {info.compress_type}, only deflate (8) is read"
    size, packed = info.file_size, info.compress_size
    possible = (
        size == packed if info.compress_type == zipfile.ZIP_STORED else size <= DEFLATE_LIMIT * (packed + 1)
    )
    if not possible:
        return f"declares {size:,} bytes from {packed:,}, which cannot be true (zip bomb)"
    return ""


def _refuse_bombs(entries: list[Entry], size: int) -> None:
    declared = sum(entry.size for entry in entries if not entry.stored)
    if declared > max(MAX_INFLATED, MAX_RATIO * size):
        raise _ZipError(f"the archive of {size:,} bytes declares {declared:,} unpacked bytes (zip bomb)")


def _by_name(entries: list[Entry]) -> tuple[dict[str, Entry], tuple[str, ...]]:
    named: dict[str, Entry] = {}
    folded: set[str] = set()
    clashes: list[str] = []
    for entry in entries:
        if entry.name in named:
            raise _ZipError(f"two entries are called {entry.name!r}, so two readers would see two files")
        named[entry.name] = entry
        if entry.name.lower() in folded:
            clashes.append(entry.name)
        folded.add(entry.name.lower())
    return named, tuple(clashes)


def _copied(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    left = entry.packed
    while left and (piece := file.read(min(left, _CHUNK))):
        left -= len(piece)
        yield piece


def _inflated(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    engine = zlib.decompressobj(-15)
    try:
        for packed in _copied(file, entry):
            piece = engine.decompress(packed, _CHUNK)
            while piece:
                yield piece
                piece = engine.decompress(engine.unconsumed_tail, _CHUNK)
        if rest := engine.flush():
            yield rest
    except zlib.error:
        return
