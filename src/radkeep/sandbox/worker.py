# SPDX-License-Identifier: Apache-2.0
"""A worker: one request at a time, behind the filter.

Invariant: it keeps nothing of a request but what a hostile one could have broken in it, which is
why its caller never lets it see two studies.
"""

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Final

import msgspec
from msgspec import Raw

from radkeep.domain.errors import RadkeepError
from radkeep.sandbox import wire
from radkeep.sandbox.errors import BROKEN, TOO_LARGE, code_of
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
    operation = operations.get(request.operation)
    if operation is None:
        return Answer(BROKEN)
    try:
        with wire.mapped(source, sum(request.lengths)) as whole:
            output, body = operation(request.parameters, _parts(whole, request.lengths))
        size = memoryview(output).nbytes
        if size > request.room:
            return Answer(TOO_LARGE)
        wire.write_whole(target, output)
        return Answer("", size, Raw(msgspec.msgpack.encode(body)))
    except (MemoryError, NotAMessageError, RadkeepError) as error:
        return Answer(code_of(error))


def _parts(whole: memoryview, lengths: Sequence[int]) -> list[memoryview]:
    ends = list(accumulate(lengths))
    return [whole[end - length : end] for end, length in zip(ends, lengths, strict=True)]
