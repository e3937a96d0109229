"""May torch's own loaders see this archive? The static check before `torch.jit.load` and `torch.export.load`.

Both loaders run what a file tells them to (`__setstate__` methods, size expressions, pickles, compiled
libraries, imports named in tree specifications). What passes here can only compute.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from converters.elements import by_storage_class, by_torch
from converters.errors import BadFile
from converters.exported_program import program_inputs, read_program
from converters.lazy_tensor import LazyTensor
from converters.program_check import check_program
from converters.stub_unpickler import Report
from converters.torch_file import is_pickle, read_archive_pickle, read_torch_file
from converters.torchscript_code import ScriptCode, read_code
from converters.zip_archive import Archive, is_zip, open_archive
from converters.zip_kind import kind_of_names

__all__ = ["ArchiveInput", "ArchiveReport", "archive_root", "check_archive", "script_code"]

MAX_CODE = 32 << 20
"""Bytes of one source file in a TorchScript archive."""

_SCRIPT_MEMBERS = (
    "data.pkl", "data/*", "constants.pkl", "constants/*", "code/*.py", "code/*.py.debug_pkl", "version",
    "byteorder", ".data/*", ".format_version", ".storage_alignment", "traced_inputs.pkl", "traced_inputs/*",
    "extra/*",
    "bytecode.pkl", "mobile_debug_handles.pkl",
)  # fmt: skip
_PROGRAM_MEMBERS = (
    "models/*.json", "data/weights/*", "data/constants/*", "data/sample_inputs/*.pt", "archive_format",
    "archive_version", "byteorder", ".data/*", ".format_version", ".storage_alignment", "version", "extra/*",
)  # fmt: skip
_OLD_PROGRAM_MEMBERS = (
    "serialized_exported_program.json", "serialized_state_dict.pt", "serialized_constants.pt",
    "serialized_example_inputs.pt", "version", "extra_files/*",
)  # fmt: skip
_PLAIN_TORCH = frozenset(
    (
        "torch.Size", "torch.device", "torch.strided", "torch.sparse_coo", "torch.sparse_csr", "torch.jagged",
        "torch.contiguous_format", "torch.channels_last", "torch.channels_last_3d", "torch.preserve_format",
        "torch.per_tensor_affine", "torch.per_channel_affine", "torch.per_tensor_symmetric",
        "torch.per_channel_symmetric", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer",
        "torch._utils._get_restore_location",
    )
)  # fmt: skip
_NATIVE = "__torch__.torch.classes."
_SCRIPT_CLASS = re.compile(r"__torch__\.[\w.]+", re.ASCII)


@dataclass(frozen=True)
class ArchiveInput:
    """An input as the archive remembers it; a size is a number or an expression of symbols."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class ArchiveReport:
    """What the check found. `safe` means that torch's loader may run (in the locked-down child)."""

    kind: str
    """"torchscript", "exported-program", "torch-pickle", or "pickle" for files that are no zip."""
    safe: bool
    findings: tuple[str, ...]
    """Sentences, each a reason why it is not safe."""
    notes: tuple[str, ...] = ()
    """What runs on loading although it is harmless."""
    operators: tuple[str, ...] = ()
    inputs: tuple[ArchiveInput, ...] = ()


def check_archive(path: Path) -> ArchiveReport:
    """Check a TorchScript archive, a `.pt2` program or any pickle, without running anything of it.

    A damaged or hostile container is a finding too; other formats have the kind "".
    """
    with path.open("rb") as file:
        head = file.read(512)
    try:
        if is_zip(head):
            report = _check_zip(open_archive(path.resolve()))
        elif is_pickle(head):
            report = _pickle_report("pickle", read_torch_file(path).report)
        else:
            report = ArchiveReport("", False, ("no archive or pickle of torch",))
    except BadFile as fact:
        return ArchiveReport("damaged", False, (str(fact),))
    return replace(report, safe=not report.findings)


def _check_zip(archive: Archive) -> ArchiveReport:
    kind = kind_of_names(archive.entries)
    if kind == "torchscript":
        return _check_script(archive)
    if kind == "exported-program":
        return _check_program(archive)
    if kind == "torch-pickle":
        return _pickle_report(kind, read_torch_file(archive.path).report)
    return ArchiveReport(kind or "", False, ("no archive of torch",))


def _pickle_report(kind: str, report: Report) -> ArchiveReport:
    return ArchiveReport(kind, False, report.sentences())


def _check_script(archive: Archive) -> ArchiveReport:
    root = archive_root(archive)
    code = script_code(archive)
    findings = [*_layout(archive, root, _SCRIPT_MEMBERS), *code.findings]
    for name in archive.entries:
        inner = name.removeprefix(root)
        if inner.endswith((".pkl", ".debug_pkl")) and not inner.startswith(("data/", "extra/")):
            report = read_archive_pickle(archive, name, name.removesuffix(".pkl"), hollow=True).report
            findings += [f"{inner}: {text}" for text in _pickle_findings(report, script=True)]
    notes = [f"{path}.__setstate__ runs on loading; it only computes" for path in code.loaders]
    inputs = tuple(_traced_inputs(archive, root))
    operators = tuple(sorted(code.operators))
    return ArchiveReport("torchscript", False, _once(findings), tuple(notes), operators, inputs)


def script_code(archive: Archive) -> ScriptCode:
    """The parsed code of a TorchScript archive."""
    start = f"{archive_root(archive)}code/"
    names = [name for name in archive.entries if name.startswith(start) and name.endswith(".py")]
    texts = {name: archive.read(name, MAX_CODE).decode("utf-8", "replace") for name in names}
    return read_code({name.removeprefix(start): text for name, text in texts.items()})


def _traced_inputs(archive: Archive, root: str) -> Iterator[ArchiveInput]:
    """Inputs that a trace remembers: `{"forward": (tensor, …)}`."""
    member = f"{root}traced_inputs.pkl"
    if member not in archive:
        return
    value = read_archive_pickle(archive, member, f"{root}traced_inputs", hollow=True).value
    methods: dict[object, object] = value if isinstance(value, dict) else {}
    given = next((v for k, v in methods.items() if str(k).endswith("forward")), None)
    tensors: list[object] = list(given) if isinstance(given, (tuple, list)) else []
    for index, tensor in enumerate(tensors):
        if isinstance(tensor, LazyTensor):
            yield ArchiveInput(str(index), tensor.element.name, tensor.shape)


def _check_program(archive: Archive) -> ArchiveReport:
    root = archive_root(archive)
    old = "serialized_exported_program.json" in {name.removeprefix(root) for name in archive.entries}
    findings = _layout(archive, root, _OLD_PROGRAM_MEMBERS if old else _PROGRAM_MEMBERS)
    program = read_program(archive, root)
    findings += check_program(program)
    for name, file in program.pickles():
        findings += [f"{name}: {text}" for text in _pickle_findings(file.report, script=False)]
    inputs = tuple(ArchiveInput(*row) for row in program_inputs(program))
    return ArchiveReport("exported-program", False, _once(findings), (), program.operators(), inputs)


def archive_root(archive: Archive) -> str:
    """The folder that all members share, with its slash; "" if there is none."""
    first = next(iter(archive.entries), "").partition("/")
    return first[0] + "/" if first[1] and all(n.startswith(first[0] + "/") for n in archive.entries) else ""


def _layout(archive: Archive, root: str, allowed: Iterable[str]) -> list[str]:
    """Members that no such archive needs, and names that torch's reader would confuse."""
    patterns = tuple(allowed)
    strange = [
        name
        for name in archive.entries
        if not any(fnmatch.fnmatchcase(name.removeprefix(root), pattern) for pattern in patterns)
    ]
    found = [f"holds {name!r}, which such an archive does not need" for name in strange[:10]]
    return found + [f"two members differ only in case: {name!r}" for name in archive.case_clashes[:10]]


def _pickle_findings(report: Report, *, script: bool) -> list[str]:
    """Names other than tensor rebuilders, dtypes and (in TorchScript) the archive's own classes."""
    found = [call.sentence() for call in report.calls[:10]]
    for name in sorted(report.names):
        own = script and _SCRIPT_CLASS.fullmatch(name) is not None and not _is_native(name)
        if not (own or name in _PLAIN_TORCH or by_torch(name) or by_storage_class(name)):
            found.append(f"its pickle refers to {name}")
    return found


def _is_native(name: str) -> bool:
    """Classes written in C++, of which only the quantised weights are known."""
    return name.startswith(_NATIVE) and not name.startswith(f"{_NATIVE}quantized.")


def _once(findings: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(findings))
