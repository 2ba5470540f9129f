# SPDX-License-Identifier: Apache-2.0
"""Passwords at work: hashed and checked a few at a time.

Invariant: at most ``parallel`` checks run at once, so that sign-ins cannot take all memory
(64 MiB each) or all cores; a check returns nothing and raises.
"""

from threading import BoundedSemaphore
from typing import Final, Protocol

from radkeep.crypto import passwords
from radkeep.domain.errors import UnavailableError

WAIT: Final = 10.0  # seconds for a turn; beyond it the server is busier than it can be


class Passwords(Protocol):
    """Hashes and checks passwords."""

    def hash(self, password: str) -> str:
        """Return what is stored of ``password``."""
        ...

    def verify(self, stored: str | None, password: str) -> None:
        """Return only if ``password`` is the one of ``stored``; None is nobody's, as slowly.

        Raises:
            WrongPasswordError: it is not.
        """
        ...

    def outdated(self, stored: str) -> bool:
        """Tell whether ``stored`` should be made again."""
        ...


class Argon2Passwords:
    """Argon2id as ``crypto.passwords`` sets it. Thread-safe."""

    def __init__(self, *, parallel: int = 2) -> None:
        self._turns = BoundedSemaphore(parallel)

    def hash(self, password: str) -> str:
        """Return the encoded hash of ``password``.

        Raises:
            UnavailableError: no turn within 10 s.
        """
        self._take_turn()
        try:
            return passwords.hash_password(password)
        finally:
            self._turns.release()

    def verify(self, stored: str | None, password: str) -> None:
        """Check ``password`` against ``stored``; None stands for nobody.

        Raises:
            WrongPasswordError: they do not match, or ``stored`` is None.
            UnavailableError: no turn within 10 s.
        """
        self._take_turn()
        try:
            passwords.verify_password(stored, password)
        finally:
            self._turns.release()

    def outdated(self, stored: str) -> bool:
        """Tell whether ``stored`` has other parameters than today's."""
        return passwords.needs_rehash(stored)

    def _take_turn(self) -> None:
        if not self._turns.acquire(timeout=WAIT):
            raise UnavailableError("too many sign-ins at once")
