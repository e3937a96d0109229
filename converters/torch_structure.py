"""What can be drawn of a network whose code is not run? Opaque nodes with every weight attached."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from converters.exported_program import (
    Program,
    element_of_code,
    program_inputs,
    read_program,
    sizes_of,
)
from converters.lazy_tensor import LazyTensor
from converters.module_tree import Module, module_of
from converters.provenance import Origin, describe_node, write_model
from converters.registry import Conversion
from converters.stub_unpickler import Stub
from converters.torch_archives import archive_root, script_code
from converters.torch_file import read_archive_pickle
from converters.weight_graph import NamedTensor, element_notes, initializers
from converters.zip_archive import open_archive

__all__ = ["read_exported_program", "read_torchscript", "structure_conversion"]

DOMAIN = "torch"
ORDER_NOTE = (
    "the modules are chained in order of registration, not of execution: the forward code was not run"
)
PROGRAM_NOTE = "read without torch: the operators are drawn with their real connections, but cannot be run"


def structure_conversion(path: Path, tree: Module, origin: Origin, notes: Sequence[str]) -> Conversion:
    """One opaque node for each module that has tensors or no children, chained in order of registration."""
    graph = onnx.GraphProto(name=path.stem)
    before = "input"
    graph.input.append(_value(before, None, None))
    for module in tree.walk():
        if module.children and not module.tensors:
            continue
        prefix = f"{module.path}." if module.path else ""
        weights = [prefix + name for name in module.tensors]
        name = module.path or "module"
        inputs = [before, *weights]
        node = onnx.helper.make_node(_identifier(module.cls), inputs, [f"{name}:out"], name, domain=DOMAIN)
        describe_node(node, module.path.replace(".", "/"), module.cls, module.config)
        graph.node.append(node)
        before = f"{name}:out"
    graph.output.append(_value(before, None, None))
    return _finish(path, graph, list(tree.named_tensors()), origin, [ORDER_NOTE, *notes])


def read_torchscript(path: Path, notes: Sequence[str] = ()) -> Conversion:
    """A TorchScript archive as a structure graph: modules, weights and constants by name; no code is run."""
    archive = open_archive(path.resolve())
    root = archive_root(archive)
    file = read_archive_pickle(archive, f"{root}data.pkl")
    tree = module_of(
        file.value if isinstance(file.value, Stub) else Stub("module", state={"value": file.value})
    )
    code = script_code(archive)
    said = [f"the code calls {len(code.operators)} operators: {', '.join(sorted(code.operators)[:20])}"]
    constants = _constants(archive, root)
    origin = Origin("torchscript", "torch", "", "", path.name)
    made = structure_conversion(path, _with(tree, constants), origin, [*notes, *file.notes, *said])
    return made


def _constants(archive: Any, root: str) -> dict[str, LazyTensor]:
    """Tensors that the code holds as constants, as `CONSTANTS.c0`."""
    member = f"{root}constants.pkl"
    if member not in archive:
        return {}
    value = read_archive_pickle(archive, member, f"{root}constants").value
    items: list[object] = list(value) if isinstance(value, (tuple, list)) else []
    return {f"CONSTANTS.c{i}": item for i, item in enumerate(items) if isinstance(item, LazyTensor)}


def _with(tree: Module, constants: Mapping[str, LazyTensor]) -> Module:
    return Module(tree.path, tree.cls, tree.config, {**tree.tensors, **constants}, tree.children, tree.source)


def read_exported_program(path: Path, notes: Sequence[str] = ()) -> Conversion:
    """A `.pt2` program as a graph of opaque nodes with real edges, weights by name; torch is not used."""
    archive = open_archive(path.resolve())
    program = read_program(archive, archive_root(archive))
    graph = onnx.GraphProto(name=path.stem)
    weights = list(program.tensors())
    names = _source_names(program)
    for name, dtype, shape in program_inputs(program):
        graph.input.append(_value(name, dtype, shape))
    model = next(iter(program.models.values()))
    for node in program.graph.get("nodes") or ():
        made = _node(node, names) if isinstance(node, dict) else None
        if made is not None:
            graph.node.append(made)
    for name in _outputs(program):
        graph.output.append(_value(name, *_meta(program, name)))
    version = str(model.get("torch_version", ""))
    origin = Origin("exported-program", "torch", version, "", path.name)
    return _finish(path, graph, weights, origin, [PROGRAM_NOTE, *notes])


def _source_names(program: Program) -> dict[str, str]:
    """Name in the graph → name in the state_dict, for parameters, buffers and constants."""
    model = next(iter(program.models.values()))
    module = model.get("graph_module")
    signature = module.get("signature") if isinstance(module, dict) else None
    found: dict[str, str] = {}
    for spec in (signature.get("input_specs") or []) if isinstance(signature, dict) else []:
        for row in spec.values() if isinstance(spec, dict) else ():
            source = (
                next((v for k, v in row.items() if k.endswith("_name")), None)
                if isinstance(row, dict)
                else None
            )
            given = row.get("arg") if isinstance(row, dict) else None
            if isinstance(source, str) and isinstance(given, dict):
                found[str(given.get("name"))] = source
    return found


def _node(node: Mapping[str, Any], names: Mapping[str, str]) -> onnx.NodeProto | None:
    outputs = _names(node.get("outputs"))
    if not outputs:
        return None
    inputs = [names.get(name, name) for name in _names(node.get("inputs"))]
    target = str(node.get("target", ""))
    op = _identifier(target.removeprefix("torch.ops.").removeprefix("aten.").removesuffix(".default"))
    made = onnx.helper.make_node(op, inputs, outputs, outputs[0], domain=DOMAIN)
    settings = {
        str(row.get("name")): row.get("arg") for row in node.get("inputs") or () if isinstance(row, dict)
    }
    plain = {key: next(iter(arg.values())) for key, arg in settings.items() if arg and _is_plain(arg)}
    scope, cls = _scope(node)
    describe_node(made, scope, cls, {"target": target, **plain})
    return made


def _is_plain(arg: object) -> bool:
    if not isinstance(arg, dict) or len(arg) != 1:
        return False
    value = next(iter(arg.values()))
    return isinstance(value, (int, float, str, bool)) or (
        isinstance(value, list) and all(isinstance(v, (int, float, str, bool)) for v in value)
    )


def _names(rows: object) -> list[str]:
    """The values that arguments or results name, in order; nested graphs are not entered."""
    found: list[str] = []
    pending = [rows]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
        elif isinstance(item, dict):
            for key, value in item.items():
                if key in _NAMING:
                    held = value if isinstance(value, list) else [value]
                    names = [
                        row.get("name", row.get("as_name")) if isinstance(row, dict) else row for row in held
                    ]
                    found += [name for name in names if isinstance(name, str)]
                if isinstance(value, (dict, list)) and key not in ("as_graph", "as_tensors"):
                    pending.append(value)
    return list(dict.fromkeys(found))


_NAMING = (
    "as_tensor", "as_tensors", "as_name", "as_sym_int", "as_sym_ints", "as_sym_float", "as_sym_floats",
    "as_sym_bool", "as_sym_bools",
)  # fmt: skip


def _scope(node: Mapping[str, Any]) -> tuple[str, str]:
    """Module path and class of the innermost module, from `key,path,class;key,path,class`."""
    metadata = node.get("metadata")
    stack = str(metadata.get("nn_module_stack", "")) if isinstance(metadata, dict) else ""
    parts = stack.rpartition(";")[2].split(",")
    return (parts[1].replace(".", "/"), parts[2]) if len(parts) == 3 else ("", "")


def _outputs(program: Program) -> list[str]:
    return _names(program.graph.get("outputs"))


def _meta(program: Program, name: str) -> tuple[str | None, tuple[int | str, ...] | None]:
    values = program.graph.get("tensor_values")
    meta = values.get(name) if isinstance(values, dict) else None
    element = element_of_code(meta.get("dtype")) if isinstance(meta, dict) else None
    return (element.name, sizes_of(meta)) if element is not None and isinstance(meta, dict) else (None, None)


def _value(name: str, dtype: str | None, shape: Sequence[int | str] | None) -> onnx.ValueInfoProto:
    number = onnx.TensorProto.FLOAT
    if dtype:
        number = next((e.onnx for e in _ELEMENTS if e.name == dtype), number)
    return onnx.helper.make_tensor_value_info(name, number, shape)


_ELEMENTS = tuple(found for code in range(64) if (found := element_of_code(code)) is not None)


def _identifier(cls: str) -> str:
    short = (
        cls if cls.count(".") < 3 and not cls.startswith(("torch.", "__torch__")) else cls.rpartition(".")[2]
    )
    return re.sub(r"\W", "_", short) or "Module"


def _finish(
    path: Path, graph: onnx.GraphProto, weights: Sequence[NamedTensor], origin: Origin, notes: Sequence[str]
) -> Conversion:
    folder, keep = initializers(path, weights, graph)
    imports = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid(DOMAIN, 1)]
    model = onnx.helper.make_model(graph, opset_imports=imports)
    model.ir_version = 10
    said = [*notes, *element_notes(weights)]
    write_model(model, origin, said)
    return Conversion(model, origin, tuple(said), folder, keep)
