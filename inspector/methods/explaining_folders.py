"""Which parts of its input does each answer for a folder depend on? A map a file, written as it is made."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inspector.autograd import steady
from inspector.errors import BadInput, OutputExists
from inspector.execution.data_folder import data_files
from inspector.execution.engines import run_each
from inspector.methods.attribution import Attribution, explain
from inspector.methods.preparing import Preparation
from inspector.methods.registry import find_method
from inspector.model import Model
from inspector.progress import track

__all__ = ["FolderMaps", "attribute_folder"]

INDEX = "maps.jsonl"
"""The first line says what was asked; then a line a file, so that an interrupted run can go on."""

TOGETHER = 8
"""Files of one task on a cluster."""


@dataclass(frozen=True)
class FolderMaps:
    """A record a file (name, target, score, map, picture …), and why some have none."""

    records: tuple[Mapping[str, Any], ...]
    skipped: Mapping[str, str]
    earlier: int


@dataclass(frozen=True)
class _Made:
    """What came of one file: its record, and what is written beside it."""

    record: dict[str, Any]
    values: np.ndarray[Any, np.dtype[Any]] | None
    drawn: bytes | None


@dataclass(frozen=True)
class _Question:
    model: Model
    method: str
    target: str | int | None
    choices: Mapping[str, Any]
    options: Mapping[str, Any]
    pictures: bool
    threads: int

    def mark(self) -> str:
        """What an earlier run must agree with."""
        asked = [
            self.model.digest,
            self.method,
            self.target,
            dict(self.choices),
            dict(self.options),
            self.pictures,
        ]
        return hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()


def attribute_folder(
    model: Model,
    data: str | Path,
    folder: str | Path,
    method: str = "grad-cam",
    target: str | int | None = None,
    *,
    pictures: bool = True,
    engine: str = "embedded",
    options: Mapping[str, Any] | None = None,
    **choices: Any,
) -> FolderMaps:
    """Explain every file of a folder by `attribute`, whose further options `choices` are.

    `folder` gets the raw map of `a/cat.png` as `a/cat.png.npy`, with `pictures` drawn over it as
    `a/cat.png.map.png`, and `maps.jsonl`. A run that finds the index of an interrupted one goes on from it.
    Values at a layer come from ONNX Runtime, so maps equal those of `attribute` to rounding.
    Files that cannot be fed are listed, not fatal. `engine` is "embedded" or "ray[:address]"; both give the
    same bits, as tasks take as many threads as this process has.

    Raises:
        BadInput: no file is there, or none could be explained.
        OutputExists: `folder` has the maps of another question.
    """
    find_method(method)
    root, out = Path(data), Path(folder)
    files = [path for path in data_files(root) if not path.resolve().is_relative_to(out.resolve())]
    question = _Question(
        model, method, target, choices, dict(options or {}), pictures, torch.get_num_threads()
    )
    records = _begun(out / INDEX, question.mark())
    earlier = {record["name"] for record in records}
    pending = [path for path in files if path.relative_to(root).as_posix() not in earlier]
    with (out / INDEX).open("a", encoding="utf-8") as index:
        for made in _answers(question, root, pending, engine):
            _write(out, made)
            index.write(json.dumps(made.record) + "\n")
            index.flush()
            records.append(made.record)
    skipped = {record["name"]: record["problem"] for record in records if "problem" in record}
    found = tuple(record for record in records if "problem" not in record)
    if not found:
        first = next(iter(skipped.items()))
        raise BadInput(f"{data}: none of {len(files)} files could be explained; {first[0]}: {first[1]}")
    return FolderMaps(found, skipped, len(earlier))


def _answers(question: _Question, root: Path, files: list[Path], engine: str) -> Iterator[_Made]:
    what = f"Explaining by {question.method}"
    if engine == "embedded":
        lent = _Lent(question)
        for path in track(files, what):
            yield _explained(lent, root, path)
        return
    shares = [files[start : start + TOGETHER] for start in range(0, len(files), TOGETHER)]
    work = functools.partial(_share, question, root)
    gpu = question.choices.get("device") == "cuda"
    for share in run_each(engine, work, shares, what, gpu=gpu):
        yield from share


def _share(question: _Question, root: Path, files: list[Path]) -> list[_Made]:
    torch.set_num_threads(question.threads)  # sums of another number of threads differ in their last bits
    lent = _Lent(question)
    return [_explained(lent, root, path) for path in files]


class _Lent:
    """The net of a question, made at the first file that can be read and lent to every one; sessions too.

    Each map is made with what files of its own shapes lend, that file itself if there was none before: where
    a run starts or goes on must not change a bit.
    """

    def __init__(self, question: _Question) -> None:
        self.question = question
        self.method = find_method(question.method)
        self.last: Preparation | None = None
        self.shapes: dict[str, tuple[int, ...]] = {}

    def explain(self, path: Path) -> Attribution:
        """The map of one file."""
        asked = self.question
        fresh = Preparation(asked.model, str(path), **asked.choices)
        prepared = fresh if self.last is None else self.last.on(str(path))
        subject = prepared.subject(self.method, asked.target)
        shapes = {name: tuple(value.shape) for name, value in subject.feeds.items()}
        if self.last is None or shapes != self.shapes:
            self.last, self.shapes = prepared, shapes
            subject = prepared.on(str(path)).subject(self.method, asked.target)
        return explain(subject, self.method, **asked.options)


def _explained(lent: _Lent, root: Path, path: Path) -> _Made:
    name, question = path.relative_to(root).as_posix(), lent.question
    try:
        with steady():
            made = lent.explain(path)
    except BadInput as cause:
        return _Made({"name": name, "problem": str(cause)}, None, None)
    record = {"name": name, "map": f"{name}.npy", **_facts(made)}
    if question.pictures:
        record["picture"] = f"{name}.map.png"
    return _Made(record, made.values, made.figure().data if question.pictures else None)


def _facts(made: Attribution) -> dict[str, Any]:
    kept = ("target", "class", "score", "layer", "residual", "shape", "axes", "min", "max", "sum", "notes")
    facts = made.to_dict()
    return {key: facts[key] for key in kept}


def _begun(index: Path, mark: str) -> list[dict[str, Any]]:
    """The records of an earlier run of the same question; a line that was cut off is taken back."""
    if not index.exists():
        index.parent.mkdir(parents=True, exist_ok=True)
        index.write_text(json.dumps({"mark": mark}) + "\n", "utf-8")
        return []
    whole = index.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    try:
        head, *records = [json.loads(line) for line in kept.decode().splitlines()] or [{}]
    except ValueError as cause:
        raise OutputExists(f"{index} cannot be read: {cause}. Delete it or name another folder.") from None
    if head.get("mark") != mark:
        raise OutputExists(
            f"{index.parent} has maps of another model, method or target. Delete them or name another folder."
        )
    if len(kept) < len(whole):
        os.truncate(index, len(kept))
    return records


def _write(out: Path, made: _Made) -> None:
    if made.values is None:
        return
    path = out / made.record["map"]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, made.values, allow_pickle=False)
    if made.drawn is not None:
        (out / made.record["picture"]).write_bytes(made.drawn)
