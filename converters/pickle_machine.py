"""What would this pickle build? The pickle instruction set, run on inert values within stated limits.

Nothing is imported and nothing from the file is called: a global becomes a `Global` (two strings), and
what a pickle would do with it is handed to a `Host`, which decides what, if anything, it stands for.
Large byte strings stay in the file as `Span`s. Work and memory are linear in the length of the pickle.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

from converters.errors import BadFile

__all__ = ["Global", "Host", "Machine", "Span"]

MAX_STEPS = 10_000_000
"""Instructions run before giving up: a thousand times what a large model takes, and some seconds of work."""

SPAN_BYTES = 1024
"""Byte strings of this length and more are not copied out of the file."""

_LONG_BYTES = 4096
"""The longest integer read: 32768 bits. Real files hold none beyond 80."""

_LINE = 1 << 16
_HASHED_INT = 1 << 60
"""Integers from here on share hash values; as dictionary keys they could be chosen to collide."""


@dataclass(frozen=True)
class Global:
    """A name the pickle refers to; never looked up."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """The dotted name."""
        return f"{self.module}.{self.name}" if self.module else self.name


@dataclass(frozen=True)
class Span:
    """A byte string left where it lies: position and length in the pickle's buffer."""

    start: int
    length: int


class Host(Protocol):
    """Decides what the pickle's globals and objects stand for."""

    def refer(self, name: Global) -> None:
        """A name that a real unpickler would import."""
        ...

    def call(self, function: object, args: object, kwargs: object, how: str) -> object:
        """The value of `function(*args, **kwargs)`; `how` is "call" or "create" (`__new__` only)."""
        ...

    def build(self, value: object, state: object) -> object:
        """The value after its state was set (`__setstate__` or `__dict__`)."""
        ...

    def append(self, value: object, items: list[object]) -> None:
        """Items appended to something that is no plain list."""
        ...

    def store(self, value: object, items: list[object]) -> None:
        """Keys and values, alternating, stored in something that is no plain dict."""
        ...

    def persistent(self, reference: object) -> object:
        """The object behind a persistent reference (in torch files: a storage)."""
        ...


class _Mark:
    """The separator that MARK pushes."""


_MARK = _Mark()


class Machine:
    """One pickle in a buffer; `at` is the read position, after `run` the byte behind the pickle."""

    def __init__(self, data: memoryview, host: Host, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.host = host
        self.at = at
        self.end = len(data) if end is None else end
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Read up to STOP and return the value.

        Raises:
            BadFile: a short fact about damaged content; the caller adds which file.
        """
        table = _TABLE
        data, end = self.data, self.end
        try:
            for _ in repeat(None, MAX_STEPS):
                if self.at >= end:
                    raise BadFile("the pickle is cut off: it has no end")
                code = data[self.at]
                self.at += 1
                if code == 0x2E:
                    return self.pop()
                step = table[code]
                if step is None:
                    raise BadFile(f"byte {self.at - 1} of the pickle is no instruction (0x{code:02x})")
                step(self)
        except (struct.error, IndexError, UnicodeError, ValueError) as cause:
            raise BadFile(f"the pickle is damaged near byte {self.at} ({cause})") from None
        raise BadFile(f"the pickle has more than {MAX_STEPS:,} instructions; no model needs so many")

    def take(self, count: int) -> int:
        """Reserve the next bytes and return where they start."""
        start = self.at
        if count < 0 or start + count > self.end:
            raise BadFile(f"the pickle is cut off: {count:,} bytes are declared at byte {start}")
        self.at = start + count
        return start

    def copy(self, count: int) -> bytes:
        """The next bytes, copied."""
        start = self.take(count)
        return bytes(self.data[start : start + count])

    def number(self, form: struct.Struct) -> int:
        """The next binary number."""
        return form.unpack_from(self.data, self.take(form.size))[0]

    def line(self) -> bytes:
        """A protocol-0 argument: up to the next newline."""
        found: list[bytes] = []
        while self.at < self.end:
            piece = bytes(self.data[self.at : min(self.at + _LINE, self.end)])
            cut = piece.find(b"\n")
            self.at += len(piece) if cut < 0 else cut + 1
            found.append(piece if cut < 0 else piece[:cut])
            if cut >= 0:
                return b"".join(found)
        raise BadFile("the pickle is cut off inside a line")

    def pop(self) -> Any:
        """The top value, taken off."""
        if not self.stack or self.stack[-1] is _MARK:
            raise BadFile(f"the pickle takes a value from an empty stack at byte {self.at}")
        return self.stack.pop()

    def top(self) -> Any:
        """The top value, left there."""
        if not self.stack or self.stack[-1] is _MARK:
            raise BadFile(f"the pickle reads a value from an empty stack at byte {self.at}")
        return self.stack[-1]

    def to_mark(self) -> list[Any]:
        """Everything above the last mark, which goes too."""
        stack = self.stack
        index = len(stack) - 1
        while index >= 0 and stack[index] is not _MARK:
            index -= 1
        if index < 0:
            raise BadFile(f"the pickle uses a mark that was never set at byte {self.at}")
        items = stack[index + 1 :]
        del stack[index:]
        return items

    def text_or_span(self, count: int) -> Any:
        """A Python 2 string: text where it is short, else bytes in place."""
        if count >= SPAN_BYTES:
            return Span(self.take(count), count)
        return self.copy(count).decode("latin-1")

    def bytes_or_span(self, count: int) -> Any:
        """A byte string, left in place where it is long."""
        return Span(self.take(count), count) if count >= SPAN_BYTES else self.copy(count)


def check_key(key: object) -> None:
    """Refuse dictionary keys that are not hashable, or whose hashes a file could choose."""
    if isinstance(key, (str, bytes, bool, float, Global)) or key is None:
        return
    if _small(key) or type(key).__hash__ is object.__hash__:
        return
    if isinstance(key, int):
        raise BadFile(f"a dictionary key is the integer {key:#x}; keys of that size are not expected")
    if (
        isinstance(key, tuple)
        and len(key) <= 64
        and all(isinstance(k, (str, bytes)) or _small(k) for k in key)
    ):
        return
    raise BadFile(f"a dictionary key is a {type(key).__name__}; only plain values are expected")


def _small(value: object) -> bool:
    return value is None or (isinstance(value, int) and abs(value) < _HASHED_INT)


def fill(target: dict[Any, Any], items: list[Any]) -> None:
    """Store alternating keys and values in a dictionary."""
    if len(items) % 2:
        raise BadFile("a dictionary in the pickle has a key without a value")
    for index in range(0, len(items), 2):
        check_key(items[index])
        target[items[index]] = items[index + 1]


_U1, _U2, _U4, _U8 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_I4, _F8 = struct.Struct("<i"), struct.Struct(">d")


def _push(make: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack.append(make(m))

    return step


def _constant(value: Any) -> Callable[[Machine], None]:
    return lambda m: m.stack.append(value)


def _int_line(m: Machine) -> Any:
    line = m.line()
    if line in (b"00", b"01"):
        return line == b"01"
    if len(line) > _LONG_BYTES:
        raise BadFile("an integer in the pickle has thousands of digits")
    return int(line.rstrip(b"L"))


def _long(form: struct.Struct) -> Callable[[Machine], Any]:
    def read(m: Machine) -> int:
        count = m.number(form)
        if count > _LONG_BYTES:
            raise BadFile(f"an integer in the pickle has {count:,} bytes")
        return int.from_bytes(m.copy(count), "little", signed=True)

    return read


def _quoted(m: Machine) -> str:
    line = m.line().strip()
    if len(line) < 2 or line[:1] not in b"\"'" or line[:1] != line[-1:]:
        raise BadFile("a string in the pickle is not quoted")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")  # pyright: ignore


def _sized(read: str, form: struct.Struct) -> Callable[[Machine], Any]:
    if read == "text":
        return lambda m: m.copy(m.number(form)).decode("utf-8", "surrogatepass")
    if read == "string":
        return lambda m: m.text_or_span(m.number(form))
    return lambda m: m.bytes_or_span(m.number(form))


def _memo_get(index: Callable[[Machine], int]) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        key = index(m)
        if key not in m.memo:
            raise BadFile(f"the pickle reads memo entry {key}, which was never written")
        m.stack.append(m.memo[key])

    return step


def _memo_put(index: Callable[[Machine], int]) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.memo[index(m)] = m.top()

    return step


def _line_index(m: Machine) -> int:
    line = m.line()
    if not line.isdigit() or len(line) > 18:
        raise BadFile(f"a memo entry of the pickle is called {line[:40]!r}")
    return int(line)


def _memoize(m: Machine) -> None:
    m.memo[len(m.memo)] = m.top()


def _tuple(count: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        m.stack.append(tuple(reversed([m.pop() for _ in range(count)])))

    return step


def _dict(m: Machine) -> None:
    made: dict[Any, Any] = {}
    fill(made, m.to_mark())
    m.stack.append(made)


def _append(m: Machine, items: list[Any]) -> None:
    target = m.top()
    if type(target) is list:
        target.extend(items)
    else:
        m.host.append(target, items)


def _append_one(m: Machine) -> None:
    item = m.pop()
    _append(m, [item])


def _append_many(m: Machine) -> None:
    items = m.to_mark()
    _append(m, items)


def _store(m: Machine, items: list[Any]) -> None:
    target = m.top()
    if type(target) is dict:
        fill(target, items)
    else:
        m.host.store(target, items)


def _store_one(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    _store(m, [key, value])


def _store_many(m: Machine) -> None:
    items = m.to_mark()
    _store(m, items)


def _global_line(m: Machine) -> Global:
    found = Global(m.line().decode(), m.line().decode())
    m.host.refer(found)
    return found


def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise BadFile("the pickle names a global by something that is no text")
    found = Global(module, name)
    m.host.refer(found)
    m.stack.append(found)


def _reduce(m: Machine) -> None:
    args, function = m.pop(), m.pop()
    m.stack.append(m.host.call(function, args, None, "call"))


def _new_object(m: Machine) -> None:
    args, made = m.pop(), m.pop()
    m.stack.append(m.host.call(made, args, None, "create"))


def _new_object_keywords(m: Machine) -> None:
    kwargs, args, made = m.pop(), m.pop(), m.pop()
    m.stack.append(m.host.call(made, args, kwargs, "create"))


def _instance(m: Machine) -> None:
    made = _global_line(m)
    m.stack.append(m.host.call(made, tuple(m.to_mark()), None, "call"))


def _object(m: Machine) -> None:
    made, *args = m.to_mark()
    m.stack.append(m.host.call(made, tuple(args), None, "call"))


def _build(m: Machine) -> None:
    state = m.pop()
    m.stack.append(m.host.build(m.pop(), state))


def _extension(form: struct.Struct) -> Callable[[Machine], Any]:
    return lambda m: Global("copyreg", f"extension_{m.number(form)}")


def _duplicate(m: Machine) -> None:
    m.stack.append(m.top())


def _pop_or_mark(m: Machine) -> None:
    if not m.stack:
        raise BadFile("the pickle takes a value from an empty stack")
    m.stack.pop()


def _table() -> list[Callable[[Machine], None] | None]:
    """Instruction by its byte; the names are those of the pickle protocol's specification."""
    push = _push
    steps: dict[bytes, Callable[[Machine], None]] = {
        b"(": lambda m: m.stack.append(_MARK),  # MARK
        b"0": _pop_or_mark,  # POP
        b"1": lambda m: (m.to_mark(), None)[1],  # POP_MARK
        b"2": _duplicate,  # DUP
        b"F": push(lambda m: float(m.line())),  # FLOAT
        b"I": push(_int_line),  # INT
        b"L": push(_int_line),  # LONG
        b"J": push(lambda m: m.number(_I4)),  # BININT
        b"K": push(lambda m: m.number(_U1)),  # BININT1
        b"M": push(lambda m: m.number(_U2)),  # BININT2
        b"N": _constant(None),
        b"\x88": _constant(True),
        b"\x89": _constant(False),
        b"\x8a": push(_long(_U1)),  # LONG1
        b"\x8b": push(_long(_U4)),  # LONG4
        b"G": push(lambda m: m.number(_F8)),  # BINFLOAT
        b"P": push(lambda m: m.host.persistent(m.line().decode())),  # PERSID
        b"Q": push(lambda m: m.host.persistent(m.pop())),  # BINPERSID
        b"S": push(_quoted),  # STRING
        b"T": push(_sized("string", _U4)),  # BINSTRING
        b"U": push(_sized("string", _U1)),  # SHORT_BINSTRING
        b"V": push(lambda m: m.line().decode("raw-unicode-escape")),  # UNICODE
        b"X": push(_sized("text", _U4)),  # BINUNICODE
        b"\x8c": push(_sized("text", _U1)),  # SHORT_BINUNICODE
        b"\x8d": push(_sized("text", _U8)),  # BINUNICODE8
        b"B": push(_sized("bytes", _U4)),  # BINBYTES
        b"C": push(_sized("bytes", _U1)),  # SHORT_BINBYTES
        b"\x8e": push(_sized("bytes", _U8)),  # BINBYTES8
        b"\x96": push(_sized("bytes", _U8)),  # BYTEARRAY8
        b"\x97": push(lambda m: Global("pickle", "next_buffer")),  # NEXT_BUFFER
        b"\x98": lambda m: None,  # READONLY_BUFFER
        b"]": push(lambda m: []),  # EMPTY_LIST
        b"l": push(lambda m: m.to_mark()),  # LIST
        b"a": _append_one,  # APPEND
        b"e": _append_many,  # APPENDS
        b")": _constant(()),  # EMPTY_TUPLE
        b"t": push(lambda m: tuple(m.to_mark())),  # TUPLE
        b"\x85": _tuple(1),
        b"\x86": _tuple(2),
        b"\x87": _tuple(3),
        b"}": push(lambda m: {}),  # EMPTY_DICT
        b"d": _dict,  # DICT
        b"s": _store_one,  # SETITEM
        b"u": _store_many,  # SETITEMS
        b"\x8f": push(lambda m: []),  # EMPTY_SET: its items are listed, not hashed
        b"\x90": _append_many,  # ADDITEMS
        b"\x91": push(lambda m: m.to_mark()),  # FROZENSET
        b"g": _memo_get(_line_index),  # GET
        b"h": _memo_get(lambda m: m.number(_U1)),  # BINGET
        b"j": _memo_get(lambda m: m.number(_U4)),  # LONG_BINGET
        b"p": _memo_put(_line_index),  # PUT
        b"q": _memo_put(lambda m: m.number(_U1)),  # BINPUT
        b"r": _memo_put(lambda m: m.number(_U4)),  # LONG_BINPUT
        b"\x94": _memoize,  # MEMOIZE
        b"c": push(_global_line),  # GLOBAL
        b"\x93": _stack_global,  # STACK_GLOBAL
        b"\x82": push(_extension(_U1)),  # EXT1
        b"\x83": push(_extension(_U2)),  # EXT2
        b"\x84": push(_extension(_U4)),  # EXT4
        b"R": _reduce,
        b"\x81": _new_object,  # NEWOBJ
        b"\x92": _new_object_keywords,  # NEWOBJ_EX
        b"i": _instance,  # INST
        b"o": _object,  # OBJ
        b"b": _build,
        b"\x80": lambda m: (m.number(_U1), None)[1],  # PROTO
        b"\x95": lambda m: (m.number(_U8), None)[1],  # FRAME
    }
    return [steps.get(bytes([code])) for code in range(256)]


_TABLE = _table()
