"""What runs inside the child process: lock the door, import the task, do it, answer in one JSON line."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from converters import lockdown
from converters.errors import ConversionFailed, InspectorError

__all__ = ["TASKS", "main"]

TASKS = {
    "export": "converters.pytorch.tasks:export",
    "oracle": "converters.pytorch.tasks:oracle",
    "keras-oracle": "converters.keras_calling:oracle",
}
"""Task name → the function `(request, folder, say) -> answer` that does it."""


def main(writer: int, parent: int) -> None:
    """Read one request from standard input, do it, answer on descriptor `writer`."""
    lockdown.die_with_parent(parent)
    envelope = json.loads(sys.stdin.buffer.read())
    with open(writer, "w", encoding="utf-8", buffering=1) as answers:
        try:
            answer, locks = _work(envelope, answers)
        except InspectorError as error:
            _send(answers, {"error": type(error).__name__, "message": str(error)})
        except MemoryError:
            _send(answers, _out_of_memory(envelope))
        except Exception as error:  # noqa: BLE001  # the border of a process: the parent raises it again
            traceback.print_exc()
            _send(answers, _failure(envelope, error))
        else:
            _send(answers, {"answer": answer, "locks": locks})
    sys.stdout.flush()
    os._exit(0)  # threads of a framework must not keep a finished child alive


def _work(envelope: Mapping[str, Any], answers: IO[str]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    folder = Path(envelope["folder"])
    sys.path.extend(entry for entry in envelope["path"] if entry not in sys.path)
    locks: tuple[str, ...] = ()
    if envelope["locked"]:
        readable = [Path(path) for path in envelope["readable"]]
        locks = lockdown.lock(folder, lockdown.readable_folders(readable))
    lockdown.limit_files(envelope["file_size"])
    module, _, function = TASKS[envelope["task"]].partition(":")
    task = getattr(importlib.import_module(module), function)
    if lockdown.limit_memory(envelope["memory"]):
        locks = (*locks, "limited memory")
    return task(envelope["request"], folder, lambda text: _send(answers, {"progress": text})), locks


def _failure(envelope: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    text = f"{type(error).__name__}: {error}"
    if "can't allocate memory" in text or "bad_alloc" in text:
        return _out_of_memory(envelope)
    return {"error": ConversionFailed.__name__, "message": f"the framework refused the model. {text}"}


def _out_of_memory(envelope: Mapping[str, Any]) -> dict[str, Any]:
    limit = envelope["memory"] / (1 << 30)
    message = f"{envelope['task']}: needs more than {limit:.3g} GiB, the memory limit."
    return {"error": ConversionFailed.__name__, "message": message}


def _send(answers: IO[str], message: Mapping[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()
