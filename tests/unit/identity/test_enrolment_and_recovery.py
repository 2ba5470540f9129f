# SPDX-License-Identifier: Apache-2.0
"""How a person gets a password and a second factor, and gets them back."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from radkeep.audit.events import EventId
from radkeep.crypto import otp
from radkeep.crypto.otp import WrongCodeError
from radkeep.domain.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from radkeep.identity.enrolment import AlreadyEnrolledError, LinkExpiredError
from radkeep.identity.login import SignInFailedError
from radkeep.identity.strength import WeakPasswordError
from radkeep.testing.clinic import HERE, PASSWORD, Clinic

JANE = "jane@mercy.org"


@pytest.fixture
def link(clinic: Clinic) -> str:
    """The token of an enrolment link for a new account."""
    clinic.identity.accounts.create(clinic.operator, JANE, roles=["radiologist"])
    return clinic.identity.enrolment.create_link(clinic.operator, JANE).token


def test_the_page_shows_what_the_app_needs(clinic: Clinic, link: str) -> None:
    offer = clinic.identity.enrolment.offer(link)
    assert offer == clinic.identity.enrolment.offer(link)
    assert offer.email == JANE
    assert offer.totp_uri.startswith("otpauth://totp/Radkeep:jane@mercy.org?")
    assert offer.totp_secret in offer.totp_uri


def test_a_link_works_once(clinic: Clinic, link: str) -> None:
    clinic.redeem(JANE, link)
    for act in (
        lambda: clinic.identity.enrolment.offer(link),
        lambda: clinic.identity.enrolment.redeem(link, PASSWORD, clinic.code(JANE)),
    ):
        with pytest.raises(LinkExpiredError):
            act()
    clinic.sign_in(JANE)


def test_a_link_in_parallel_works_once(clinic: Clinic, link: str) -> None:
    def redeem(_: int) -> bool:
        try:
            clinic.identity.enrolment.redeem_at_host(clinic.operator, link, PASSWORD)
        except LinkExpiredError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(redeem, range(4))) == 1


def test_a_link_is_good_for_an_hour(clinic: Clinic, link: str) -> None:
    clinic.clock.pass_(minutes=60)
    with pytest.raises(LinkExpiredError):
        clinic.identity.enrolment.offer(link)


def test_a_new_link_replaces_the_old(clinic: Clinic, link: str) -> None:
    newer = clinic.identity.enrolment.create_link(clinic.operator, JANE).token
    with pytest.raises(LinkExpiredError):
        clinic.identity.enrolment.offer(link)
    clinic.identity.enrolment.offer(newer)


def test_wrong_code_or_weak_password_leave_the_link(clinic: Clinic, link: str) -> None:
    offer = clinic.identity.enrolment.offer(link)
    with pytest.raises(WrongCodeError):
        clinic.identity.enrolment.redeem(link, PASSWORD, "000000")
    for weak in ("short-pass1", "Mercy-jane-2026!", "Radkeep-2026-Mercy"):
        with pytest.raises(WeakPasswordError):
            clinic.identity.enrolment.redeem_at_host(clinic.operator, link, weak)
    assert clinic.identity.enrolment.offer(link) == offer
    clinic.redeem(JANE, link)


def test_a_disabled_account_has_no_link(clinic: Clinic, link: str) -> None:
    clinic.identity.accounts.disable(clinic.operator, JANE)
    with pytest.raises(LinkExpiredError):
        clinic.identity.enrolment.offer(link)
    with pytest.raises(NotFoundError):
        clinic.identity.enrolment.create_link(clinic.operator, JANE)


def test_only_the_host_enrols_without_a_code(clinic: Clinic, link: str) -> None:
    ada = clinic.actor("ada@mercy.org", "administrator")
    with pytest.raises(ForbiddenError):
        clinic.identity.enrolment.redeem_at_host(ada, link, PASSWORD)
    done = clinic.identity.enrolment.redeem_at_host(clinic.operator, link, PASSWORD)
    assert len(done.recovery_codes) == 10
    secret = clinic.registry.credentials.of(done.account.id)
    assert secret is not None
    code = otp.code_at(secret.totp_secret, otp.step_at(clinic.clock.now()))
    clinic.identity.login.sign_in(JANE, PASSWORD, code, address=HERE)


def test_an_administrator_cannot_take_over_an_enrolled_account(clinic: Clinic, link: str) -> None:
    clinic.redeem(JANE, link)
    ada = clinic.actor("ada@mercy.org", "administrator")
    with pytest.raises(AlreadyEnrolledError):
        clinic.identity.enrolment.create_link(ada, JANE)
    with pytest.raises(ForbiddenError):
        clinic.identity.recovery.recover(ada, JANE)
    jane = clinic.identity.sessions.actor(clinic.sign_in(JANE).session_token)
    with pytest.raises(ForbiddenError):
        clinic.identity.enrolment.create_link(jane, "ada@mercy.org")


def test_recovery_at_the_host_replaces_everything(clinic: Clinic, link: str) -> None:
    codes = clinic.redeem(JANE, link)
    session = clinic.sign_in(JANE)
    old = clinic.secrets[JANE]
    fresh = clinic.identity.recovery.recover(clinic.host, JANE)
    with pytest.raises(UnauthenticatedError):
        clinic.identity.sessions.actor(session.session_token)
    clinic.clock.pass_(seconds=30)
    for code in (otp.code_at(old, otp.step_at(clinic.clock.now())), codes[0]):
        with pytest.raises(SignInFailedError):
            clinic.identity.login.sign_in(
                JANE, PASSWORD, code, address=HERE, device_cookie=session.device_cookie
            )
    clinic.redeem(JANE, fresh.token)
    assert clinic.secrets[JANE] != old
    clinic.sign_in(JANE)
    phases = clinic.events(EventId.SECURITY_ALERT, deed="account.recover")
    assert [event.detail["phase"] for event in phases] == ["intent", "outcome"]
    assert fresh.token not in str(clinic.audit.events)


def test_recovery_needs_an_active_account(clinic: Clinic, link: str) -> None:
    clinic.identity.accounts.disable(clinic.operator, JANE)
    for email in (JANE, "nobody@mercy.org"):
        with pytest.raises(NotFoundError):
            clinic.identity.recovery.recover(clinic.host, email)
