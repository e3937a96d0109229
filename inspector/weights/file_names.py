"""How is a tensor's name spelled as a file name on every system?"""

from __future__ import annotations

import re

__all__ = ["file_names"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._\-+=@,() ]")
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_LONGEST = 180
"""Characters before the suffix; file systems stop at 255 bytes."""


def file_names(names: list[str], suffix: str) -> list[str]:
    """One distinct file name each, also where case is ignored; other characters are %-encoded."""
    taken: set[str] = {"manifest.json"}
    out: list[str] = []
    for name in names:
        stem = _UNSAFE.sub(_encode, name)
        if not stem or stem[0] in ". " or stem[-1] in ". " or _RESERVED.match(stem):
            stem = "%" + "".join(f"{b:02X}" for b in stem[:1].encode()) + stem[1:].rstrip(". ")
        stem = stem[:_LONGEST]
        candidate, count = stem + suffix, 1
        while candidate.lower() in taken:
            count += 1
            candidate = f"{stem}~{count}{suffix}"
        taken.add(candidate.lower())
        out.append(candidate)
    return out


def _encode(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogatepass"))
