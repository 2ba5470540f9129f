# SPDX-License-Identifier: Apache-2.0
"""Errors as HTTP says them: problem documents of RFC 9457.

Invariant: every deliberate error has a status; what escapes otherwise is told as a reference
number alone, and the log keeps where it happened, never a value.
"""

import secrets
import traceback
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from starlette.responses import Response

from radkeep.domain.errors import Kind, RadkeepError, UnsupportedError
from radkeep.web.kit.headers import NO_STORE

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 5  # seconds, where an error does not know better

BY_KIND: Final = {
    Kind.INVALID: HTTPStatus.BAD_REQUEST,
    Kind.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.THROTTLED: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.NO_ROOM: HTTPStatus.INSUFFICIENT_STORAGE,
    Kind.INTEGRITY: HTTPStatus.INTERNAL_SERVER_ERROR,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}

BY_CODE: Final = {
    "not-acceptable": HTTPStatus.NOT_ACCEPTABLE,
    "not-decodable": HTTPStatus.NOT_ACCEPTABLE,
    "damaged-pixels": HTTPStatus.NOT_ACCEPTABLE,
    "method-not-allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "range-not-satisfiable": HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    "request-timeout": HTTPStatus.REQUEST_TIMEOUT,
}

_RETRIED: Final = frozenset({Kind.THROTTLED, Kind.UNAVAILABLE})


class NotAcceptableError(UnsupportedError):
    """Nothing that this server can give is what the client accepts."""

    code = "not-acceptable"


class MethodNotAllowedError(UnsupportedError):
    """The resource exists but does not do this."""

    code = "method-not-allowed"


class RequestTimeoutError(RadkeepError):
    """The client sends its request too slowly."""

    kind, code = Kind.INVALID, "request-timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as a client is told it."""

    status: HTTPStatus
    code: str  # stable; names the page /problems/CODE
    detail: str  # safe for any peer
    retry_after: int = 0  # seconds; 0 says nothing
    whole: int | None = None  # bytes of what a range was asked of
    reference: str = ""  # finds the entry in the server's log


def problem(error: RadkeepError) -> Problem:
    """Return the problem that ``error`` is for an HTTP client."""
    retry_after = 0
    if error.kind in _RETRIED:
        retry_after = max(1, round(getattr(error, "retry_after", RETRY_AFTER)))
    return Problem(
        status=BY_CODE.get(error.code, BY_KIND[error.kind]),
        code=error.code,
        detail=str(error),
        retry_after=retry_after,
        whole=getattr(error, "length", None),
    )


def unexpected(error: Exception) -> Problem:
    """Log an error that nobody meant to raise and return what the client may know of it."""
    reference = secrets.token_hex(8)
    frames = traceback.extract_tb(error.__traceback__)
    structlog.get_logger().error(
        "request.failed",
        reference=reference,
        error=type(error).__qualname__,  # its message may hold anything
        at=[f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames],
    )
    return Problem(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        code="internal-error",
        detail="the server failed; its log has details under this reference",
        reference=reference,
    )


def problem_response(told: Problem) -> Response:
    """Return ``told`` as application/problem+json."""
    document = {
        "type": f"/problems/{told.code}",
        "title": told.status.phrase,
        "status": int(told.status),
        "detail": told.detail,
    }
    if told.reference:
        document["reference"] = told.reference
    return Response(
        msgspec.json.encode(document),
        told.status,
        media_type=MEDIA_TYPE,
        headers=problem_headers(told),
    )


def problem_headers(told: Problem) -> dict[str, str]:
    """Return the headers that belong to ``told`` in whatever form it is shown."""
    headers = {"Cache-Control": NO_STORE}
    if told.retry_after:
        headers["Retry-After"] = str(told.retry_after)
    if told.whole is not None:
        headers["Content-Range"] = f"bytes */{told.whole}"
    if told.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="radkeep"'
    return headers
