# SPDX-License-Identifier: Apache-2.0
"""A demo is a demo for good, on this machine alone; everything else is never one."""

import pytest

from radkeep.audit.events import EventId, Outcome
from radkeep.domain.errors import AlreadyExistsError, ForbiddenError, UnauthenticatedError
from radkeep.identity import actors
from radkeep.identity.accounts import has_enrolled_administrator
from radkeep.identity.assembly import Identity, assemble
from radkeep.identity.demo import DemoLinkExpiredError, NotADemoError
from radkeep.identity.login import SignedIn, SignInFailedError
from radkeep.identity.roles import FOUNDER
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.clinic import HERE, Clinic
from radkeep.testing.identity import FakeClock, MemoryRegistry, PlainPasswords

HOST = actors.local(0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def audit() -> MemoryAuditLog:
    return MemoryAuditLog()


@pytest.fixture
def demo(clock: FakeClock, audit: MemoryAuditLog) -> Identity:
    identity = assemble(MemoryRegistry(), audit=audit, clock=clock, passwords=PlainPasswords())
    identity.founding.found(HOST, "Demo clinic", demo=True)
    return identity


def enter(demo: Identity) -> SignedIn:
    return demo.demo.redeem(demo.demo.create_link(HOST).token, address="127.0.0.1")


def test_a_link_signs_the_administrator_in(demo: Identity, audit: MemoryAuditLog) -> None:
    done = enter(demo)
    actor = demo.sessions.actor(done.session_token)
    assert actor.demo
    assert done.account.roles == FOUNDER
    event = audit.of(EventId.USER_AUTHENTICATION)[-1]
    assert (event.outcome, event.detail["proof"]) == (Outcome.SUCCESS, "demo link")


def test_a_link_works_once_for_ten_minutes_and_the_last_only(
    demo: Identity, clock: FakeClock
) -> None:
    first, second = demo.demo.create_link(HOST), demo.demo.create_link(HOST)
    with pytest.raises(DemoLinkExpiredError):
        demo.demo.redeem(first.token, address="127.0.0.1")
    demo.demo.redeem(second.token, address="::1")
    with pytest.raises(DemoLinkExpiredError):
        demo.demo.redeem(second.token, address="127.0.0.1")
    late = demo.demo.create_link(HOST)
    clock.pass_(minutes=10)
    with pytest.raises(DemoLinkExpiredError):
        demo.demo.redeem(late.token, address="127.0.0.1")


@pytest.mark.parametrize("address", [HERE, "", "localhost"])
def test_another_machine_gets_nothing_and_leaves_the_link(demo: Identity, address: str) -> None:
    link = demo.demo.create_link(HOST)
    with pytest.raises(ForbiddenError):
        demo.demo.redeem(link.token, address=address)
    demo.demo.redeem(link.token, address="127.0.0.1")


def test_people_switch_and_the_old_session_ends(demo: Identity) -> None:
    admin = enter(demo)
    people = demo.demo.people(demo.sessions.actor(admin.session_token))
    assert len(people) == 6
    for person in people:
        before = enter(demo)
        after = demo.demo.switch(before.session_token, person.id, address="127.0.0.1")
        assert demo.sessions.actor(after.session_token).name == person.email
        with pytest.raises(UnauthenticatedError):
            demo.sessions.actor(before.session_token)


def test_a_demo_session_lasts_as_long_as_the_server(demo: Identity, clock: FakeClock) -> None:
    done, link = enter(demo), demo.demo.create_link(HOST)
    clock.pass_(days=3)
    demo.sessions.actor(done.session_token)
    demo.demo.restart()
    with pytest.raises(UnauthenticatedError):
        demo.sessions.actor(done.session_token)
    with pytest.raises(DemoLinkExpiredError):
        demo.demo.redeem(link.token, address="127.0.0.1")


def test_demo_people_have_no_password(demo: Identity) -> None:
    with pytest.raises(SignInFailedError):
        demo.login.password("administrator@demo.invalid", "", address="127.0.0.1")


def test_only_the_host_makes_links(demo: Identity) -> None:
    with pytest.raises(ForbiddenError):
        demo.demo.create_link(demo.sessions.actor(enter(demo).session_token))


def test_production_is_never_a_demo(clinic: Clinic) -> None:
    clinic.registry.settings.fix("profile", "production")
    clinic.person("jane@mercy.org")
    token = clinic.sign_in("jane@mercy.org").session_token
    jane = clinic.identity.sessions.actor(token)
    assert not clinic.identity.demo.is_demo()
    for act in (
        lambda: clinic.identity.demo.create_link(clinic.host),
        lambda: clinic.identity.demo.redeem("x", address="127.0.0.1"),
        lambda: clinic.identity.demo.people(jane),
        lambda: clinic.identity.demo.switch(token, jane.id, address="127.0.0.1"),
    ):
        with pytest.raises(NotADemoError):
            act()


def test_somebody_else_in_a_demo_cannot_switch(demo: Identity) -> None:
    with pytest.raises(NotADemoError):
        demo.demo.people(HOST)


def test_founding_happens_once_and_gives_a_link_instead_of_a_password(clock: FakeClock) -> None:
    registry = MemoryRegistry()
    identity = assemble(registry, audit=MemoryAuditLog(), clock=clock, passwords=PlainPasswords())
    founded = identity.founding.found(HOST, "Mercy", administrator="ada@mercy.org")
    assert founded.administrator is not None
    assert founded.administrator.roles == FOUNDER
    assert founded.enrolment is not None
    assert identity.enrolment.offer(founded.enrolment.token).email == "ada@mercy.org"
    for again in (True, False):
        with pytest.raises(AlreadyExistsError):
            identity.founding.found(HOST, "Grace", demo=again)
    assert not identity.demo.is_demo()
    assert not has_enrolled_administrator(registry.accounts)


def test_founding_happens_at_the_host(clinic: Clinic) -> None:
    ada = clinic.actor("ada@mercy.org", "administrator")
    with pytest.raises(ForbiddenError):
        clinic.identity.founding.found(ada, "Grace", demo=True)
