"""What are the classes called? Names from a text or JSON file, or from the model's own metadata."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inspector.errors import BadInput
from inspector.model import Model

__all__ = ["METADATA_KEY", "model_labels", "read_labels"]

METADATA_KEY = "inspector.labels"
"""Model metadata with a JSON list of class names in index order."""

_JSON = re.compile(r"\s*(\{|\[\s*[^\w\s])")
"""A record, or a list of quoted names; `[PAD]` is the first line of many a vocabulary."""

_OTHER_KEYS = (METADATA_KEY, "labels", "classes", "class_names", "names", "id2label")


def read_labels(path: str | Path) -> tuple[str, ...]:
    """Names in index order: a line each, or JSON as a list or as index → name.

    Lines and names of the forms `281: tabby`, `n02123045 tabby cat` and `["n02123045", "tabby"]` are
    understood.

    Raises:
        BadInput: the file cannot be read or holds no names.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as cause:
        raise BadInput(f"labels {path} cannot be read: {cause.strerror}.") from None
    except UnicodeDecodeError:
        raise BadInput(f"labels {path} is not a text file: expected a class name a line, or JSON.") from None
    if Path(path).suffix.lower() == ".json" or _JSON.match(text):
        try:
            return _from_record(json.loads(text), str(path))
        except ValueError as cause:
            raise BadInput(f"labels {path}: not valid JSON: {cause}.") from None
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise BadInput(f"labels {path}: the file is empty.")
    return tuple(map(_without_number, lines, range(len(lines))))


def model_labels(model: Model) -> tuple[str, ...]:
    """The names recorded in the model, or () when there are none."""
    recorded = {p.key: p.value for p in model.proto.metadata_props}
    for key in _OTHER_KEYS:
        text = recorded.get(key, "")
        if not text:
            continue
        try:
            return _from_record(_parse(text), f"metadata {key}")
        except (ValueError, SyntaxError, BadInput):
            continue
    return ()


def _parse(text: str) -> Any:
    """JSON, or a Python literal as some exporters write."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    if text.lstrip()[:1] in ("{", "["):
        return ast.literal_eval(text)
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def _from_record(record: Any, where: str) -> tuple[str, ...]:
    if isinstance(record, dict):
        if not all(str(key).lstrip("-").isdigit() for key in record):
            if all(isinstance(v, int) for v in record.values()):  # name → index
                record = {index: name for name, index in record.items()}
            else:
                raise BadInput(f"labels {where}: expected a list of names or an object index → name.")
        numbered = {int(key): _name(value) for key, value in record.items()}
        if not numbered or min(numbered) < 0 or max(numbered) > 1_000_000:
            raise BadInput(f"labels {where}: class numbers must be 0, 1, 2, …")
        return tuple(numbered.get(index, f"class {index}") for index in range(max(numbered) + 1))
    if isinstance(record, list) and record:
        return tuple(_name(entry) for entry in record)
    raise BadInput(f"labels {where}: expected a list of names or an object index → name.")


def _name(entry: Any) -> str:
    if isinstance(entry, Sequence) and not isinstance(entry, str):
        return str(entry[-1]) if entry else ""
    return str(entry)


def _without_number(line: str, index: int) -> str:
    head, separator, rest = line.partition(":")
    if separator and head.strip() == str(index):
        return rest.strip().strip("'\",")
    first, _, rest = line.partition(" ")
    if len(first) == 9 and first[0] == "n" and first[1:].isdigit() and rest:  # WordNet number
        return rest.strip()
    return line
