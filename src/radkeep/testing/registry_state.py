# SPDX-License-Identifier: Apache-2.0
"""What the parts of the registry in memory share.

Invariant: each public method of a part holds the one lock, so it is one atomic step.
"""

import functools
import threading
from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec, TypeVar

from radkeep.domain.errors import AlreadyExistsError
from radkeep.identity.records import (
    Account,
    Certificate,
    Credentials,
    Device,
    Enrolment,
    Knock,
    KnownBrowser,
    Organization,
    PasswordPassedRecord,
    Session,
    Token,
    Zone,
)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound="Part")
K = TypeVar("K")
V = TypeVar("V", PasswordPassedRecord, KnownBrowser, Session)


class State:
    """What all parts of one registry share."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.organizations: dict[str, Organization] = {}
        self.accounts: dict[str, Account] = {}
        self.credentials: dict[str, Credentials] = {}
        self.recovery: dict[str, set[bytes]] = {}
        self.enrolments: dict[str, Enrolment] = {}
        self.passed: dict[bytes, PasswordPassedRecord] = {}
        self.browsers: dict[tuple[bytes, str], KnownBrowser] = {}
        self.sessions: dict[bytes, Session] = {}
        self.tokens: dict[bytes, Token] = {}
        self.devices: dict[str, Device] = {}
        self.certificates: dict[str, Certificate] = {}
        self.zones: dict[str, Zone] = {}
        self.knocks: dict[tuple[str, str], Knock] = {}
        self.settings: dict[str, str] = {}
        self.demo_link: tuple[bytes, datetime] | None = None
        self.revision = 0


class Part:
    """Base of the parts."""

    def __init__(self, state: State) -> None:
        self._state = state


def atomic(part: type[T]) -> type[T]:
    """Make each public method of ``part`` one atomic step."""
    for name, method in list(vars(part).items()):
        if not name.startswith("_"):
            setattr(part, name, _locked(method))
    return part


def _locked(method: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        part = args[0]
        assert isinstance(part, Part)
        with part._state.lock:  # noqa: SLF001 - its own
            return method(*args, **kwargs)

    return call


def unless(taken: bool) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse a key that is taken."""
    if taken:
        raise AlreadyExistsError("something with this key exists")


def trim(table: dict[K, V], newest: V, keep: int) -> None:
    """Remove what is expired, and all but the last ``keep`` of the account, ``newest`` included."""
    own = [(key, held) for key, held in table.items() if held.account == newest.account]
    own.sort(key=lambda pair: (pair[1] is newest, pair[1].created), reverse=True)
    for number, (key, held) in enumerate(own):
        if number >= keep or held.expires <= newest.created:
            del table[key]


def drop(table: dict[K, V], account: str, *, but: bytes = b"") -> int:
    """Remove what belongs to ``account`` and return how much it was."""
    gone = [k for k, held in table.items() if held.account == account and held.digest != but]
    for key in gone:
        del table[key]
    return len(gone)


def forget_all(state: State, account: str) -> None:
    """Remove all by which ``account`` could come in."""
    state.credentials.pop(account, None)
    state.recovery.pop(account, None)
    drop(state.browsers, account)
    drop(state.passed, account)
    drop(state.sessions, account)
