# SPDX-License-Identifier: Apache-2.0
"""A worker: one request at a time, behind the filter.

Invariant: it keeps nothing of a request but what a hostile one could have broken in it, which is
why its caller never lets it see two studies.
"""

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from radkeep.domain.errors import DamagedPixelsError, NotDecodableError, RadkeepError, TooLargeError
from radkeep.sandbox import errors, wire
from radkeep.sandbox.wire import Answer, Buffer, NotAMessageError, Request

Operation = Callable[[Raw, Sequence[memoryview]], tuple[Buffer, object]]
_FILES: Final = 2  # input and output


def work(end: socket.socket, operations: Mapping[str, Operation]) -> None:
    """Serve requests until the caller hangs up."""
    sys.unraisablehook = lambda _: None  # telling them would open source files
    while True:
        packet, files = wire.receive(end, _FILES)
        if not packet:
            os._exit(0)
        request: Request = wire.decode(packet, Request)
        source, target = files
        try:
            answer = _answer(request, source, target, operations)
        finally:
            os.close(source)
            os.close(target)
        wire.send(end, answer)


def _answer(
    request: Request, source: int, target: int, operations: Mapping[str, Operation]
) -> Answer:
    whole = memoryview(wire.read_whole(source, sum(request.lengths)))
    parts, at = [], 0
    for length in request.lengths:
        parts.append(whole[at : at + length])
        at += length
    try:
        output, body = operations[request.operation](request.parameters, parts)
        size = memoryview(output).nbytes
        if size > request.room:
            return Answer(errors.TOO_LARGE)
        wire.write_whole(target, output)
        return Answer("", size, Raw(msgspec.msgpack.encode(body)))
    except (MemoryError, TooLargeError):
        return Answer(errors.TOO_LARGE)
    except NotDecodableError:
        return Answer(errors.UNSUPPORTED)
    except (DamagedPixelsError, RadkeepError):
        return Answer(errors.DAMAGED)
    except (KeyError, NotAMessageError):
        return Answer(errors.BROKEN)
