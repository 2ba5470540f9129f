# SPDX-License-Identifier: Apache-2.0
"""One-time codes by time (RFC 6238) for authenticator apps: SHA-1, 6 digits, 30 seconds.

Invariant: a code is accepted at most once, if the caller remembers the step that ``verify``
returned and gives it back as ``after``.
"""

import base64
import hmac
import re
import secrets
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from radkeep.domain.errors import Kind, UnauthenticatedError

SECRET: Final = 20  # bytes, RFC 4226 Section 4 R6
STEP: Final = 30  # seconds, RFC 6238 Section 5.2
DIGITS: Final = 6
WINDOW: Final = 1  # steps before and after now, for clocks that differ
_CODE: Final = re.compile(r"[0-9]{6}")


class WrongCodeError(UnauthenticatedError):
    """The one-time code is wrong, too old or already used."""

    kind, code = Kind.UNAUTHENTICATED, "wrong-code"


def new_secret() -> bytes:
    """Return a new shared secret."""
    return secrets.token_bytes(SECRET)


def step_at(now: datetime) -> int:
    """Return the number of the 30-second step that contains ``now``."""
    return int(now.timestamp()) // STEP


def code_at(secret: bytes, step: int) -> str:
    """Return the code of ``step``."""
    # SHA-1 is what authenticator apps know; in HMAC it is not broken.
    totp = TOTP(secret, DIGITS, SHA1(), STEP)  # noqa: S303 - RFC 6238
    return totp.generate(step * STEP).decode()


def verify(secret: bytes, code: str, *, now: datetime, after: int = -1) -> int:
    """Return the step of ``code``; the caller keeps it and passes it as ``after`` next time.

    Args:
        secret: shared with the app.
        code: as typed; spaces are ignored.
        now: the time of the check.
        after: last step accepted for this secret; it and all earlier ones are refused.

    Raises:
        WrongCodeError: no step near ``now`` and later than ``after`` has this code.
    """
    typed = code.replace(" ", "")
    if not _CODE.fullmatch(typed):
        raise WrongCodeError("the code is wrong")
    current, accepted = step_at(now), None
    for step in range(max(current - WINDOW, 0), current + WINDOW + 1):
        if hmac.compare_digest(code_at(secret, step), typed) and step > after:
            accepted = step
    if accepted is None:
        raise WrongCodeError("the code is wrong")
    return accepted


def base32(secret: bytes) -> str:
    """Return ``secret`` as people type it into an app (RFC 4648 Section 6), without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def provisioning_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """Return the ``otpauth`` address that authenticator apps read from a QR code."""
    query = {
        "secret": base32(secret),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP,
    }
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
