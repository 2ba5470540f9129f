# SPDX-License-Identifier: Apache-2.0
"""Sessions lock, open again, end, and follow their account."""

import pytest

from radkeep.audit.events import EventId, EventType, Outcome
from radkeep.domain.errors import ArchiveFullError, ForbiddenError, UnauthenticatedError
from radkeep.identity.sessions import SessionLockedError, UnlockFailedError
from radkeep.identity.throttle import TooManyAttemptsError
from radkeep.testing.clinic import HERE, PASSWORD, Clinic

JANE = "jane@mercy.org"


@pytest.fixture
def token(clinic: Clinic) -> str:
    clinic.person(JANE)
    return clinic.sign_in(JANE).session_token


def test_a_cookie_has_256_bits(token: str) -> None:
    assert len(token) == 43


def test_fifteen_idle_minutes_lock(clinic: Clinic, token: str) -> None:
    clinic.clock.pass_(minutes=14, seconds=59)
    clinic.identity.sessions.actor(token)
    clinic.clock.pass_(minutes=15)
    with pytest.raises(SessionLockedError):
        clinic.identity.sessions.actor(token)
    assert clinic.identity.sessions.account(token).email == JANE


def test_use_keeps_it_open_until_twelve_hours(clinic: Clinic, token: str) -> None:
    for _ in range(71):
        clinic.clock.pass_(minutes=10)
        clinic.identity.sessions.actor(token)
    clinic.clock.pass_(minutes=10)
    with pytest.raises(UnauthenticatedError) as caught:
        clinic.identity.sessions.actor(token)
    assert not isinstance(caught.value, SessionLockedError)
    with pytest.raises(UnauthenticatedError):
        clinic.identity.sessions.unlock(token, PASSWORD)


def test_a_use_is_noted_at_most_once_a_minute(clinic: Clinic, token: str) -> None:
    noted = []
    clinic.registry.sessions.touch = lambda *a: noted.append(a)  # type: ignore[method-assign] - counts
    for _ in range(59):
        clinic.clock.pass_(seconds=1)
        clinic.identity.sessions.actor(token)
    assert not noted
    clinic.clock.pass_(seconds=1)
    clinic.identity.sessions.actor(token)
    assert len(noted) == 1


def test_reading_goes_on_when_the_disk_is_full(clinic: Clinic, token: str) -> None:
    def full(*_: object) -> None:
        raise ArchiveFullError("full")

    clinic.registry.sessions.touch = full  # type: ignore[method-assign] - a full disk
    clinic.clock.pass_(minutes=2)
    assert clinic.identity.sessions.actor(token).name == JANE


def test_the_password_opens_the_same_session(clinic: Clinic, token: str) -> None:
    clinic.clock.pass_(hours=1)
    with pytest.raises(UnlockFailedError):
        clinic.identity.sessions.unlock(token, "wrong-wrong-wrong", address=HERE)
    with pytest.raises(SessionLockedError):
        clinic.identity.sessions.actor(token)
    clinic.identity.sessions.unlock(token, PASSWORD, address=HERE)
    assert clinic.identity.sessions.actor(token).name == JANE
    outcomes = [
        event.outcome for event in clinic.events(EventId.USER_AUTHENTICATION, proof="unlock")
    ]
    assert outcomes == [Outcome.MINOR_FAILURE, Outcome.SUCCESS]


def test_guessing_at_a_locked_session_slows_down(clinic: Clinic, token: str) -> None:
    clinic.identity.sessions.lock(token)
    for _ in range(6):
        with pytest.raises(UnlockFailedError):
            clinic.identity.sessions.unlock(token, "wrong-wrong-wrong")
    with pytest.raises(TooManyAttemptsError):
        clinic.identity.sessions.unlock(token, PASSWORD)
    clinic.clock.pass_(seconds=2)
    clinic.identity.sessions.unlock(token, PASSWORD)


def test_signing_out_ends_it_for_good(clinic: Clinic, token: str) -> None:
    clinic.identity.sessions.sign_out(token, address=HERE)
    clinic.identity.sessions.sign_out(token, address=HERE)
    for act in (
        lambda: clinic.identity.sessions.actor(token),
        lambda: clinic.identity.sessions.unlock(token, PASSWORD),
    ):
        with pytest.raises(UnauthenticatedError):
            act()
    logouts = [e for e in clinic.audit.events if e.type is EventType.LOGOUT]
    assert len(logouts) == 1


def test_a_stranger_has_no_session(clinic: Clinic) -> None:
    for token in ("", "x" * 43, "ü" * 9):
        with pytest.raises(UnauthenticatedError):
            clinic.identity.sessions.actor(token)


def test_disabling_and_roles_count_at_once(clinic: Clinic, token: str) -> None:
    clinic.identity.accounts.set_roles(clinic.operator, JANE, ["secretary"])
    assert clinic.identity.sessions.actor(token).permissions == {"study:query"}
    clinic.identity.accounts.disable(clinic.operator, JANE)
    with pytest.raises(UnauthenticatedError):
        clinic.identity.sessions.actor(token)
    clinic.identity.accounts.enable(clinic.operator, JANE)
    with pytest.raises(UnauthenticatedError):
        clinic.identity.sessions.actor(token)


def test_a_person_ends_their_other_sessions(clinic: Clinic, token: str) -> None:
    other = clinic.sign_in(JANE).session_token
    jane = clinic.identity.sessions.actor(token)
    assert clinic.identity.sessions.end_all(jane, but_token=token) == 1
    clinic.identity.sessions.actor(token)
    with pytest.raises(UnauthenticatedError):
        clinic.identity.sessions.actor(other)


def test_only_who_manages_accounts_ends_sessions_of_others(clinic: Clinic, token: str) -> None:
    joe = clinic.actor("joe@mercy.org", "secretary")
    for email in (JANE, "nobody@mercy.org"):
        with pytest.raises(ForbiddenError):
            clinic.identity.sessions.end_all(joe, email)
    clinic.identity.sessions.actor(token)
    assert clinic.identity.sessions.end_all(clinic.operator, JANE) == 1
    with pytest.raises(UnauthenticatedError):
        clinic.identity.sessions.actor(token)
