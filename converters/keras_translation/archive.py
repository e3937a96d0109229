"""Which members does a `.keras` zip hold, and are their sizes to be believed? Read in place."""

from __future__ import annotations

import io
import json
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from converters.errors import BadFile

__all__ = [
    "check_members",
    "member_file",
    "member_names",
    "open_archive",
    "parse_json",
    "parse_json_text",
    "read_json",
]

_MAX_JSON = 512 << 20
_MAX_MEMBERS = 100_000
_MAX_RATIO = 1100
"""Deflate cannot exceed 1032 : 1."""


def member_names(path: Path) -> frozenset[str]:
    """Names inside a zip; empty for anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return frozenset()


@contextmanager
def open_archive(path: Path) -> Generator[zipfile.ZipFile]:
    """Open a zip whose members have been checked; errors of the library become `BadFile`."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path)
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as cause:
        raise BadFile(f"{path}: the zip archive is damaged ({cause}). Get another copy.") from cause


def check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse names that leave the archive, names that occur twice, and sizes that cannot be true."""
    entries = archive.infolist()
    if len(entries) > _MAX_MEMBERS:
        raise BadFile(f"{path}: the archive lists {len(entries):,} members.")
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise BadFile(f"{path}: the archive holds a name that leaves it ({entry.filename!r}).")
        if name in seen:
            raise BadFile(f"{path}: the archive holds {entry.filename!r} twice; which one counts is unclear.")
        seen.add(name)
        if entry.file_size > max(_MAX_RATIO * entry.compress_size, 1 << 16):
            raise BadFile(
                f"{path}: member {entry.filename!r} declares {entry.file_size:,} bytes from "
                f"{entry.compress_size:,}; that is no honest compression."
            )
        if entry.flag_bits & 1:
            raise BadFile(f"{path}: member {entry.filename!r} is encrypted.")


def read_json(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    """A JSON object of the archive."""
    entry = archive.getinfo(name)
    if entry.file_size > _MAX_JSON:
        raise BadFile(f"{path}: {name} declares {entry.file_size:,} bytes; a configuration is far smaller.")
    with archive.open(entry) as file:
        return parse_json(file, f"{path}: {name}")


class _Section(io.RawIOBase):
    """A stored member read where it lies: seeking costs nothing, nothing is unpacked."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._file = path.open("rb")
        self._start, self._size, self._position = start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(min(len(view), self._size - self._position), 0)
        self._file.seek(self._start + self._position)
        count = self._file.readinto(view[:count])  # pyright: ignore[reportAttributeAccessIssue]
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def member_file(archive: zipfile.ZipFile, name: str, path: Path) -> Generator[BinaryIO]:
    """A seekable view of a member: in place where it is stored, else unpacked beside nothing else."""
    entry = archive.getinfo(name)
    if entry.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(entry.header_offset)
            header = file.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise BadFile(f"{path}: member {name!r} does not lie where the archive says.")
        start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        with _Section(path, start, entry.file_size) as section:
            yield cast(BinaryIO, section)
        return
    with tempfile.TemporaryFile() as unpacked, archive.open(entry) as packed:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
        unpacked.seek(0)
        yield cast(BinaryIO, unpacked)


def parse_json(file: IO[bytes], shown: str) -> dict[str, Any]:
    """Parse a JSON object; numbers, strings, lists and dictionaries only, whatever it says."""
    return parse_json_text(file.read(_MAX_JSON), shown)


def parse_json_text(text: bytes | str, shown: str) -> dict[str, Any]:
    """Parse the text of a JSON object."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise BadFile(f"{shown} is no valid JSON ({cause}).") from None
    if not isinstance(record, dict):
        raise BadFile(f"{shown} is no JSON object.")
    return record
