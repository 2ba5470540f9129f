# SPDX-License-Identifier: Apache-2.0
"""Requests to a worker and its answers.

Invariant: one SOCK_SEQPACKET packet is one message; bulk travels in two memory files, of which the
worker can change one, never the length of either.
"""

import array
import ctypes
import fcntl
import mmap
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from msgspec import Raw

from radkeep.domain.errors import IntegrityError, TooLargeError

ADOPT: Final = b"adopt"  # supervisor to zygote, with a door's channel
SPAWN: Final = b"spawn"  # door to zygote; the answer brings the worker's channel and its pidfd
SPAWNED: Final = b"spawned"
READY: Final = b"ready"  # zygote to supervisor; anything else says why not
MAX_PACKET: Final = 64 << 10  # bytes
_SIZE: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
Buffer = bytes | bytearray | memoryview
Input = tuple[int, Iterator[bytes]]  # length, and the pieces, which are taken once


class Request(msgspec.Struct, frozen=True, array_like=True):
    """What to do; the bytes to do it with follow each other in the input file."""

    operation: str
    parameters: Raw  # msgpack
    lengths: tuple[int, ...]  # bytes of each input
    room: int  # bytes of the output file


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What became of it."""

    error: str = ""  # a code of ``sandbox.errors``
    length: int = 0  # bytes of the output
    body: Raw = Raw(b"\xc0")  # msgpack


class NotAMessageError(Exception):
    """What came is no message of this kind."""


def held(data: bytes) -> Input:
    """Return ``data`` as an input."""
    return len(data), iter([data])


def input_file(parts: Sequence[Input]) -> int:
    """Return the descriptor of a sealed memory file that holds ``parts``.

    Raises:
        IntegrityError: a part has not the length that it announces.
    """
    descriptor = os.memfd_create("radkeep-input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for part in parts:
            _fill(descriptor, part)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SIZE | fcntl.F_SEAL_WRITE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _fill(descriptor: int, part: Input) -> None:
    length, pieces = part
    if sum(_write(descriptor, piece) for piece in pieces) != length:
        raise IntegrityError("stored bytes have another length than announced")


def _write(descriptor: int, piece: bytes) -> int:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]
    return len(piece)


def output_file(room: int) -> int:
    """Return the descriptor of a memory file of ``room`` bytes that stays this long."""
    descriptor = os.memfd_create("radkeep-output", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, room)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SIZE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_whole(descriptor: int, length: int, at: int = 0) -> bytes:
    """Return a private copy of ``length`` bytes, which nobody can change any more.

    Raises:
        NotAMessageError: the file is shorter.
    """
    pieces = []
    while length:
        piece = os.pread(descriptor, length, at)
        if not piece:
            raise NotAMessageError
        pieces.append(piece)
        at, length = at + len(piece), length - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@contextmanager
def mapped(descriptor: int, length: int) -> Iterator[memoryview]:
    """Lend the bytes of a file without a copy.

    Not by Python's ``mmap``, which asks the kernel more than a worker may.

    Raises:
        MemoryError: no room.
    """
    if not length:
        yield memoryview(b"")
        return
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t),
        *(ctypes.c_int,) * 3,
        ctypes.c_long,
    )
    library.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    start = library.mmap(None, length, mmap.PROT_READ, mmap.MAP_PRIVATE, descriptor, 0)
    if start in (None, ctypes.c_void_p(-1).value):
        raise MemoryError
    try:
        yield memoryview((ctypes.c_char * length).from_address(start)).cast("B").toreadonly()
    finally:
        library.munmap(start, length)


def write_whole(descriptor: int, data: Buffer) -> None:
    """Write ``data`` at the start of the file."""
    view, at = memoryview(data).cast("B"), 0
    while at < len(view):
        at += os.pwrite(descriptor, view[at:], at)


def send(end: socket.socket, message: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
    """Send one message, and copies of ``descriptors`` with it.

    Raises:
        TooLargeError: more than MAX_PACKET bytes.
        OSError: the peer is gone.
    """
    packet = msgspec.msgpack.encode(message)
    if len(packet) > MAX_PACKET:
        raise TooLargeError("a request to the decoder is too long")
    pass_on(end, packet, *descriptors)


def pass_on(end: socket.socket, packet: bytes, *descriptors: int) -> None:
    """Send ``packet`` and copies of ``descriptors``.

    Raises:
        OSError: the peer is gone.
    """
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    end.sendmsg([packet], rights if descriptors else [])


def receive(end: socket.socket, most: int = 0) -> tuple[bytes, list[int]]:
    """Return the next packet, empty when the peer is gone, and up to ``most`` descriptors.

    Raises:
        NotAMessageError: longer than a packet may be, or with more descriptors.
        TimeoutError: nothing came in the time that ``end`` was given.
    """
    space = socket.CMSG_SPACE(4 * most) if most else 0
    packet, ancillary, flags, _ = end.recvmsg(MAX_PACKET, space, socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) // 4 * 4])
            descriptors += numbers
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for descriptor in descriptors:
            os.close(descriptor)
        raise NotAMessageError
    return packet, descriptors


def decode(raw: bytes | Raw, of: type[Any]) -> Any:  # noqa: ANN401 - msgspec checks it
    """Return a message or a body as a value of type ``of``.

    Raises:
        NotAMessageError: it is not one.
    """
    try:
        return msgspec.msgpack.decode(raw, type=of)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotAMessageError from None
