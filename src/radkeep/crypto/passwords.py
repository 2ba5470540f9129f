# SPDX-License-Identifier: Apache-2.0
"""Passwords of people: argon2id, second profile of RFC 9106 Section 4.

Invariant: checking the password of an unknown account takes as long as of a known one. A check
returns nothing and raises, so nobody can forget to look at its answer.
"""

import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from radkeep.domain.errors import IntegrityError, InvalidRequestError, Kind, UnauthenticatedError

MAX_PASSWORD: Final = 1024  # characters; longer ones would only buy an attacker our time
# RFC 9106's first profile (2 GiB) would let a handful of sign-ins exhaust the machine.
_HASHER: Final = PasswordHasher(
    time_cost=3, memory_cost=65_536, parallelism=4, hash_len=32, salt_len=16, type=Type.ID
)
# Of a random password that nobody knows; verified when the account does not exist.
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$uGd7Gval5GI2YYQhU/9QBQ$hsom9B"
    "pwAnX/cAS2oB3UcY/rg9EeEljCt1xbW1lC8jQ"
)


class WrongPasswordError(UnauthenticatedError):
    """The password is not that of the account, or there is no such account."""

    kind, code = Kind.UNAUTHENTICATED, "wrong-password"


def hash_password(password: str) -> str:
    """Return the encoded argon2id hash of ``password`` with its parameters and salt.

    Raises:
        InvalidRequestError: more than MAX_PASSWORD characters.
    """
    if len(password) > MAX_PASSWORD:
        raise InvalidRequestError("a password has at most 1,024 characters")
    return _HASHER.hash(_normal(password))


def verify_password(stored: str | None, password: str) -> None:
    """Check ``password`` against ``stored``; None stands for an account that does not exist.

    Raises:
        WrongPasswordError: they do not match, or there is no account.
        IntegrityError: ``stored`` is not a hash.
    """
    attempt = _normal(password) if len(password) <= MAX_PASSWORD else ""
    try:
        _HASHER.verify(_NOBODY if stored is None else stored, attempt)
    except InvalidHashError:
        raise IntegrityError("a stored password hash is damaged") from None
    except VerificationError:
        raise WrongPasswordError("the password is wrong") from None
    if stored is None:
        raise WrongPasswordError("the password is wrong")


def needs_rehash(stored: str) -> bool:
    """Tell whether ``stored`` was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def _normal(password: str) -> str:
    """Return one spelling of characters that look alike (SP 800-63B-4 Section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
