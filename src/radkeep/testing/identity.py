# SPDX-License-Identifier: Apache-2.0
"""A registry in memory, passwords that cost nothing, and a clock that waits.

Invariant: ``MemoryRegistry`` passes the contracts of ``testing.identity_contracts``, so a test with
it means something.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from radkeep.crypto.passwords import WrongPasswordError
from radkeep.testing.registry_network import (
    MemoryCertificates,
    MemoryDemoLinks,
    MemoryDevices,
    MemoryKnocks,
    MemorySettings,
    MemoryTokens,
    MemoryZones,
)
from radkeep.testing.registry_people import (
    MemoryAccounts,
    MemoryCredentials,
    MemoryEnrolments,
    MemoryOrganizations,
    MemorySessions,
    MemorySignIns,
)
from radkeep.testing.registry_state import State

START: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class FakeClock:
    """A Clock that moves when it is told to."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self._now

    def pass_(self, **duration: float) -> datetime:
        """Move on by a ``timedelta(**duration)`` and return the new time."""
        self._now += timedelta(**duration)
        return self._now


class PlainPasswords:
    """Passwords without the cost of a hash; counts its checks, those of nobody too."""

    def __init__(self) -> None:
        self.checks = 0

    def hash(self, password: str) -> str:
        """Return something that is not the password."""
        return f"plain:{password[::-1]}"

    def verify(self, stored: str | None, password: str) -> None:
        """Check ``password`` against ``stored``; None stands for nobody."""
        self.checks += 1
        if stored != self.hash(password):
            raise WrongPasswordError("the password is wrong")

    def outdated(self, stored: str) -> bool:
        """Tell whether ``stored`` was made in another way."""
        return not stored.startswith("plain:")


class MemoryRegistry:
    """Satisfies ``identity.ports.Registry``. Thread-safe; forgets at exit."""

    def __init__(self) -> None:
        state = State()
        self.organizations = MemoryOrganizations(state)
        self.accounts = MemoryAccounts(state)
        self.credentials = MemoryCredentials(state)
        self.enrolments = MemoryEnrolments(state)
        self.sign_ins = MemorySignIns(state)
        self.sessions = MemorySessions(state)
        self.tokens = MemoryTokens(state)
        self.devices = MemoryDevices(state)
        self.certificates = MemoryCertificates(state)
        self.zones = MemoryZones(state)
        self.knocks = MemoryKnocks(state)
        self.settings = MemorySettings(state)
        self.demo_links = MemoryDemoLinks(state)
