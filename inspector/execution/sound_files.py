"""Which samples are in a sound file? PCM of 8 to 32 bits or floats, channels averaged, as -1 … 1.

The standard library reads no floats and no extensible header, so the few chunks that matter are read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput

__all__ = ["read_sound"]

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


def read_sound(path: str | Path) -> tuple[npt.NDArray[np.float32], int, str]:
    """Samples (t,) of -1 … 1, the rate in samples a second, and what the file lacks ('' when it is whole).

    Raises:
        BadInput: missing, unreadable, or no .wav of PCM or floats.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as cause:
        raise BadInput(f"sound {path} cannot be read: {cause.strerror}.") from None
    if content[:4] not in (b"RIFF", b"RF64") or content[8:12] != b"WAVE":
        what = "is empty" if not content else "is not a .wav file"
        raise BadInput(f"sound {path} {what}. Convert it to .wav.")
    chunks = dict(_chunks(content))
    kind, body, missing = chunks.get(b"fmt ", (b"", 0))[0], *chunks.get(b"data", (b"", 0))
    if len(kind) < 16 or b"data" not in chunks:
        raise BadInput(f"sound {path} ends before its samples begin. Record or copy it anew.")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", kind[:16])
    if code == _EXTENSIBLE and len(kind) >= 26:
        (code,) = struct.unpack("<H", kind[24:26])
    if channels == 0 or (code, bits) not in _READERS:
        raise BadInput(
            f"sound {path} holds {bits}-bit samples of kind {code} in {channels} channels; PCM of 8, 16, 24 "
            "or 32 bits and floats of 32 or 64 are read. Convert it."
        )
    frame = channels * bits // 8
    samples = _READERS[code, bits](body[: len(body) // frame * frame]).reshape(-1, channels).mean(axis=1)
    if not len(samples):
        raise BadInput(f"sound {path} holds no samples.")
    note = f", {missing:,} bytes less than its header says" if missing else ""
    return samples.astype(np.float32), rate, note


def _chunks(content: bytes) -> Iterator[tuple[bytes, tuple[bytes, int]]]:
    """Name, bytes and how many bytes are missing of every chunk; a streamed file does not know its length."""
    at = 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + size]
        unknown = size == 2**32 - 1
        yield name, (body, 0 if unknown else size - len(body))
        at += 8 + size + size % 2


def _eight(raw: bytes) -> npt.NDArray[Any]:
    return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 128


def _twenty_four(raw: bytes) -> npt.NDArray[Any]:
    parts = np.zeros((len(raw) // 3, 4), np.uint8)
    parts[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    return parts.view("<i4")[:, 0] / 2.0**31


_READERS: dict[tuple[int, int], Any] = {
    (_PCM, 8): _eight,
    (_PCM, 16): lambda raw: np.frombuffer(raw, "<i2") / 2.0**15,
    (_PCM, 24): _twenty_four,
    (_PCM, 32): lambda raw: np.frombuffer(raw, "<i4") / 2.0**31,
    (_FLOAT, 32): lambda raw: np.frombuffer(raw, "<f4").astype(np.float64),
    (_FLOAT, 64): lambda raw: np.frombuffer(raw, "<f8"),
}
