"""Hostile torch files, made by hand: `python build_corpus.py FOLDER` writes them and runs none of them.

Each builder gets the folder and the canary: the file that would appear if any of its code ran.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Builder = Callable[[Path, Path], None]
CASES: dict[str, tuple[Builder, str]] = {}
"""File name → its builder and a word that its one message must hold."""


def case(name: str, says: str) -> Callable[[Builder], Builder]:
    def register(builder: Builder) -> Builder:
        CASES[name] = (builder, says)
        return builder

    return register


class Calls:
    """Pickles as a call of a function by name, without that function being known here."""

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.module, self.name, self.args = module, name, args


class _Pickler(pickle._Pickler):  # the Python version lets a class be written by name
    def save(self, obj: Any, save_persistent_id: bool = True) -> Any:
        if isinstance(obj, Calls):
            self.write(b"c" + obj.module.encode() + b"\n" + obj.name.encode() + b"\n")
            super().save(obj.args)
            self.write(b"R")
            return None
        return super().save(obj, save_persistent_id)


def dumps(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue()


def torch_zip(path: Path, data: bytes, storages: dict[str, bytes] | None = None, root: str = "x") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{root}/data.pkl", data)
        for key, raw in (storages or {}).items():
            archive.writestr(f"{root}/data/{key}", raw)
        archive.writestr(f"{root}/version", b"3\n")


def tensor(
    count: int, shape: Iterable[int], strides: Iterable[int], offset: int = 0, key: str = "0"
) -> bytes:
    """The instructions of one tensor whose storage claims `count` floats."""
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + _text(key) + _text("cpu") + _int(count) + b"tQ"
    )
    sizes = b"(" + b"".join(map(_int, shape)) + b"t"
    steps = b"(" + b"".join(map(_int, strides)) + b"t"
    hooks = b"ccollections\nOrderedDict\n)R"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return rebuild + b"(" + storage + _int(offset) + sizes + steps + b"\x89" + hooks + b"tR"


def state_dict(body: bytes) -> bytes:
    return b"\x80\x02}" + _text("w") + body + b"s."


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _int(value: int) -> bytes:
    raw = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def touch(canary: Path) -> str:
    return f"touch '{canary}'"


@case("os_system.pt", "posix.system")
def _os_system(path: Path, canary: Path) -> None:
    torch_zip(path, dumps({"w": Calls("posix", "system", touch(canary))}))


@case("eval.pkl", "builtins.eval")
def _eval(path: Path, canary: Path) -> None:
    path.write_bytes(dumps([Calls("builtins", "eval", f"open({str(canary)!r}, 'w')")]))


@case("nested_reduce.pkl", "getattr")
def _nested(path: Path, canary: Path) -> None:
    module = Calls("builtins", "__import__", "os")
    path.write_bytes(dumps([Calls("builtins", "getattr", module, "system"), touch(canary)]))


@case("old_protocol.pkl", "system")
def _old(path: Path, canary: Path) -> None:
    path.write_bytes(b"cposix\nsystem\n(S'" + f'touch "{canary}"'.encode() + b"'\ntR.")


@case("setstate.pt", "numpy.f2py.diagnose.run")
def _setstate(path: Path, canary: Path) -> None:
    body = b"\x80\x02cnumpy.f2py.diagnose\nrun\n)R}" + _text("cmd") + _text(touch(canary)) + b"sb."
    torch_zip(path, body)


@case("extension.pkl", "copyreg")
def _extension(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x02\x82\x01" + b"(" + _text(touch(canary)) + b"tR.")


@case("memo_bomb.pkl", "")
def _memo(path: Path, canary: Path) -> None:
    body = b"\x80\x02(lp0\n(lp1\n" + b"".join(b"(" + b"h\x01" * 10 + b"lq\x01" for _ in range(60)) + b"0."
    path.write_bytes(body)


@case("long_memo.pkl", "holds no tensors")
def _long_memo(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\x7f.")


@case("huge_bytes.pkl", "cut off")
def _huge(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 45) + b"abc.")


@case("huge_bytearray.pkl", "cut off")
def _bytearray(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"abc.")


@case("deep.pkl", "deep")
def _deep(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b".")


@case("deep_key.pkl", "key")
def _deep_key(path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ks" + b"s.")


@case("copies.pkl", "over and over")
def _copies(path: Path, canary: Path) -> None:
    listed = b"(" + b"(K\x01K\x02t" * 100_000 + b"lq\x01"
    path.write_bytes(b"\x80\x02" + listed + b"(" + b"ccollections\nOrderedDict\nh\x01\x85R" * 3000 + b"l.")


@case("colliding_keys.pkl", "key")
def _colliding(path: Path, canary: Path) -> None:
    base = (1 << 61) - 1
    items = b"".join(_int(base * n) + b"N" for n in range(1, 1000))
    path.write_bytes(b"\x80\x02}(" + items + b"u.")


@case("recursive_rebuild.pkl", "without end")
def _recursive(path: Path, canary: Path) -> None:
    name = b"ccopyreg\n__newobj__\n"
    path.write_bytes(b"\x80\x02(" + name * 300 + b"t(" + name + b"0" + name + b"(" + name * 300 + b"tR.")


@case("lying_storage.pt", "lies about its sizes")
def _lying_storage(path: Path, canary: Path) -> None:
    torch_zip(path, state_dict(tensor(1 << 40, [1 << 40], [1])), {"0": b"\0" * 64})


@case("lying_shape.pt", "lies about its sizes")
def _lying_shape(path: Path, canary: Path) -> None:
    torch_zip(path, state_dict(tensor(16, [1 << 20, 1 << 20], [1 << 20, 1])), {"0": b"\0" * 64})


@case("lying_offset.pt", "lies about its sizes")
def _lying_offset(path: Path, canary: Path) -> None:
    torch_zip(path, state_dict(tensor(16, [4], [1], offset=1000)), {"0": b"\0" * 64})


@case("negative_stride.pt", "impossible sizes")
def _negative(path: Path, canary: Path) -> None:
    torch_zip(path, state_dict(tensor(16, [4], [-1])), {"0": b"\0" * 64})


@case("expanded.pt", "memory bomb")
def _expanded(path: Path, canary: Path) -> None:
    torch_zip(path, state_dict(tensor(16, [1 << 40], [0])), {"0": b"\0" * 64})


@case("missing_storage.pt", "no entry")
def _missing(path: Path, canary: Path) -> None:
    torch_zip(path, state_dict(tensor(16, [16], [1], key="../../etc/passwd")), {"0": b"\0" * 64})


@case("legacy_lying.pt", "lies about its sizes")
def _legacy(path: Path, canary: Path) -> None:
    magic = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + _text("0") + _text("cpu") + _int(16) + b"NtQ"
    )
    body = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"K\x00K\x10\x85K\x01\x85tR"
    path.write_bytes(
        magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + state_dict(body) + b"\x80\x02]" + _text("0") + b"a."
        + struct.pack("<q", 1 << 50)
    )  # fmt: skip


def _zip(path: Path, entries: Iterable[tuple[zipfile.ZipInfo | str, bytes]], packed: bool = False) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, data in entries:
            archive.writestr(name, data)


@case("traversal.pt", "path traversal")
def _traversal(path: Path, canary: Path) -> None:
    _zip(path, [("x/data.pkl", b"\x80\x02}."), ("x/../../evil", b"1")])


@case("symlink.pt", "symbolic link")
def _symlink(path: Path, canary: Path) -> None:
    link = zipfile.ZipInfo("x/data/0")
    link.external_attr = 0o120777 << 16
    _zip(path, [("x/data.pkl", b"\x80\x02}."), (link, b"/etc/passwd")])


@case("duplicate.pt", "two entries")
def _duplicate(path: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
        archive.writestr("x/data.pkX", dumps([Calls("posix", "system", touch(canary))]))
    path.write_bytes(buffer.getvalue().replace(b"x/data.pkX", b"x/data.pkl"))


@case("zip_bomb.pt", "zip bomb")
def _bomb(path: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    _zip_to(buffer, [("x/data.pkl", b"\x80\x02}."), ("x/data/0", b"\0" * (64 << 20))])
    raw = bytearray(buffer.getvalue())
    at = raw.rfind(b"PK\x01\x02")
    struct.pack_into("<L", raw, at + 24, 0xFFFFFFF0)
    path.write_bytes(raw)


@case("pickle_bomb.pt", "instructions")
def _pickle_bomb(path: Path, canary: Path) -> None:
    _zip(path, [("x/data.pkl", b"\x80\x02" + b"]0" * (32 << 20))], packed=True)


def _zip_to(buffer: io.BytesIO, entries: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)


@case("overlap.pt", "share bytes")
def _overlap(path: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
        archive.writestr("x/data/0", b"\0" * 4000)
        archive.writestr("x/data/1", b"\0" * 4000)
    raw = bytearray(buffer.getvalue())
    first = raw.find(b"PK\x01\x02", 8000)
    second = raw.find(b"PK\x01\x02", first + 4)
    third = raw.find(b"PK\x01\x02", second + 4)
    raw[third + 42 : third + 46] = raw[second + 42 : second + 46]
    path.write_bytes(raw)


@case("two_readers.pt", "two readers")
def _prefixed(path: Path, canary: Path) -> None:
    outer, inner = io.BytesIO(), io.BytesIO()
    _zip_to(outer, [("x/data.pkl", dumps([Calls("posix", "system", touch(canary))]))])
    _zip_to(inner, [("x/data.pkl", b"\x80\x02}.")])
    path.write_bytes(outer.getvalue() + inner.getvalue())


@case("header.safetensors", "expected at most")
def _st_header(path: Path, canary: Path) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 200_000_000) + b'{"a":')
        file.truncate(200_000_100)


def _safetensors(path: Path, header: Any, body: int) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * body)


def _row(start: int, stop: int, shape: list[int]) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, stop]}


@case("overlap.safetensors", "share bytes")
def _st_overlap(path: Path, canary: Path) -> None:
    _safetensors(path, {"a": _row(0, 40, [10]), "b": _row(20, 60, [10])}, 60)


@case("huge.safetensors", "outside the data")
def _st_huge(path: Path, canary: Path) -> None:
    _safetensors(path, {"a": _row(0, 1 << 50, [1 << 48])}, 16)


@case("wrong_size.safetensors", "needs")
def _st_wrong(path: Path, canary: Path) -> None:
    _safetensors(path, {"a": _row(0, 16, [1 << 40])}, 16)


@case("twice.safetensors", "twice")
def _st_twice(path: Path, canary: Path) -> None:
    row = json.dumps(_row(0, 4, [1]))
    _safetensors(path, f'{{"a": {row}, "a": {row}}}'.encode(), 4)


@case("deep.safetensors", "JSON")
def _st_deep(path: Path, canary: Path) -> None:
    _safetensors(path, b'{"a":' + b"[" * 200_000, 4)


@case("escape.safetensors.index.json", "beside the index")
def _st_index(path: Path, canary: Path) -> None:
    path.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))


@case("objects.npy", "objects")
def _objects(path: Path, canary: Path) -> None:
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    path.write_bytes(
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", len(head))
        + head
        + dumps(Calls("posix", "system", touch(canary)))
    )


def script(path: Path, code: str, data: bytes = b"\x80\x02c__torch__\nM\n)\x81}b.") -> None:
    """A TorchScript archive of one class."""
    _zip(
        path,
        [("m/data.pkl", data), ("m/code/__torch__.py", code.encode()), ("m/constants.pkl", b"\x80\x02).")],
    )


_CLASS = "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
_FORWARD = "  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n"


@case("script_setstate.pt", "from_file")
def _script_setstate(path: Path, canary: Path) -> None:
    method = "  def __setstate__(self: __torch__.M, s: Tensor) -> NoneType:\n"
    script(path, f'{_CLASS}{method}    _0 = torch.from_file("{canary}", True, 8)\n{_FORWARD}    return x\n')


@case("script_method.pt", "save")
def _script_method(path: Path, canary: Path) -> None:
    own = "  def save(self: __torch__.M, f: str) -> NoneType:\n    pass\n"
    script(path, f'{_CLASS}{own}{_FORWARD}    (x).save("{canary}")\n    return x\n')


@case("script_alias.pt", "as a value")
def _script_alias(path: Path, canary: Path) -> None:
    script(path, f'{_CLASS}{_FORWARD}    t = torch\n    f = t.from_file("{canary}", True, 8)\n    return x\n')


@case("script_import.pt", "Import")
def _script_import(path: Path, canary: Path) -> None:
    script(path, f"import os\nos.system({touch(canary)!r})\n{_CLASS}{_FORWARD}    return x\n")


@case("script_native.pt", "native class")
def _script_native(path: Path, canary: Path) -> None:
    script(path, f"{_CLASS}{_FORWARD}    o = __torch__.torch.classes.image.Writer()\n    return x\n")


@case("script_operator.pt", "image")
def _script_operator(path: Path, canary: Path) -> None:
    script(path, f'{_CLASS}{_FORWARD}    ops.image.write_file("{canary}", x)\n    return x\n')


@case("script_pickle.pt", "posix.system")
def _script_pickle(path: Path, canary: Path) -> None:
    script(path, f"{_CLASS}{_FORWARD}    return x\n", dumps([Calls("posix", "system", touch(canary))]))


def program(path: Path, changes: dict[str, Any], extra: dict[str, bytes] | None = None) -> None:
    """A small exported program with parts of its model replaced."""
    call = {"fqn": "", "signature": {"inputs": [], "outputs": [], "in_spec": _LEAF, "out_spec": _LEAF}}
    node = {
        "target": changes.get("target", "torch.ops.aten.relu.default"),
        "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}],
        "outputs": [{"as_tensor": {"name": "y"}}],
        "metadata": {},
    }
    size = {"as_expr": {"expr_str": changes.get("size", "Symbol('s0', integer=True)"), "hint": {"as_int": 2}}}
    meta = {"dtype": 7, "sizes": [size], "requires_grad": False, "strides": [{"as_int": 1}], "layout": 7}
    call["signature"]["in_spec"] = changes.get("in_spec", _LEAF)
    call["signature"]["forward_arg_names"] = changes.get("arguments", ["x"])
    graph = {
        "inputs": [{"as_tensor": {"name": changes.get("input", "x")}}],
        "outputs": [{"as_tensor": {"name": "y"}}],
        "nodes": [node],
        "tensor_values": {"x": meta, "y": meta},
    }
    signature = {"input_specs": [{"user_input": {"arg": {"as_tensor": {"name": "x"}}}}], "output_specs": []}
    model = {
        "graph_module": {"graph": graph, "signature": signature, "module_call_graph": [call]},
        "range_constraints": {changes.get("symbol", "s0"): {"min_val": 2, "max_val": 9}},
        "guards_code": changes.get("guards", []),
        "torch_version": "2.13.0+cpu",
    }
    members = {
        "p/models/model.json": json.dumps(model).encode(),
        "p/archive_format": b"pt2",
        "p/archive_version": b"0",
        "p/data/weights/model_weights_config.json": b'{"config": {}}',
        **{f"p/{name}": data for name, data in (extra or {}).items()},
    }
    _zip(path, members.items())


_LEAF = '[1, {"type": null, "context": null, "children_spec": []}]'


@case("program_size.pt2", "size expression")
def _program_size(path: Path, canary: Path) -> None:
    program(path, {"size": f"__import__('os').system({touch(canary)!r})"})


@case("program_symbol.pt2", "symbol")
def _program_symbol(path: Path, canary: Path) -> None:
    program(path, {"symbol": f"open('{canary}', 'w')"})


@case("program_guard.pt2", "guard")
def _program_guard(path: Path, canary: Path) -> None:
    program(path, {"guards": [f"L['x'].size()[0] == open('{canary}', 'w')"]})


@case("program_target.pt2", "from_file")
def _program_target(path: Path, canary: Path) -> None:
    program(path, {"target": "torch.ops.aten.from_file.default"})


@case("program_function.pt2", "torch.hub.load")
def _program_function(path: Path, canary: Path) -> None:
    program(path, {"target": "torch.hub.load"})


@case("program_name.pt2", "plain name")
def _program_name(path: Path, canary: Path) -> None:
    program(path, {"input": f"x=open('{canary}','w')"})


@case("program_argument.pt2", "is no name")
def _program_argument(path: Path, canary: Path) -> None:
    program(path, {"arguments": [f"x=open('{canary}','w')"]})


@case("program_tree.pt2", "tree specification")
def _program_tree(path: Path, canary: Path) -> None:
    context = json.dumps(
        {"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}
    )
    spec = {"type": "collections.defaultdict", "context": context, "children_spec": []}
    program(path, {"in_spec": json.dumps([1, spec])})


@case("program_enum.pt2", "context")
def _program_enum(path: Path, canary: Path) -> None:
    context = json.dumps([{"__enum__": True, "fqn": "antigravity:X", "name": "y"}])
    program(
        path, {"in_spec": json.dumps([1, {"type": "builtins.dict", "context": context, "children_spec": []}])}
    )


@case("program_library.pt2", "does not need")
def _program_library(path: Path, canary: Path) -> None:
    program(path, {}, {"data/aotinductor/model/evil.so": b"\x7fELF"})


@case("program_pickle.pt2", "posix.system")
def _program_pickle(path: Path, canary: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("s/data.pkl", dumps((Calls("posix", "system", touch(canary)),)))
    program(path, {}, {"data/sample_inputs/model.pt": buffer.getvalue()})


def build(folder: Path, canary: Path) -> dict[str, Path]:
    """Write the whole corpus; returns the paths by case name."""
    for name, (builder, _) in CASES.items():
        builder(folder / name, canary)
    return {name: folder / name for name in CASES}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    build(target, target / "CANARY")
