# SPDX-License-Identifier: Apache-2.0
"""What a process of the sandbox gives up before it sees a byte from outside.

Invariant: a worker ends up with one channel, /dev/null and memory; what it could still ask the
kernel for, the filter refuses.
"""

import ctypes
import os
import resource
import signal
import socket
from typing import Final

from radkeep.domain.errors import UnavailableError
from radkeep.sandbox.seccomp import close_the_door

CPU_SECONDS: Final = 240  # of one worker in all its life; the caller retires it before
DESCRIPTORS: Final = 16
_CHANNEL: Final = 3  # the number that a worker's only channel gets
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4


def harden() -> None:
    """Forbid core files and debuggers, and end when the parent does.

    Raises:
        UnavailableError: the kernel refuses.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    library = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_PDEATHSIG, int(signal.SIGKILL))):
        if library.prctl(option, value, 0, 0, 0) != 0:
            raise UnavailableError("the kernel does not protect a process")


def confine(channel: socket.socket, *, memory: int) -> socket.socket:
    """Leave everything but ``channel``, and close the door; return the channel's new object.

    Args:
        channel: the worker's end.
        memory: bytes of address space, what the zygote has loaded included.

    Raises:
        UnavailableError: the kernel cannot confine a process.
    """
    harden()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.dup2(channel.detach(), _CHANNEL)
    os.closerange(_CHANNEL + 1, _descriptor_limit())
    end = socket.socket(fileno=_CHANNEL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    limits = (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, memory),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
    )
    for which, most in limits:
        resource.setrlimit(which, (most, most))
    close_the_door()
    return end


def _descriptor_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(soft, 1 << 20)
