# SPDX-License-Identifier: Apache-2.0
"""How a command fails: one line on stderr, and an exit code by kind.

Invariant: exit code 0 means success and nothing else does.
"""

from http import HTTPStatus
from typing import Final, Self

import msgspec

from radkeep.domain.errors import Kind, RadkeepError

EXIT: Final[dict[Kind, int]] = {
    Kind.INVALID: 1,
    Kind.UNSUPPORTED: 1,
    Kind.UNAUTHENTICATED: 1,
    Kind.FORBIDDEN: 3,
    Kind.NOT_FOUND: 4,
    Kind.CONFLICT: 5,
    Kind.TOO_LARGE: 6,
    Kind.THROTTLED: 7,
    Kind.NO_ROOM: 8,
    Kind.INTEGRITY: 9,
    Kind.UNAVAILABLE: 10,
}


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""


class ProblemError(Exception):
    """The server refused a command; its words are safe to show."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @classmethod
    def of(cls, status: int, content: bytes) -> Self:
        """Return the error that an answer's problem document (RFC 9457) tells."""
        try:
            problem = msgspec.json.decode(content, type=_Problem)
        except msgspec.DecodeError:
            problem = _Problem()
        return cls(status, problem.detail or problem.title or HTTPStatus(status).phrase)

    @property
    def exit_code(self) -> int:
        """Return the exit code of this HTTP status."""
        return _BY_STATUS.get(self.status, 1)


_BY_STATUS: Final[dict[int, int]] = {
    HTTPStatus.FORBIDDEN: EXIT[Kind.FORBIDDEN],
    HTTPStatus.NOT_FOUND: EXIT[Kind.NOT_FOUND],
    HTTPStatus.CONFLICT: EXIT[Kind.CONFLICT],
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: EXIT[Kind.TOO_LARGE],
    HTTPStatus.TOO_MANY_REQUESTS: EXIT[Kind.THROTTLED],
    HTTPStatus.INSUFFICIENT_STORAGE: EXIT[Kind.NO_ROOM],
    HTTPStatus.INTERNAL_SERVER_ERROR: EXIT[Kind.INTEGRITY],
    HTTPStatus.SERVICE_UNAVAILABLE: EXIT[Kind.UNAVAILABLE],
}


def exit_code(error: RadkeepError) -> int:
    """Return the exit code of ``error``."""
    return EXIT[error.kind]
