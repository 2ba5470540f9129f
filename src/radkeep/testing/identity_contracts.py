# SPDX-License-Identifier: Apache-2.0
"""What every registry does for people, whoever wrote it: the answers on which sign-in relies.

Invariant: a registry that passes gives a code, a link, a session and a name away once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from radkeep.domain.errors import AlreadyExistsError
from radkeep.identity.ports import Registry
from radkeep.identity.records import (
    Account,
    Credentials,
    Enrolment,
    KnownBrowser,
    Organization,
    PasswordPassedRecord,
    Session,
)
from radkeep.identity.roles import Role
from radkeep.testing.identity import START

_HASH = "argon2id"
_OTHER_HASH = "argon2id, newer"


def at(minutes: int) -> datetime:
    """Return a moment some minutes after the start."""
    return START + timedelta(minutes=minutes, microseconds=7)


def digest(number: int) -> bytes:
    """Return a digest that differs from those of other numbers."""
    return number.to_bytes(32, "big")


def session(number: int, *, account: str = "a1", demo: bool = False) -> Session:
    """Return a session begun at minute ``number``."""
    return Session(
        digest=digest(number),
        account=account,
        created=at(number),
        seen=at(number),
        expires=at(number + 720),
        address="10.0.0.7",
        demo=demo,
    )


def refused(act: Callable[[], object]) -> bool:
    """Tell whether ``act`` fails because something exists already."""
    try:
        act()
    except AlreadyExistsError:
        return True
    return False


_CODES = (digest(100), digest(101))


class PeopleContract:
    """Subclass it, and give an empty registry in ``make``."""

    ORGANIZATION = Organization(id="o1", name="Mercy", created=at(0))
    ACCOUNT = Account(
        id="a1",
        organization="o1",
        email="jane@mercy.org",
        name="Jane",
        roles=frozenset({Role.RADIOLOGIST, Role.SECRETARY}),
        created=at(0),
    )
    CREDENTIALS = Credentials(
        account="a1", password_hash=_HASH, totp_secret=b"s" * 20, totp_step=9, changed=at(3)
    )
    ENROLMENT = Enrolment(
        digest=digest(1), account="a1", totp_secret=b"s" * 20, created=at(0), expires=at(60)
    )

    def make(self) -> Registry:
        """Return an empty registry."""
        raise NotImplementedError

    def peopled(self) -> Registry:
        """Return a registry with one organization and one account."""
        registry = self.make()
        registry.organizations.add(self.ORGANIZATION)
        registry.accounts.add(self.ACCOUNT)
        return registry

    def enrolled(self) -> Registry:
        """Return one in which the account is enrolled and has two recovery codes."""
        registry = self.peopled()
        registry.enrolments.put(self.ENROLMENT)
        assert registry.enrolments.complete(self.ENROLMENT, self.CREDENTIALS, _CODES)
        return registry

    def test_organizations_come_back_and_names_are_unique(self) -> None:
        """A name belongs to one organization."""
        registry = self.peopled()
        assert registry.organizations.all() == [self.ORGANIZATION]
        assert registry.organizations.by_id("o1") == self.ORGANIZATION
        assert registry.organizations.by_id("o2") is None
        assert refused(lambda: registry.organizations.add(replace(self.ORGANIZATION, id="o2")))

    def test_accounts_come_back_and_addresses_are_unique(self) -> None:
        """An e-mail address belongs to one account."""
        registry = self.peopled()
        assert registry.accounts.by_id("a1") == self.ACCOUNT
        assert registry.accounts.by_email("jane@mercy.org") == self.ACCOUNT
        assert registry.accounts.by_email("joe@mercy.org") is None
        assert registry.accounts.of("") == registry.accounts.of("o1") == [self.ACCOUNT]
        assert registry.accounts.of("o2") == []
        assert refused(lambda: registry.accounts.add(replace(self.ACCOUNT, id="a2")))

    def test_roles_can_be_replaced(self) -> None:
        """The account has the new roles only."""
        registry = self.peopled()
        registry.accounts.set_roles("a1", frozenset({Role.TECHNOLOGIST}))
        account = registry.accounts.by_id("a1")
        assert account is not None
        assert account.roles == {Role.TECHNOLOGIST}

    def test_disabling_ends_sessions(self) -> None:
        """Enabling does not bring them back."""
        registry = self.enrolled()
        registry.sessions.add(session(1))
        registry.accounts.set_disabled("a1", at(5))
        assert registry.sessions.find(digest(1)) is None
        account = registry.accounts.by_id("a1")
        assert account is not None
        assert account.disabled == at(5)
        registry.accounts.set_disabled("a1", None)
        assert registry.sessions.find(digest(1)) is None

    def test_an_enrolment_works_once(self) -> None:
        """What was set stays as the first use set it."""
        registry = self.enrolled()
        other = replace(self.CREDENTIALS, password_hash=_OTHER_HASH)
        assert not registry.enrolments.complete(self.ENROLMENT, other, [])
        assert registry.credentials.of("a1") == self.CREDENTIALS
        assert registry.credentials.recovery_codes_left("a1") == len(_CODES)
        account = registry.accounts.by_id("a1")
        assert account is not None
        assert account.enrolled
        used = registry.enrolments.by_digest(digest(1))
        assert used is not None
        assert used.used is not None
        assert used.totp_secret == b""

    def test_a_new_link_replaces_the_old(self) -> None:
        """An account has one link."""
        registry = self.peopled()
        registry.enrolments.put(self.ENROLMENT)
        registry.enrolments.put(replace(self.ENROLMENT, digest=digest(2)))
        assert registry.enrolments.by_digest(digest(1)) is None
        assert registry.enrolments.by_digest(digest(2)) is not None

    def test_enrolling_again_ends_what_was_before(self) -> None:
        """Sessions and known browsers do not outlive the password they came from."""
        registry = self.enrolled()
        registry.sessions.add(session(1))
        registry.enrolments.put(replace(self.ENROLMENT, digest=digest(2)))
        again = replace(self.ENROLMENT, digest=digest(2))
        assert registry.enrolments.complete(again, self.CREDENTIALS, [digest(7)])
        assert registry.sessions.find(digest(1)) is None
        assert registry.credentials.recovery_codes_left("a1") == 1

    def test_a_step_is_accepted_once_whoever_is_first(self) -> None:
        """Nor is an earlier one."""
        registry = self.enrolled()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: registry.credentials.accept_step("a1", 12), range(4)))
        assert sorted(answers) == [False, False, False, True]
        assert not registry.credentials.accept_step("a1", 11)
        assert registry.credentials.accept_step("a1", 13)
        assert not registry.credentials.accept_step("nobody", 13)

    def test_a_recovery_code_works_once(self) -> None:
        """And for its own account only."""
        registry = self.enrolled()
        assert not registry.credentials.use_recovery_code("a2", digest(100))
        assert registry.credentials.use_recovery_code("a1", digest(100))
        assert not registry.credentials.use_recovery_code("a1", digest(100))
        assert registry.credentials.recovery_codes_left("a1") == 1

    def test_a_password_can_be_hashed_again(self) -> None:
        """Nothing else changes."""
        registry = self.enrolled()
        registry.credentials.rehash("a1", _OTHER_HASH)
        assert registry.credentials.of("a1") == replace(self.CREDENTIALS, password_hash=_OTHER_HASH)

    def test_forgetting_leaves_no_way_in(self) -> None:
        """Credentials, codes, sessions and known browsers are gone."""
        registry = self.enrolled()
        registry.sessions.add(session(1))
        registry.sign_ins.put_browser(_browser(1, "a1"), instead_of=b"")
        registry.credentials.forget("a1")
        assert registry.credentials.of("a1") is None
        assert registry.credentials.recovery_codes_left("a1") == 0
        assert registry.sessions.find(digest(1)) is None
        assert registry.sign_ins.browser(digest(1), "a1") is None

    def test_a_sign_in_under_way_has_a_limit_of_tries(self) -> None:
        """It can be dropped once."""
        registry = self.peopled()
        registry.sign_ins.put_passed(_passed(1))
        tries = [registry.sign_ins.try_passed(digest(1), limit=2) for _ in range(3)]
        assert [each.tries for each in tries if each] == [1, 2]
        assert tries[2] is None
        assert registry.sign_ins.drop_passed(digest(1))
        assert not registry.sign_ins.drop_passed(digest(1))
        assert registry.sign_ins.try_passed(digest(1), limit=2) is None

    def test_sign_ins_under_way_are_few(self) -> None:
        """The eight latest stay."""
        registry = self.peopled()
        for number in range(1, 11):
            registry.sign_ins.put_passed(_passed(number))
        there = [number for number in range(1, 11) if registry.sign_ins.drop_passed(digest(number))]
        assert there == list(range(3, 11))

    def test_a_browser_keeps_what_it_is_known_for_under_its_new_cookie(self) -> None:
        """The old cookie is worth nothing."""
        registry = self.peopled()
        registry.accounts.add(replace(self.ACCOUNT, id="a2", email="joe@mercy.org"))
        registry.sign_ins.put_browser(_browser(1, "a1"), instead_of=b"")
        registry.sign_ins.put_browser(_browser(2, "a2"), instead_of=digest(1))
        assert registry.sign_ins.browser(digest(1), "a1") is None
        moved = registry.sign_ins.browser(digest(2), "a1")
        assert moved == replace(_browser(1, "a1"), digest=digest(2))
        assert registry.sign_ins.browser(digest(2), "a2") == _browser(2, "a2")

    def test_known_browsers_are_few(self) -> None:
        """The twenty latest stay."""
        registry = self.peopled()
        for number in range(1, 24):
            registry.sign_ins.put_browser(_browser(number, "a1"), instead_of=b"")
        known = [n for n in range(1, 24) if registry.sign_ins.browser(digest(n), "a1")]
        assert known == list(range(4, 24))

    def test_a_session_comes_with_its_account_as_it_is_now(self) -> None:
        """Roles changed after its begin count."""
        registry = self.peopled()
        registry.sessions.add(session(1))
        registry.accounts.set_roles("a1", frozenset({Role.SECRETARY}))
        changed = replace(self.ACCOUNT, roles=frozenset({Role.SECRETARY}))
        assert registry.sessions.find(digest(1)) == (session(1), changed)
        registry.sessions.touch(digest(1), at(9))
        assert registry.sessions.find(digest(1)) == (replace(session(1), seen=at(9)), changed)

    def test_sessions_end_one_by_one_or_together(self) -> None:
        """One can be left out."""
        registry = self.peopled()
        for number in (1, 2, 3, 4):
            registry.sessions.add(session(number))
        assert registry.sessions.remove(digest(1))
        assert not registry.sessions.remove(digest(1))
        assert registry.sessions.remove_of("a1", but=digest(3)) == len((2, 4))
        assert registry.sessions.find(digest(3)) is not None
        assert registry.sessions.remove_of("a1") == 1

    def test_a_session_is_replaced_once(self) -> None:
        """Replacing what is gone makes nothing."""
        registry = self.peopled()
        registry.sessions.add(session(1))
        assert registry.sessions.replace(digest(1), session(2))
        assert not registry.sessions.replace(digest(1), session(3))
        assert registry.sessions.find(digest(2)) is not None
        assert registry.sessions.find(digest(3)) is None

    def test_demo_sessions_end_together(self) -> None:
        """Others stay."""
        registry = self.peopled()
        registry.sessions.add(session(1, demo=True))
        registry.sessions.add(session(2))
        assert registry.sessions.remove_demo() == 1
        assert registry.sessions.find(digest(1)) is None
        assert registry.sessions.find(digest(2)) is not None

    def test_sessions_are_few(self) -> None:
        """The fifty latest stay, expired ones go."""
        registry = self.peopled()
        for number in range(1, 54):
            registry.sessions.add(session(number))
        open_ = [number for number in range(1, 54) if registry.sessions.find(digest(number))]
        assert open_ == list(range(4, 54))
        registry.sessions.add(session(900))
        assert registry.sessions.find(digest(53)) is None


def _passed(number: int) -> PasswordPassedRecord:
    return PasswordPassedRecord(
        digest=digest(number), account="a1", created=at(number), expires=at(number + 60)
    )


def _browser(number: int, account: str) -> KnownBrowser:
    return KnownBrowser(
        digest=digest(number),
        account=account,
        created=at(number),
        factor_until=at(number + 720),
        expires=at(number + 9000),
    )
