"""What may a torch pickle call? The allow-list: tensor rebuilders, NumPy arrays, plain containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from converters.elements import Element, by_numpy, by_torch
from converters.errors import BadFile
from converters.lazy_tensor import Composite, LazyTensor, Storage, packed_strides
from converters.pickle_machine import Global, Span, fill
from converters.stub_unpickler import Builder, Handler, Ordered, Stub, StubHost, Text

__all__ = ["HANDLERS", "quantiser_text"]

HANDLERS: dict[str, Handler] = {}
"""What each allowed name means."""


def allow(*paths: str) -> Callable[[Handler], Handler]:
    """Register what a call of these names means."""

    def register(handler: Handler) -> Handler:
        for path in paths:
            if path in HANDLERS:
                raise ValueError(f"{path} is allowed twice")
            HANDLERS[path] = handler
        return handler

    return register


def element_of(dtype: object) -> Element:
    """The element of a pickled `torch.dtype` (a global such as `torch.float32`)."""
    found = by_torch(dtype.path) if isinstance(dtype, Global) and dtype.module == "torch" else None
    if found is None:
        raise BadFile(f"a tensor has the unknown dtype {getattr(dtype, 'path', dtype)!s}")
    return found


def _numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or any(type(v) is not int for v in value) or len(value) > 64:
        raise ValueError("sizes and strides must be tuples of integers")
    return tuple(value)


def _view(
    storage: object, element: Element | None, offset: object, size: object, stride: object
) -> LazyTensor:
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise ValueError("expected a storage and an integer offset")
    return LazyTensor(storage, element or storage.element, _numbers(size), _numbers(stride), offset)


@allow("torch._utils._rebuild_tensor")
def _tensor(host: StubHost, args: tuple[Any, ...]) -> object:
    storage, offset, size, stride = args
    return _view(storage, None, offset, size, stride)


@allow("torch._utils._rebuild_tensor_v2")
def _tensor_v2(host: StubHost, args: tuple[Any, ...]) -> object:
    storage, offset, size, stride, requires_grad, _hooks, *metadata = args
    extra = dict(metadata[0]) if metadata and isinstance(metadata[0], dict) and len(metadata[0]) < 16 else {}
    return replace(_view(storage, None, offset, size, stride), requires_grad=bool(requires_grad), extra=extra)


@allow("torch._utils._rebuild_tensor_v3")
def _tensor_v3(host: StubHost, args: tuple[Any, ...]) -> object:
    storage, offset, size, stride, requires_grad, _hooks, dtype, *metadata = args
    extra = dict(metadata[0]) if metadata and isinstance(metadata[0], dict) and len(metadata[0]) < 16 else {}
    view = _view(storage, element_of(dtype), offset, size, stride)
    return replace(view, requires_grad=bool(requires_grad), extra=extra)


@allow("torch._utils._rebuild_qtensor")
def _quantised(host: StubHost, args: tuple[Any, ...]) -> object:
    storage, offset, size, stride, quantiser, requires_grad, *_ = args
    extra = {"quantiser": quantiser}
    return replace(_view(storage, None, offset, size, stride), requires_grad=bool(requires_grad), extra=extra)


@allow("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
def _parameter(host: StubHost, args: tuple[Any, ...]) -> object:
    data, requires_grad = args[:2]
    if not isinstance(data, LazyTensor):
        return data if isinstance(data, Composite) else Composite("Parameter", {"data": data})
    return replace(data, is_parameter=True, requires_grad=bool(requires_grad))


@allow("torch._utils._rebuild_meta_tensor_no_storage")
def _meta(host: StubHost, args: tuple[Any, ...]) -> object:
    dtype, size, stride, requires_grad = args
    view = LazyTensor(None, element_of(dtype), _numbers(size), _numbers(stride))
    return replace(view, requires_grad=bool(requires_grad))


@allow("torch._utils._rebuild_sparse_tensor")
def _sparse(host: StubHost, args: tuple[Any, ...]) -> object:
    layout, data = args
    kind = layout.path if isinstance(layout, Global) else str(getattr(layout, "text", layout))
    kind = kind.removeprefix("torch.")
    if kind == "sparse_coo":
        parts, size = {"indices": data[0], "values": data[1]}, data[2]
    else:
        outer, inner = ("crow", "col") if kind in ("sparse_csr", "sparse_bsr") else ("ccol", "row")
        parts = {f"{outer}_indices": data[0], f"{inner}_indices": data[1], "values": data[2]}
        size = data[3]
    return Composite(kind, parts, _numbers(size))


@allow("torch._utils._rebuild_sparse_csr_tensor")
def _sparse_csr(host: StubHost, args: tuple[Any, ...]) -> object:
    _, data = args
    return Composite(
        "sparse_csr", {"crow_indices": data[0], "col_indices": data[1], "values": data[2]}, _numbers(data[3])
    )


@allow("torch._utils._rebuild_nested_tensor")
def _nested(host: StubHost, args: tuple[Any, ...]) -> object:
    buffer, sizes, strides, offsets = args
    return Composite("nested", {"buffer": buffer, "sizes": sizes, "strides": strides, "offsets": offsets})


@allow("torch._utils._rebuild_wrapper_subclass")
def _wrapper(host: StubHost, args: tuple[Any, ...]) -> object:
    cls, _dtype, size, *_ = args
    return Composite(getattr(cls, "path", "subclass"), {}, _numbers(size))


@allow(
    "torch._tensor._rebuild_from_type",
    "torch._tensor._rebuild_from_type_v2",
    "torch.tensor._rebuild_from_type",
)
def _from_type(host: StubHost, args: tuple[Any, ...]) -> object:
    function, cls, inner, state = args
    made = host.call(function, inner, None, "call")
    path = getattr(cls, "path", "subclass")
    attributes = state[0] if isinstance(state, tuple) and state and isinstance(state[0], dict) else state
    parts = _tensors_in(attributes)
    if isinstance(made, Composite) or parts:
        known = made.parts if isinstance(made, Composite) else {"data": made}
        shape = made.shape if isinstance(made, (Composite, LazyTensor)) else ()
        return Composite(path, {**known, **parts}, shape)
    if isinstance(made, LazyTensor):
        return replace(made, is_parameter=path.endswith("Parameter"), extra={**made.extra, "class": path})
    return made


def _tensors_in(attributes: object) -> dict[str, object]:
    if not isinstance(attributes, dict) or len(attributes) > 256:
        return {}
    return {str(k): v for k, v in attributes.items() if isinstance(v, (LazyTensor, Composite))}


@allow("torch._utils._rebuild_device_tensor_from_numpy", "torch._utils._rebuild_xla_tensor")
def _from_numpy(host: StubHost, args: tuple[Any, ...]) -> object:
    array = args[0]
    return array.tensor() if isinstance(array, NumpyArray) else array


@allow("torch._utils._rebuild_device_tensor_from_cpu_tensor")
def _from_cpu(host: StubHost, args: tuple[Any, ...]) -> object:
    return args[0]


@allow("torch.storage._load_from_bytes")
def _load_from_bytes(host: StubHost, args: tuple[Any, ...]) -> object:
    return host.storages.nested(args[0])


@allow(
    "torch.jit._pickle.build_intlist",
    "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.build_doublelist",
    "torch.jit._pickle.build_boollist",
    "torch.jit._pickle.build_tensor_from_id",
    "torch.jit._pickle.restore_type_tag",
)
def _typed(host: StubHost, args: tuple[Any, ...]) -> object:
    return args[0]


@allow("torch.Size", "torch._C.Size")
def _size(host: StubHost, args: tuple[Any, ...]) -> object:
    return _numbers(args[0]) if args else ()


@allow("torch.device", "torch.serialization._get_layout", "torch._utils._get_restore_location")
def _word(host: StubHost, args: tuple[Any, ...]) -> object:
    return ":".join(str(a) for a in args if isinstance(a, (str, int)))


@allow("collections.OrderedDict", "collections.Counter", "builtins.dict", "__builtin__.dict")
def _ordered(host: StubHost, args: tuple[Any, ...]) -> object:
    made = Ordered()
    given = args[0] if args else ()
    if isinstance(given, dict):
        host.pay(len(given))
        made.update(given)
    elif isinstance(given, (list, tuple)):
        host.pay(len(given))
        fill(made, [part for pair in given for part in _pair(pair)])
    return made


def _pair(pair: object) -> tuple[Any, Any]:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise ValueError("expected pairs of key and value")
    return pair[0], pair[1]


@allow("collections.defaultdict")
def _default_dict(host: StubHost, args: tuple[Any, ...]) -> object:
    return _ordered(host, args[1:])


@allow(
    "builtins.set",
    "builtins.frozenset",
    "builtins.list",
    "builtins.tuple",
    "__builtin__.set",
    "__builtin__.frozenset",
    "__builtin__.list",
    "__builtin__.tuple",
    "builtins.bytearray",
    "builtins.bytes",
    "__builtin__.bytearray",
)
def _same(host: StubHost, args: tuple[Any, ...]) -> object:
    return args[0] if args else []


@allow("builtins.complex", "__builtin__.complex")
def _complex(host: StubHost, args: tuple[Any, ...]) -> object:
    return complex(*args[:2])


@allow("_codecs.encode")
def _encode(host: StubHost, args: tuple[Any, ...]) -> object:
    text, *how = args
    if not isinstance(text, str) or how not in ([], ["latin1"], ["latin-1"]):
        raise ValueError("expected text to be encoded as latin-1")
    return Text(text)


@allow(
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "torch.autograd.variable.Variable",
)
def _parameter_class(host: StubHost, args: tuple[Any, ...]) -> object:
    data = args[0] if args else None
    return replace(data, is_parameter=True) if isinstance(data, LazyTensor) else Stub("Parameter", args)


@allow("copyreg._reconstructor", "copy_reg._reconstructor")
def _reconstructor(host: StubHost, args: tuple[Any, ...]) -> object:
    return host.call(args[0], (), None, "create")


@allow("copyreg.__newobj__", "copy_reg.__newobj__")
def _newobj(host: StubHost, args: tuple[Any, ...]) -> object:
    return host.call(args[0], args[1:], None, "create")


class NumpyType(Builder):
    """A pickled `numpy.dtype`; its byte order follows as state."""

    def __init__(self, code: object) -> None:
        name = code.name if isinstance(code, Global) and code.module in ("ml_dtypes", "numpy") else code
        if not isinstance(name, str) or len(name) > 40:
            raise ValueError("the dtype has no name")
        found = by_torch(name) if name.startswith(("bfloat16", "float8")) else None
        self.dtype = found.numpy if found is not None else np.dtype(name)

    def build(self, host: StubHost, state: object) -> object:
        """Take the byte order; structured types keep their plain form."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder("<" if state[1] == "<" else ">")
        return self


class NumpyArray(Builder):
    """A pickled `numpy.ndarray`, empty until its state comes."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.dtype = np.dtype("u1")
        self.fortran = False
        self.data: object = b""

    def build(self, host: StubHost, state: object) -> object:
        """Take shape, dtype, order and bytes; returns the array as a lazy tensor, objects as a list."""
        if not isinstance(state, tuple) or len(state) < 5:
            raise BadFile("a NumPy array in the pickle has no state")
        _, shape, dtype, fortran, data = state[:5]
        if not isinstance(dtype, NumpyType):
            raise BadFile("a NumPy array in the pickle has no dtype")
        return self.take(host, shape, dtype, bool(fortran), data)

    def take(self, host: StubHost, shape: object, dtype: NumpyType, fortran: bool, data: object) -> object:
        """The array as a lazy tensor, or the list of its objects."""
        if isinstance(data, list):
            return data
        if by_numpy(dtype.dtype) is None:
            return Stub("numpy.ndarray", (shape, str(dtype.dtype)))
        tensor = _array_tensor(host, _numbers(shape), dtype.dtype, fortran, data)
        host.tensors.append(tensor)
        return tensor

    def tensor(self) -> object:
        """What stands for an array whose state never came."""
        return Composite("numpy.ndarray", {})


def _array_tensor(
    host: StubHost, shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool, data: object
) -> LazyTensor:
    element = by_numpy(dtype)
    if element is None:
        raise BadFile(f"a NumPy array in the pickle holds {dtype}, which is no number")
    if isinstance(data, Span):
        raw = host.storages.span(data)
    elif isinstance(data, (bytes, Text, str)):
        text = Text(data) if isinstance(data, str) else data
        count = len(text.text) if isinstance(text, Text) else len(text)
        raw = Storage("numpy", element, count, read=lambda: text.bytes() if isinstance(text, Text) else text)
    else:
        raise BadFile("a NumPy array in the pickle has no bytes")
    raw.count = (raw.place.length if raw.place else raw.count) // element.bytes
    raw.element, raw.big_endian = element, dtype.byteorder == ">"
    return LazyTensor(raw, element, shape, packed_strides(shape, "F" if fortran else "C"))


_NUMPY = [f"numpy{core}" for core in (".core.multiarray", "._core.multiarray")]


@allow(*(f"{module}._reconstruct" for module in _NUMPY), "numpy.ndarray")
def _reconstruct(host: StubHost, args: tuple[Any, ...]) -> object:
    return NumpyArray()


@allow("numpy.dtype")
def _dtype(host: StubHost, args: tuple[Any, ...]) -> object:
    return NumpyType(args[0])


@allow("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
def _frombuffer(host: StubHost, args: tuple[Any, ...]) -> object:
    data, dtype, shape, order = args
    if not isinstance(dtype, NumpyType):
        raise TypeError("expected a dtype")
    return NumpyArray().take(host, shape, dtype, order == "F", data)


@allow(*(f"{module}.scalar" for module in _NUMPY))
def _scalar(host: StubHost, args: tuple[Any, ...]) -> object:
    dtype, *data = args
    raw = data[0].bytes() if data and isinstance(data[0], Text) else data[0] if data else b""
    if not isinstance(dtype, NumpyType) or not isinstance(raw, (bytes, str)) or by_numpy(dtype.dtype) is None:
        return Stub("numpy.scalar", args)
    packed = raw.encode("latin-1") if isinstance(raw, str) else raw
    return np.frombuffer(packed, dtype.dtype, 1)[0].item()


def quantiser_text(extra: Mapping[str, object]) -> str:
    """How a quantised tensor maps integers to numbers, for a note; "" for others."""
    given = extra.get("quantiser")
    if not isinstance(given, tuple) or not given:
        return ""
    scheme = given[0].path.removeprefix("torch.") if isinstance(given[0], Global) else str(given[0])
    if scheme == "per_tensor_affine" and len(given) >= 3:
        return f"scale {given[1]}, zero point {given[2]}"
    return f"{scheme.replace('_', ' ')} scales"
