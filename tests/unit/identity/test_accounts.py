# SPDX-License-Identifier: Apache-2.0
"""Organizations and accounts: made, changed, and kept apart."""

import inspect

import pytest

from radkeep.audit.events import EventId, EventType
from radkeep.domain.errors import (
    AlreadyExistsError,
    AuditUnavailableError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
)
from radkeep.identity.accounts import Accounts, has_enrolled_administrator
from radkeep.identity.enrolment import Enrolment
from radkeep.testing.clinic import Clinic
from radkeep.testing.identity import MemoryRegistry

JANE = "jane@mercy.org"


def test_an_account_is_made_without_a_password(clinic: Clinic) -> None:
    made = clinic.identity.accounts.create(clinic.operator, "Jane@Mercy.ORG", roles=["secretary"])
    assert (made.email, made.name, made.enrolled) == (JANE, "jane", False)
    assert clinic.registry.credentials.of(made.id) is None
    assert clinic.identity.accounts.list(clinic.operator) == [made]


def test_nobody_but_the_owner_can_set_a_password() -> None:
    for method in vars(Accounts).values():
        if callable(method):
            assert "password" not in inspect.signature(method).parameters
    setters = [
        name
        for name, method in vars(Enrolment).items()
        if callable(method) and "password" in inspect.signature(method).parameters
    ]
    assert [name for name in setters if not name.startswith("_")] == ["redeem", "redeem_at_host"]


@pytest.mark.parametrize(
    ("email", "roles"),
    [
        ("jane", ["secretary"]),
        ("a b@c", ["secretary"]),
        ("x" * 250 + "@y.org", ["secretary"]),
        (JANE, []),
        (JANE, ["root"]),
    ],
)
def test_wrong_accounts_are_refused(clinic: Clinic, email: str, roles: list[str]) -> None:
    with pytest.raises(InvalidRequestError):
        clinic.identity.accounts.create(clinic.operator, email, roles=roles)
    with pytest.raises(InvalidRequestError):
        clinic.identity.accounts.create(clinic.host, JANE, roles=["secretary"])


def test_an_address_has_one_account(clinic: Clinic) -> None:
    clinic.person(JANE)
    other = clinic.within(clinic.identity.organizations.create(clinic.host, "Grace").id)
    for operator in (clinic.operator, other):
        with pytest.raises(AlreadyExistsError):
            clinic.identity.accounts.create(operator, JANE, roles=["secretary"])


def test_other_organizations_are_out_of_reach(clinic: Clinic) -> None:
    clinic.person(JANE)
    other = clinic.within(clinic.identity.organizations.create(clinic.host, "Grace").id)
    assert not clinic.identity.accounts.list(other)
    for act in (
        lambda: clinic.identity.accounts.find(other, JANE),
        lambda: clinic.identity.accounts.disable(other, JANE),
        lambda: clinic.identity.accounts.set_roles(other, JANE, ["administrator"]),
        lambda: clinic.identity.sessions.end_all(other, JANE),
        lambda: clinic.identity.enrolment.create_link(other, JANE),
    ):
        with pytest.raises(NotFoundError):
            act()


def test_nobody_changes_their_own_account(clinic: Clinic) -> None:
    ada = clinic.actor("ada@mercy.org", "administrator")
    for act in (
        lambda: clinic.identity.accounts.disable(ada, "ada@mercy.org"),
        lambda: clinic.identity.accounts.set_roles(ada, "ADA@mercy.org", ["radiologist"]),
    ):
        with pytest.raises(ForbiddenError):
            act()
        assert clinic.audit.events[-1].type is EventType.REFUSED


def test_managing_accounts_needs_the_permission(clinic: Clinic) -> None:
    clinic.person(JANE)
    rita = clinic.actor("rita@mercy.org", "radiologist")
    for act in (
        lambda: clinic.identity.accounts.list(rita),
        lambda: clinic.identity.accounts.create(rita, "x@mercy.org", roles=["secretary"]),
        lambda: clinic.identity.accounts.disable(rita, JANE),
    ):
        with pytest.raises(ForbiddenError):
            act()


def test_no_audit_no_change(clinic: Clinic) -> None:
    clinic.person(JANE)
    clinic.audit.available = False
    with pytest.raises(AuditUnavailableError):
        clinic.identity.accounts.disable(clinic.operator, JANE)
    account = clinic.registry.accounts.by_email(JANE)
    assert account is not None
    assert account.disabled is None


def test_a_change_that_fails_is_audited_as_failed(clinic: Clinic) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    clinic.person(JANE)
    clinic.registry.accounts.set_disabled = fail  # type: ignore[method-assign] - a bug
    with pytest.raises(RuntimeError):
        clinic.identity.accounts.disable(clinic.operator, JANE)
    event = clinic.events(EventId.SECURITY_ALERT, deed="account.disable")[-1]
    assert event.detail["error"] == "internal"


def test_somebody_can_manage_once_enrolled_and_not_disabled(clinic: Clinic) -> None:
    clinic.person(JANE)
    assert not has_enrolled_administrator(clinic.registry.accounts)
    clinic.identity.accounts.create(clinic.operator, "ada@mercy.org", roles=["administrator"])
    assert not has_enrolled_administrator(clinic.registry.accounts)
    clinic.enrol("ada@mercy.org")
    assert has_enrolled_administrator(clinic.registry.accounts)
    clinic.identity.accounts.disable(clinic.operator, "ada@mercy.org")
    assert not has_enrolled_administrator(clinic.registry.accounts)


def test_organizations_are_made_by_the_operator_alone(clinic: Clinic) -> None:
    ada = clinic.actor("ada@mercy.org", "administrator", "security-officer")
    for actor in (ada, clinic.operator):
        with pytest.raises(ForbiddenError):
            clinic.identity.organizations.create(actor, "Grace")
    grace = clinic.identity.organizations.create(clinic.host, "Grace")
    assert [each.name for each in clinic.registry.zones.of(grace.id)] == ["loopback"]
    with pytest.raises(AlreadyExistsError):
        clinic.identity.organizations.create(clinic.host, "Grace")
    assert clinic.identity.organizations.list(ada) == [clinic.organization]
    assert clinic.identity.organizations.list(clinic.host) == [clinic.organization, grace]


def test_the_only_organization_needs_no_name(clinic: Clinic) -> None:
    find = clinic.identity.organizations.find
    assert find() == find("Mercy") == find(clinic.organization.id) == clinic.organization
    with pytest.raises(NotFoundError):
        find("Grace")
    clinic.identity.organizations.create(clinic.host, "Grace")
    with pytest.raises(InvalidRequestError):
        find()
    with pytest.raises(NotFoundError):
        Clinic(registry=MemoryRegistry()).identity.organizations.find("Grace")
