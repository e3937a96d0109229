"""What does a server hold? Opened models by digest, uploads under names of its own, runs by id."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from inspector import execution
from inspector import model as models
from inspector.errors import UnknownName
from inspector.execution import Capture, Prediction
from inspector.model import Model
from inspector.server.recents import Recents

__all__ = ["Run", "Stored", "Workplace"]

_RUNS = 16
_BUDGET = 256 << 20
"""Bytes of values that a run holds; the others are replayed when looked at."""


@dataclass(frozen=True)
class Stored:
    """A file of the server's own: an upload, or something an action wrote. `name` is for display only."""

    id: str
    name: str
    path: Path


@dataclass(frozen=True, eq=False)
class Run:
    """One input that went through a model; values are looked up one at a time."""

    id: str
    capture: Capture
    prediction: Prediction
    lock: threading.Lock


class Workplace:
    """Everything one server keeps, in one private folder that goes when it ends, or in the one given."""

    def __init__(self, folder: Path | None = None) -> None:
        self._keep = (
            None if folder else TemporaryDirectory(prefix="inspector-page-", ignore_cleanup_errors=True)
        )
        self.folder = folder or Path(self._keep.name if self._keep else "")
        self._models: dict[str, Model] = {}
        self._files: dict[str, Stored] = {}
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.Lock()
        self.first: tuple[str, ...] = ()
        """Digests of the models that were named at the start."""
        self.input = ""
        """Id of the input that was named at the start."""
        self.recents = Recents()
        """Files that may be opened again; none are remembered unless the command `open` says where."""

    def __enter__(self) -> Workplace:
        """The workplace; its folder goes at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder with everything that was uploaded or written."""
        if self._keep is not None:
            self._keep.cleanup()

    @property
    def models(self) -> Mapping[str, Model]:
        """Opened models by digest, in the order of opening."""
        return dict(self._models)

    def add(self, source: Any, name: str = "", **options: Any) -> str:
        """Open a model, under a name of its own where one is given, and give its digest."""
        model = models.open_model(source, **options)
        if name:
            model = replace(model, origin=replace(model.origin, file=name))
        with self._lock:
            return self._keep_model(model)

    def model(self, digest: str) -> Model:
        """The model with this digest; UnknownName when it was never opened here."""
        if digest not in self._models:
            raise UnknownName("no such model is open here. Open its file again.")
        return self._models[digest]

    def room(self, name: str) -> Stored:
        """A new file under a name of the server's own; the suffix is kept where it is plain."""
        identity = secrets.token_urlsafe(12)
        suffix = Path(name).suffix.lower()[:12]
        plain = suffix if suffix[1:].isalnum() and suffix.isascii() else ""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        return Stored(identity, Path(name.replace("\\", "/")).name[:200] or "file", folder / f"file{plain}")

    def keep(self, stored: Stored) -> None:
        """Let a finished file be asked for."""
        self._files[stored.id] = stored

    def share(self, path: Path, identity: str = "") -> Stored:
        """Let a file that the user named on the command line be asked for by an id."""
        stored = Stored(identity or secrets.token_urlsafe(12), path.name, path.resolve())
        self._files[stored.id] = stored
        return stored

    def file(self, identity: str) -> Stored:
        """A file by its id; UnknownName when there is none."""
        if identity not in self._files:
            raise UnknownName("no such file was uploaded here. Send it again.")
        return self._files[identity]

    def worded(self, text: str) -> str:
        """A message with the names that files came with in place of the server's own."""
        for stored in list(self._files.values()):
            text = text.replace(str(stored.path), stored.name)
        return text

    def drop(self, stored: Stored) -> None:
        """Remove a file that did not arrive whole."""
        stored.path.unlink(missing_ok=True)
        stored.path.parent.rmdir()
        self._files.pop(stored.id, None)

    def run(self, digest: str, source: str, preprocess: str | None, labels: tuple[str, ...]) -> Run:
        """Send one input through a model; its values can be looked up afterwards."""
        model = self.model(digest)
        inputs = execution.read_inputs(model, source, preprocess=preprocess)
        return self._ran(model, inputs.feeds, execution.predict(model, inputs, labels=labels, top=10))

    def run_feeds(self, digest: str, feeds: Mapping[str, Any]) -> Run:
        """Send prepared arrays by input name through a model."""
        model = self.model(digest)
        return self._ran(model, feeds, execution.predict(model, feeds, top=10))

    def _ran(self, model: Model, feeds: Mapping[str, Any], prediction: Prediction) -> Run:
        prepared = execution.prepare(model, feeds, budget=_BUDGET)
        made = Run(secrets.token_urlsafe(12), prepared.run(feeds), prediction, threading.Lock())
        with self._lock:
            self._runs[made.id] = made
            while len(self._runs) > _RUNS:
                self._runs.popitem(last=False)
        return made

    def find_run(self, identity: str) -> Run:
        """A run by its id; UnknownName once it is forgotten."""
        if identity not in self._runs:
            raise UnknownName("this run has been forgotten. Run the input again.")
        return self._runs[identity]

    def _keep_model(self, model: Model) -> str:
        self._models.setdefault(model.digest, model)
        return model.digest
