"""Where do the pictures of a data set come from? A folder, .tar shards or .npz arrays, decoded ahead."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections import deque
from collections.abc import Callable, Container, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.execution.picture_files import PICTURE_SUFFIXES, as_picture, read_picture

__all__ = ["Item", "count_pictures", "listing", "stream_pictures"]

THREADS = 2
AHEAD = 6
"""Pictures decoded before they are asked for."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Item:
    """One picture of a data set, or why it could not be read."""

    name: str
    picture: Pixels | None
    problem: str = ""


def listing(data: Path) -> str:
    """What tells one state of the data from another: names and sizes, as text."""
    return "\n".join(
        f"{path.relative_to(data.parent).as_posix()} {path.stat().st_size}" for path in _files(data)
    )


def stream_pictures(data: str | Path, *, only: Container[str] | None = None) -> Iterator[Item]:
    """The pictures of a folder, a .tar or an .npz in a fixed order; a folder may hold such shards too.

    `only` names the wanted ones; others are passed over unread.

    Raises:
        BadInput: there is no picture at all, or a shard is broken.
    """
    path = Path(data)
    found = 0
    waiting: deque[Future[Item]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for name, read in _every(path):
            found += 1
            if only is not None and name not in only:
                continue
            waiting.append(pool.submit(_decoded, name, read))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    if not found:
        raise _nothing(path)


def count_pictures(data: str | Path) -> int:
    """How many there are, whether they can be read or not.

    Raises:
        BadInput: there is none, or a shard is broken.
    """
    count = sum(1 for _ in _every(Path(data)))
    if not count:
        raise _nothing(Path(data))
    return count


def _nothing(path: Path) -> BadInput:
    return BadInput(f"{path} holds no picture, .tar or .npz.")


def _decoded(name: str, read: Callable[[], Pixels]) -> Item:
    try:
        return Item(name, read())
    except BadInput as cause:
        return Item(name, None, str(cause))


def _files(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise BadInput(f"{data} is neither a folder nor a .tar or .npz file.")
    wanted = PICTURE_SUFFIXES | {".tar", ".npz"}
    return sorted(p for p in data.rglob("*") if p.suffix.lower() in wanted and p.is_file())


def _every(data: Path) -> Iterator[tuple[str, Callable[[], Pixels]]]:
    for path in _files(data):
        name = path.relative_to(data).as_posix() if data.is_dir() else path.name
        match path.suffix.lower():
            case ".tar":
                yield from _of_tar(path, name)
            case ".npz":
                yield from _of_npz(path, name)
            case _:
                yield name, lambda path=path: read_picture(path)


def _of_tar(path: Path, shard: str) -> Iterator[tuple[str, Callable[[], Pixels]]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not member.isfile() or Path(member.name).suffix.lower() not in PICTURE_SUFFIXES:
                    continue
                file = archive.extractfile(member)
                data = b"" if file is None else file.read()
                yield f"{shard}/{member.name}", lambda data=data: read_picture(io.BytesIO(data))
    except (tarfile.TarError, EOFError, OSError) as cause:
        raise BadInput(f"shard {path} cannot be read: {cause}.") from None


def _of_npz(path: Path, shard: str) -> Iterator[tuple[str, Callable[[], Pixels]]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                stack = archive[key]
                if stack.ndim != 4:
                    continue
                for index in range(len(stack)):
                    row = stack[index]
                    yield f"{shard}/{key}/{index}", lambda row=row: as_picture(row)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as cause:
        raise BadInput(f"shard {path} cannot be read: {cause}.") from None
