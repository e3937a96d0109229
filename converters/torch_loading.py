"""What becomes of a torch pickle once read? Weights, a drawing, or a model exported in a child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converters.checkpoint import weights_of
from converters.errors import BadFile, InspectorError, MissingOption
from converters.module_tree import Module, find_modules, module_of, rebuild_plan
from converters.provenance import Origin
from converters.registry import Conversion, Options
from converters.torch_conversion import READ_ONLY, export_in_child, new_folder
from converters.torch_file import TorchFile
from converters.torch_oracle import Outputs, Samples, run_file
from converters.torch_structure import structure_conversion
from converters.weight_graph import NamedTensor, weight_conversion

__all__ = ["convert_loaded", "convert_weights", "run_loaded", "run_weights"]

_TENSORS = "source.onnx"


def convert_loaded(path: Path, file: TorchFile, options: Options) -> Conversion:
    """The conversion of a file whose pickle was read.

    Raises:
        BadFile: it holds no tensors; the message says what it would have run instead.
    """
    would = [f"not run: {sentence}" for sentence in file.report.sentences()]
    modules = find_modules(file.value)
    if modules and options.trust and not options.factory:
        return _trusted(path, options)
    if modules:
        return _module(path, module_of(modules[0]), options, [*would, *file.notes])
    found = weights_of(file.value)
    if not found.weights:
        raise BadFile(f"{path}: holds no tensors. {'; '.join([*would, *found.notes])}".rstrip())
    framework = "numpy" if file.container == "pickle" else "torch"
    origin = Origin("state-dict", framework, "", "", path.name)
    notes = [*would, *file.notes, *found.notes]
    return convert_weights(path, found.weights, options, origin, notes)


def convert_weights(
    path: Path, weights: Sequence[NamedTensor], options: Options, origin: Origin, notes: Sequence[str]
) -> Conversion:
    """Weights alone, or the factory's architecture with these weights in it."""
    if options.factory:
        return _export_with_tensors(path, weights, {"kind": "factory"}, options, origin, notes)
    return weight_conversion(path, weights, origin, notes)


def run_loaded(path: Path, file: TorchFile, options: Options, folder: Path, samples: Samples) -> Outputs:
    """Run what a pickle holds as the oracle of a comparison: rebuilt, trusted or from the factory.

    Raises:
        MissingOption: only its own code could run it, or it holds weights and no architecture.
    """
    modules = find_modules(file.value)
    if options.factory:
        weights = list(module_of(modules[0]).named_tensors()) if modules else weights_of(file.value).weights
        return run_weights(path, weights, options, folder, samples)
    if modules and options.trust:
        request = {"kind": "module", "path": str(path.resolve())}
        return run_file(request, folder, samples, options, locked=False, readable=[path.resolve()])
    tree = module_of(modules[0]) if modules else None
    plan = "the file holds weights and no architecture" if tree is None else rebuild_plan(tree)
    if tree is None or isinstance(plan, str):
        raise MissingOption(f"{plan}: pass trust to run the code of this file, or a factory.")
    request = {"kind": "plan", "plan": plan}
    return _run_with_tensors(path, list(tree.named_tensors()), request, options, folder, samples)


def run_weights(
    path: Path, weights: Sequence[NamedTensor], options: Options, folder: Path, samples: Samples
) -> Outputs:
    """Run the factory's architecture with these weights as the oracle of a comparison.

    Raises:
        MissingOption: no factory was given.
    """
    if not options.factory:
        raise MissingOption("weights alone cannot be run: pass a factory for their architecture.")
    return _run_with_tensors(path, weights, {"kind": "factory"}, options, folder, samples)


def _run_with_tensors(
    path: Path,
    weights: Sequence[NamedTensor],
    request: Mapping[str, Any],
    options: Options,
    folder: Path,
    samples: Samples,
) -> Outputs:
    stored = weight_conversion(path, weights, Origin("", ""), ())
    source, readable = _with_tensors(path, stored, request, options, folder)
    return run_file(source, folder, samples, options, locked=options.factory is None, readable=readable)


def _with_tensors(
    path: Path, stored: Conversion, request: Mapping[str, Any], options: Options, folder: Path
) -> tuple[dict[str, Any], list[Path]]:
    """The child's request for an architecture that takes its tensors from the file, and what it may read."""
    tensors = folder / _TENSORS
    tensors.write_bytes(stored.model.SerializeToString())
    source = {**request, "tensors": str(tensors), "base": str(stored.folder or folder)}
    if options.factory:
        source["factory"] = options.factory
    return source, [path.resolve(), tensors, *([stored.folder] if stored.keep and stored.folder else [])]


def _export_with_tensors(
    path: Path,
    weights: Sequence[NamedTensor],
    request: Mapping[str, Any],
    options: Options,
    origin: Origin,
    notes: Sequence[str],
) -> Conversion:
    """Export an architecture (a factory's or a rebuilt one) that takes its tensors from the file in place."""
    stored = weight_conversion(path, weights, origin, ())
    with new_folder() as keep:
        source, readable = _with_tensors(path, stored, request, options, Path(keep.name))
        locked = options.factory is None
        return export_in_child(source, options, origin, keep, locked=locked, readable=readable, notes=notes)


def _trusted(path: Path, options: Options) -> Conversion:
    origin = Origin("torch-module-pickle", "torch", "", "", path.name)
    source = {"kind": "module", "path": str(path.resolve())}
    with new_folder() as keep:
        return export_in_child(source, options, origin, keep, locked=False, readable=[path.resolve()])


def _module(path: Path, tree: Module, options: Options, notes: Sequence[str]) -> Conversion:
    """A rebuilt and exported module where the tree is stock, else its drawing."""
    origin = Origin("torch-module-pickle", "torch", "", "", path.name)
    weights = list(tree.named_tensors())
    if options.factory:
        return _export_with_tensors(path, weights, {"kind": "factory"}, options, origin, notes)
    plan = rebuild_plan(tree)
    if options.read_only:
        return structure_conversion(
            path, tree, origin, [READ_ONLY if isinstance(plan, dict) else plan, *notes]
        )
    if isinstance(plan, str):
        reason = f"{plan}: pass trust to run the code of this file, or a factory for its architecture"
        return structure_conversion(path, tree, origin, [reason, *notes])
    try:
        return _export_with_tensors(path, weights, {"kind": "plan", "plan": plan}, options, origin, notes)
    except InspectorError as cause:
        return structure_conversion(path, tree, origin, [f"shown but not exported: {cause}", *notes])
