# SPDX-License-Identifier: Apache-2.0
"""Sign-in: two factors, each code once, guessers slowed, owners never locked out."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from radkeep.audit.events import EventId, EventType, Outcome
from radkeep.crypto.tokens import token_digest
from radkeep.domain.errors import AuditUnavailableError, RadkeepError, UnauthenticatedError
from radkeep.identity.login import (
    PasswordPassed,
    SignedIn,
    SignInExpiredError,
    SignInFailedError,
)
from radkeep.identity.passwords import Argon2Passwords
from radkeep.identity.throttle import TooManyAttemptsError
from radkeep.testing.clinic import HERE, PASSWORD, Clinic

JANE = "jane@mercy.org"


@pytest.fixture
def jane(clinic: Clinic) -> Clinic:
    clinic.person(JANE)
    return clinic


def password(clinic: Clinic, word: str = PASSWORD, **more: str) -> PasswordPassed | SignedIn:
    more = {"address": HERE} | more
    return clinic.identity.login.password(more.pop("email", JANE), word, **more)


def _attempt(clinic: Clinic, address: str, email: str = JANE) -> int:
    """Return how long a wrong password must wait, 0 if it is heard."""
    try:
        password(clinic, "wrong-wrong-wrong", address=address, email=email)
    except TooManyAttemptsError as error:
        return error.retry_after
    except SignInFailedError:
        return 0
    raise AssertionError("a wrong password was right")


def passed(clinic: Clinic) -> PasswordPassed:
    step = password(clinic)
    assert isinstance(step, PasswordPassed)
    return step


def test_both_factors_make_a_session(jane: Clinic) -> None:
    step = passed(jane)
    done = jane.identity.login.second_factor(step.token, jane.code(JANE), address=HERE)
    actor = jane.identity.sessions.actor(done.session_token, address=HERE)
    assert actor.name == JANE
    assert "study:read" in actor.permissions
    assert done.account.email == JANE


def test_a_password_alone_opens_nothing(jane: Clinic) -> None:
    with pytest.raises(UnauthenticatedError):
        jane.identity.sessions.actor(passed(jane).token)
    with pytest.raises(SignInFailedError):
        jane.identity.login.sign_in(JANE, PASSWORD, "", address=HERE)
    assert all(
        event.outcome is Outcome.MINOR_FAILURE
        for event in jane.audit.of(EventId.USER_AUTHENTICATION)
    )


def test_an_address_is_known_in_any_case(jane: Clinic) -> None:
    assert isinstance(password(jane, email=" Jane@MERCY.org "), PasswordPassed)


def test_a_code_works_once_even_in_its_window(jane: Clinic) -> None:
    code = jane.code(JANE)
    first, second = passed(jane), passed(jane)
    jane.identity.login.second_factor(first.token, code, address=HERE)
    with pytest.raises(SignInFailedError):
        jane.identity.login.second_factor(second.token, code, address=HERE)


def test_the_code_that_enrolled_does_not_sign_in(clinic: Clinic) -> None:
    clinic.person(JANE)
    with pytest.raises(SignInFailedError):
        clinic.identity.login.sign_in(JANE, PASSWORD, clinic.code(JANE, steps=-1), address=HERE)


def test_one_code_in_parallel_gives_one_session(jane: Clinic) -> None:
    code, steps = jane.code(JANE), [passed(jane) for _ in range(4)]

    def present(step: PasswordPassed) -> bool:
        try:
            jane.identity.login.second_factor(step.token, code, address=HERE)
        except SignInFailedError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(present, steps)) == 1


def test_a_recovery_code_works_once(clinic: Clinic) -> None:
    clinic.identity.accounts.create(clinic.operator, JANE, roles=["radiologist"])
    codes = clinic.enrol(JANE)
    assert len(set(codes)) == 10
    typed = codes[3].lower().replace("-", " ")
    clinic.identity.login.sign_in(JANE, PASSWORD, typed, address=HERE)
    with pytest.raises(SignInFailedError):
        clinic.identity.login.sign_in(JANE, PASSWORD, codes[3], address=HERE)
    clinic.identity.login.sign_in(JANE, PASSWORD, codes[4], address=HERE)


def test_a_passed_password_is_good_for_five_minutes_and_one_session(jane: Clinic) -> None:
    step = passed(jane)
    jane.identity.login.second_factor(step.token, jane.code(JANE), address=HERE)
    with pytest.raises(SignInExpiredError):
        jane.identity.login.second_factor(step.token, jane.code(JANE, steps=1), address=HERE)
    late = passed(jane)
    jane.clock.pass_(minutes=5)
    with pytest.raises(SignInExpiredError):
        jane.identity.login.second_factor(late.token, jane.code(JANE), address=HERE)


def test_five_wrong_codes_end_a_passed_password(jane: Clinic) -> None:
    step = passed(jane)
    for _ in range(5):
        with pytest.raises(SignInFailedError):
            jane.identity.login.second_factor(step.token, "000000", address=HERE)
    with pytest.raises(SignInExpiredError):
        jane.identity.login.second_factor(step.token, jane.code(JANE), address=HERE)


def test_wrong_codes_slow_down_across_passwords_and_sources(jane: Clinic) -> None:
    refused = 0
    for number in range(40):
        step = password(jane, address=f"10.1.0.{number}")
        assert isinstance(step, PasswordPassed)
        try:
            jane.identity.login.second_factor(step.token, "000000", address=f"10.1.0.{number}")
        except TooManyAttemptsError:
            refused += 1
        except SignInFailedError:
            pass
    assert refused >= 30


def test_the_factor_is_remembered_for_twelve_hours_in_this_browser(jane: Clinic) -> None:
    cookie = jane.sign_in(JANE).device_cookie
    assert isinstance(password(jane, device_cookie=cookie), SignedIn)
    assert isinstance(password(jane), PasswordPassed)
    assert isinstance(password(jane, device_cookie="x" * 43), PasswordPassed)
    jane.clock.pass_(hours=12)
    assert isinstance(password(jane, device_cookie=cookie), PasswordPassed)


def test_a_remembered_browser_of_one_person_is_nothing_to_another(jane: Clinic) -> None:
    jane.person("joe@mercy.org")
    cookie = jane.sign_in("joe@mercy.org").device_cookie
    assert isinstance(password(jane, device_cookie=cookie), PasswordPassed)


def test_a_planted_cookie_gains_nothing(jane: Clinic) -> None:
    jane.person("mallory@mercy.org")
    planted = jane.sign_in("mallory@mercy.org").device_cookie
    fresh = jane.sign_in(JANE, cookie=planted).device_cookie
    assert fresh != planted
    assert isinstance(password(jane, device_cookie=planted), PasswordPassed)
    assert isinstance(password(jane, device_cookie=fresh), SignedIn)


def test_a_shared_browser_stays_known_for_both_under_one_cookie(jane: Clinic) -> None:
    jane.person("joe@mercy.org")
    first = jane.sign_in("joe@mercy.org").device_cookie
    second = jane.sign_in(JANE, cookie=first).device_cookie
    for email in (JANE, "joe@mercy.org"):
        assert isinstance(password(jane, email=email, device_cookie=second), SignedIn)
        assert isinstance(password(jane, email=email, device_cookie=first), PasswordPassed)


@pytest.mark.parametrize("case", ["unknown", "not an address", "wrong", "not enrolled", "disabled"])
def test_every_failure_looks_the_same(jane: Clinic, case: str) -> None:
    accounts = jane.identity.accounts
    email, word = JANE, PASSWORD
    match case:
        case "unknown":
            email = "nobody@mercy.org"
        case "not an address":
            email = "no address"
        case "wrong":
            word = "tiger-lamp-orbit-95"
        case "not enrolled":
            email = "new@mercy.org"
            accounts.create(jane.operator, email, roles=["secretary"])
        case _:
            accounts.disable(jane.operator, JANE)
    before = jane.passwords.checks, len(jane.audit.events)
    with pytest.raises(SignInFailedError, match=r"^e-mail address, password or code is wrong$"):
        password(jane, word, email=email)
    assert (jane.passwords.checks, len(jane.audit.events)) == (before[0] + 1, before[1] + 1)
    event = jane.audit.events[-1]
    assert event.outcome is Outcome.MINOR_FAILURE
    assert event.address == HERE
    assert word not in str(event)
    assert email in (JANE, "new@mercy.org") or email not in str(event)


def test_twenty_wrong_passwords_slow_the_guesser_but_not_the_owner(jane: Clinic) -> None:
    cookie = jane.sign_in(JANE).device_cookie
    delays = []
    for _ in range(20):
        try:
            password(jane, "wrong-wrong-wrong")
        except TooManyAttemptsError as error:
            delays.append(error.retry_after)
            jane.clock.pass_(seconds=error.retry_after)
        except SignInFailedError:
            continue
    assert delays == sorted(delays)
    assert delays[-1] > 100
    password_or_wait = [_attempt(jane, "10.0.0.7") for _ in range(2)]
    assert password_or_wait[-1] > 0
    assert isinstance(password(jane, device_cookie=cookie), SignedIn)
    assert isinstance(password(jane, address="10.9.9.9"), PasswordPassed)


def test_spraying_many_accounts_from_one_source_is_stopped(jane: Clinic) -> None:
    heard = 0
    for number in range(1000):
        try:
            password(jane, "wrong-wrong-wrong", email=f"user{number}@mercy.org")
        except TooManyAttemptsError:
            pass
        except SignInFailedError:
            heard += 1
    assert heard <= 21
    assert len(jane.audit.of(EventId.USER_AUTHENTICATION)) <= heard + 2


def test_many_sources_cannot_keep_out_a_known_browser(jane: Clinic) -> None:
    cookie = jane.sign_in(JANE).device_cookie
    stopped = 0
    for number in range(300):
        try:
            password(jane, "wrong-wrong-wrong", address=f"10.{number % 256}.{number // 256}.1")
        except TooManyAttemptsError:
            stopped += 1
        except SignInFailedError:
            pass
    assert stopped > 150
    assert isinstance(password(jane, device_cookie=cookie), SignedIn)
    jane.clock.pass_(minutes=1, seconds=1)
    assert isinstance(password(jane, address="192.0.2.1"), PasswordPassed)


def test_an_ipv6_customer_is_one_source(jane: Clinic) -> None:
    waits = [_attempt(jane, f"2001:db8::{n:x}", email=f"u{n}@mercy.org") for n in range(30)]
    assert not any(waits[:20])
    assert all(waits[21:])
    assert not _attempt(jane, "2001:db8:0:1::1")


def test_an_old_hash_is_made_again(jane: Clinic) -> None:
    account = jane.registry.accounts.by_email(JANE)
    assert account is not None
    hashed = jane.passwords.hash(PASSWORD)
    jane.passwords.hash = lambda _: hashed  # type: ignore[method-assign] - as the new way makes it
    jane.passwords.outdated = lambda _: True  # type: ignore[method-assign] - an old parameter
    password(jane)
    credentials = jane.registry.credentials.of(account.id)
    assert credentials is not None
    assert credentials.password_hash == hashed


def test_a_sign_in_is_audited_with_its_session(jane: Clinic) -> None:
    done = jane.sign_in(JANE)
    event = jane.audit.of(EventId.USER_AUTHENTICATION)[-1]
    assert (event.type, event.outcome) == (EventType.LOGIN, Outcome.SUCCESS)
    assert event.session == token_digest(done.session_token).hex()[:16]
    assert event.detail == {"proof": "password and one-time code"}
    assert done.session_token not in str(event)


def test_no_audit_no_session(jane: Clinic) -> None:
    step = passed(jane)
    jane.audit.available = False
    with pytest.raises(AuditUnavailableError):
        jane.identity.login.second_factor(step.token, jane.code(JANE), address=HERE)
    assert not jane.registry.sessions._state.sessions


def test_secrets_are_stored_as_digests(jane: Clinic) -> None:
    step = passed(jane)
    done = jane.identity.login.second_factor(step.token, jane.code(JANE), address=HERE)
    kept = str(vars(jane.registry.sessions._state))
    for secret in (step.token, done.session_token, done.device_cookie, PASSWORD):
        assert len(secret) >= 12
        assert secret not in kept


@pytest.mark.timeout(60)
def test_an_unknown_address_costs_as_much_time_as_a_wrong_password() -> None:
    slow = Argon2Passwords(parallel=2)
    stored = slow.hash(PASSWORD)

    def cost(hashed: str | None) -> float:
        begin = time.perf_counter()
        with pytest.raises(RadkeepError):
            slow.verify(hashed, "wrong-wrong-wrong")
        return time.perf_counter() - begin

    pairs = [(cost(stored), cost(None)) for _ in range(5)]
    known, unknown = (min(column) for column in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2
