"""What may a child process that reads an untrusted file still do? Landlock, seccomp and resource limits.

Each lock is taken if the kernel offers it; `lock` returns the names of those in force, so that a note
can say what protected the user and what did not.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["die_with_parent", "landlock_version", "limit_files", "limit_memory", "lock", "readable_folders"]

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""File rights that each Landlock version can take away: 13 from the start, then refer, truncate, ioctl."""
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15

_SYSTEM = (
    "/usr", "/lib", "/lib64", "/opt", "/sys/devices/system", "/etc/ld.so.cache", "/etc/localtime",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/dev/urandom", "/dev/random",
)  # fmt: skip
"""Libraries and what says how many cores there are; not /etc and not other processes."""

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_SIGKILL = 9


def lock(folder: Path, readable: Iterable[Path]) -> tuple[str, ...]:
    """Give up everything but reading `readable`, and reading and writing `folder`, for good.

    Must run before the process starts threads: the locks hold for this thread and all later ones.
    """
    held: list[str] = []
    if sys.platform != "linux":
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return ()
    held.append("no new privileges")
    if _restrict_files(libc, folder, readable):
        held.append("no writes and no reads outside its folders")
    if _restrict_calls(libc):
        held.append("no network, no other programs")
    return tuple(held)


def landlock_version() -> int:
    """The version of Landlock that this kernel offers; 0 where it has none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


def limit_memory(extra: int) -> bool:
    """Allow `extra` bytes of private memory on top of what is mapped now; False where nothing enforces it.

    RLIMIT_DATA counts private writable memory only. RLIMIT_AS would also count the libraries and the
    address space that frameworks reserve without ever using it, many times the real need.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    mapped = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (mapped + extra, mapped + extra))
    return True


def limit_files(largest: int) -> None:
    """No written file may exceed `largest` bytes, and no core dump is left behind."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def die_with_parent(parent: int) -> None:
    """Be killed when the starting process ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def readable_folders(extra: Sequence[Path] = ()) -> tuple[Path, ...]:
    """What Python and its libraries read while they run, plus `extra`."""
    python = (sys.prefix, sys.base_prefix, sys.exec_prefix, *(entry for entry in sys.path if entry))
    return tuple(path for path in (*map(Path, (*_SYSTEM, *python)), *extra) if path.exists())


def _restrict_files(libc: ctypes.CDLL, folder: Path, readable: Iterable[Path]) -> bool:
    version = landlock_version()
    if version < 1:
        return False
    rights = 0
    for since, more in _RIGHTS_BY_VERSION.items():
        if version >= since:
            rights |= more
    network = 0b11 if version >= 4 else 0
    scopes = 0b11 if version >= 6 else 0
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("=QQQ", rights, network, scopes)[:size]
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow(libc, ruleset, path, (_READ_FILE | _READ_DIR) & rights)
        _allow(libc, ruleset, Path("/dev/null"), (_READ_FILE | _WRITE_FILE) & rights)
        _allow(libc, ruleset, folder, rights & ~_EXECUTE)
        return libc.syscall(_LANDLOCK_RESTRICT, ruleset, ctypes.c_uint32(0)) == 0
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    if not path.is_dir():
        rights &= _FILE_RIGHTS
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        # struct landlock_path_beneath_attr is packed: 64-bit rights, then a 32-bit descriptor.
        rule = struct.pack("=Qi", rights, handle)
        libc.syscall(_LANDLOCK_ADD, ruleset, ctypes.c_int(1), rule, ctypes.c_uint32(0))
    finally:
        os.close(handle)


_DENIED = {
    # architecture: (audit number, {call: number})
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "connect": 42, "execve": 59, "execveat": 322, "ptrace": 101, "kill": 62,
            "mount": 165, "setns": 308, "unshare": 272, "bpf": 321, "process_vm_readv": 310,
            "process_vm_writev": 311, "keyctl": 250, "io_uring_setup": 425, "pidfd_send_signal": 424,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "connect": 203, "execve": 221, "execveat": 281, "ptrace": 117, "kill": 129,
            "mount": 40, "setns": 268, "unshare": 97, "bpf": 280, "process_vm_readv": 270,
            "process_vm_writev": 271, "keyctl": 219, "io_uring_setup": 425, "pidfd_send_signal": 424,
        },
    ),
}  # fmt: skip
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
_X32_BIT = 0x40000000


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _restrict_calls(libc: ctypes.CDLL) -> bool:
    known = _DENIED.get(platform.machine())
    if known is None:
        return False
    audit, calls = known
    numbers = sorted(calls.values())
    steps: list[bytes] = []

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> None:
        steps.append(struct.pack("=HBBI", code, then, otherwise, value))

    # A jump counts the instructions to skip: the last two are "allow" and "deny".
    step(_LOAD, 4)
    step(_JUMP_EQUAL, audit, 0, len(numbers) + 3)
    step(_LOAD, 0)
    step(_JUMP_AT_LEAST, _X32_BIT, len(numbers) + 1, 0)
    for index, number in enumerate(numbers):
        step(_JUMP_EQUAL, number, len(numbers) - index, 0)
    step(_RETURN, _ALLOW)
    step(_RETURN, _DENY)
    code = ctypes.create_string_buffer(b"".join(steps))
    program = _Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    return libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0
