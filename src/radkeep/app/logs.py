# SPDX-License-Identifier: Apache-2.0
"""Logs: one JSON object a line on stderr, fields only, never patient data.

Invariant: text that came from outside stands in JSON strings, so no peer can forge a line; of an
exception that is not ours only its type and its place are told, since its words may hold anything.
A line that cannot be written, as on a full disk, is lost and stops nobody.
"""

import contextlib
import io
import logging
import sys
import traceback
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger
from typing_extensions import override

from radkeep.domain.errors import RadkeepError


def configure_logs(process: str, *, level: int = logging.INFO) -> None:
    """Send every log of this process, from ``level`` on, to stderr."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            tell_exception,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Lossy())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def tell_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put types and places of an exception and its causes in the place of ``exc_info``."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if isinstance(given, tuple):
        error = given[1]
    told = []
    while error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        told.append(
            {
                "error": type(error).__qualname__,
                **({"message": str(error)} if isinstance(error, RadkeepError) else {}),
                "at": [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames],
            }
        )
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if told:
        event["exception"] = told
    return event


class _Lossy(io.TextIOBase):
    """Writes to stderr, as it is then, what that takes."""

    @override
    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    @override
    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
