"""May Keras itself load this configuration? The static check before it runs as an oracle, and that run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from converters.errors import Untrusted
from converters.registry import Options
from converters.sample_files import Outputs, Samples
from converters.torch_oracle import run_file

__all__ = ["config_dangers", "run_keras_file"]

_MODULES = re.compile(
    r"keras(\.(layers|models|initializers|regularizers|constraints|dtype_policies|quantizers|random|src\.ops)"
    r"(\.\w+)*|\.src\.(models|layers)(\.\w+)*)?",
    re.ASCII,
)
_CLASS = re.compile(r"[A-Z]\w*", re.ASCII)
_RUNS_CODE = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
_READS_FILES = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})
_SHOWN = 5


def config_dangers(record: Any) -> list[str]:
    """What Keras would import, decode or read for this configuration beyond its own stock classes."""
    return list(dict.fromkeys(_dangers(record)))


def _dangers(record: Any) -> Iterator[str]:
    pending = [record]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        if not isinstance(item, Mapping):
            continue
        pending.extend(value for key, value in item.items() if key != "compile_config")
        name, module = item.get("class_name"), item.get("module")
        registered = item.get("registered_name")
        if name == "__lambda__" or item.get("function_type") == "lambda":
            yield "a function's bytecode"
        elif name in _RUNS_CODE or name in _READS_FILES:
            yield f"a {name} layer"
        elif isinstance(module, str) and not _MODULES.fullmatch(module):
            yield f"the name {name} of module {module!r}"
        elif isinstance(name, str) and not name.startswith("__") and not _CLASS.fullmatch(name):
            yield f"the function {name!r}"
        elif isinstance(registered, str) and ">" in registered:
            yield f"the custom class {registered!r}"


def run_keras_file(
    files: Mapping[str, Path], record: Any, options: Options, folder: Path, samples: Samples
) -> Outputs:
    """Run a Keras source in the locked child; `files` names "keras", "h5", or "config" and "weights".

    Raises:
        Untrusted: its configuration asks for more than stock layers, and trust was not given.
        MissingFramework: Keras or its torch backend is not installed.
    """
    found = config_dangers(record)
    if found and not options.trust:
        shown = "; ".join(found[:_SHOWN])
        raise Untrusted(f"Keras would load {shown}. Pass trust only if you know who made the file.")
    request = {key: str(path.resolve()) for key, path in files.items()}
    readable = [path.resolve() for path in files.values()]
    return run_file(request, folder, samples, options, locked=True, readable=readable, task="keras-oracle")
