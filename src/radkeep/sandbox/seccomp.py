# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls behind which hostile bytes are decoded.

Invariant: what is not on the list ends the process: no file is opened, no socket made, no program
or thread started, no other process touched, and no memory becomes code.
"""

import ctypes
import platform
import struct
from collections.abc import Mapping
from typing import Final

from radkeep.domain.errors import UnavailableError

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000

_NUMBER_AT: Final = 0  # offsets in struct seccomp_data
_ARCH_AT: Final = 4
_THIRD_ARGUMENT_AT: Final = 32  # its low half; both machines are little endian
_PROT_EXEC: Final = 4
_X32: Final = 0x40000000  # the other numbering of calls on x86-64

_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_SET_MODE_FILTER: Final = 1

_INSTRUCTION: Final = struct.Struct("<HBBI")  # code, jump if true, jump if false, constant

# Messages and their descriptors, memory, waiting on oneself, time, randomness, the end.
_X86_64: Final[Mapping[str, int]] = {
    "recvmsg": 47,
    "sendmsg": 46,
    "close": 3,
    "pread64": 17,
    "pwrite64": 18,
    "write": 1,  # what libraries say on stderr; only /dev/null is open to it
    "brk": 12,
    "munmap": 11,
    "mremap": 25,
    "madvise": 28,
    "futex": 202,
    "sched_yield": 24,
    "getpid": 39,
    "gettid": 186,
    "sysinfo": 99,  # how much memory there is, which sorting asks for
    "clock_gettime": 228,
    "gettimeofday": 96,
    "getrandom": 318,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "exit": 60,
    "exit_group": 231,
}
_AARCH64: Final[Mapping[str, int]] = {
    "recvmsg": 212,
    "sendmsg": 211,
    "close": 57,
    "pread64": 67,
    "pwrite64": 68,
    "write": 64,
    "brk": 214,
    "munmap": 215,
    "mremap": 216,
    "madvise": 233,
    "futex": 98,
    "sched_yield": 124,
    "getpid": 172,
    "gettid": 178,
    "sysinfo": 179,
    "clock_gettime": 113,
    "gettimeofday": 169,
    "getrandom": 278,
    "rt_sigprocmask": 135,
    "rt_sigreturn": 139,
    "exit": 93,
    "exit_group": 94,
}


class _Machine(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def program(machine: str) -> bytes:
    """Return the filter for ``machine``, as ``platform.machine`` names it.

    Raises:
        UnavailableError: no filter is written for it.
    """
    if machine == "x86_64":
        arch, allowed, mapping, seccomp = 0xC000003E, _X86_64, (9, 10), True
    elif machine == "aarch64":
        arch, allowed, mapping, seccomp = 0xC00000B7, _AARCH64, (222, 226), False
    else:
        raise UnavailableError("no sandbox is written for this kind of processor")
    out = [
        _INSTRUCTION.pack(_LOAD, 0, 0, _ARCH_AT),
        _INSTRUCTION.pack(_EQUAL, 1, 0, arch),
        _INSTRUCTION.pack(_RETURN, 0, 0, _KILL_PROCESS),
        _INSTRUCTION.pack(_LOAD, 0, 0, _NUMBER_AT),
    ]
    if seccomp:
        out += [
            _INSTRUCTION.pack(_AT_LEAST, 0, 1, _X32),
            _INSTRUCTION.pack(_RETURN, 0, 0, _KILL_PROCESS),
        ]
    for number in allowed.values():
        out += [
            _INSTRUCTION.pack(_EQUAL, 0, 1, number),
            _INSTRUCTION.pack(_RETURN, 0, 0, _ALLOW),
        ]
    for number in mapping:  # mmap and mprotect, of memory that never is code
        out += [
            _INSTRUCTION.pack(_EQUAL, 0, 4, number),
            _INSTRUCTION.pack(_LOAD, 0, 0, _THIRD_ARGUMENT_AT),
            _INSTRUCTION.pack(_ANY_BIT, 1, 0, _PROT_EXEC),
            _INSTRUCTION.pack(_RETURN, 0, 0, _ALLOW),
            _INSTRUCTION.pack(_RETURN, 0, 0, _KILL_PROCESS),
        ]
    out.append(_INSTRUCTION.pack(_RETURN, 0, 0, _KILL_PROCESS))
    return b"".join(out)


def close_the_door() -> None:
    """Put this process behind the filter, for good.

    Raises:
        UnavailableError: the kernel does not do it.
    """
    machine = platform.machine()
    code = program(machine)
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise UnavailableError("the kernel does not let a process give up privileges")
    held = ctypes.create_string_buffer(code, len(code))
    filtering = _Machine(len(code) // _INSTRUCTION.size, ctypes.addressof(held))
    call = 317 if machine == "x86_64" else 277
    if library.syscall(call, _SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(filtering)) != 0:
        raise UnavailableError("the kernel does not filter system calls")
