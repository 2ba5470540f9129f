# SPDX-License-Identifier: Apache-2.0
"""Who may do what, and where it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.errors import ForbiddenError, InvalidRequestError
from radkeep.identity import actors
from radkeep.identity.permissions import (
    Permission,
    Scope,
    Service,
    parse_scopes,
    parse_services,
    permissions_of_scopes,
    permissions_of_services,
)
from radkeep.identity.policy import INSTALLATION, Policy
from radkeep.identity.roles import ROLES, Role, parse_roles, permissions_of

CLINICAL = {
    Permission.STUDY_QUERY,
    Permission.STUDY_READ,
    Permission.STUDY_EXPORT,
    Permission.INSTANCE_STORE,
}
actor_values = st.builds(
    Actor,
    kind=st.sampled_from(ActorKind),
    id=st.just("x"),
    name=st.just("x"),
    organization=st.sampled_from(["", "o1", "o2"]),
    permissions=st.frozensets(st.sampled_from(Permission)),
)


@given(actor_values, st.sampled_from(Permission), st.sampled_from(["", "o1", "o2"]))
def test_every_permit_has_permission_and_organization(
    actor: Actor, permission: Permission, organization: str
) -> None:
    serves_all = not actor.organization and actor.kind in {ActorKind.LOCAL, ActorKind.SYSTEM}
    same = bool(actor.organization) and actor.organization == organization
    permitted = permission in actor.permissions and (same or serves_all)
    try:
        Policy().require(actor, permission, organization=organization)
    except ForbiddenError:
        assert not permitted
    else:
        assert permitted


def test_a_person_of_no_organization_reaches_nothing() -> None:
    nobody = Actor(
        kind=ActorKind.PERSON,
        id="x",
        name="x",
        organization="",
        permissions=frozenset(Permission),
    )
    with pytest.raises(ForbiddenError):
        Policy().require(nobody, Permission.STUDY_READ, organization=INSTALLATION)


def test_the_operator_of_one_organization_stays_in_it() -> None:
    policy, operator = Policy(), actors.local(0, organization="o1")
    policy.require(operator, Permission.STUDY_READ, organization="o1")
    for elsewhere in ("o2", INSTALLATION):
        with pytest.raises(ForbiddenError):
            policy.require(operator, Permission.STUDY_READ, organization=elsewhere)


def test_the_server_itself_needs_the_permission() -> None:
    jobs = actors.system("jobs", Permission.ARCHIVE_VERIFY)
    Policy().require(jobs, Permission.ARCHIVE_VERIFY, organization="o1")
    with pytest.raises(ForbiddenError):
        Policy().require(jobs, Permission.STUDY_READ, organization="o1")


def test_roles_that_manage_do_not_read_and_roles_that_read_do_not_manage() -> None:
    for role in (Role.ADMINISTRATOR, Role.SECURITY_OFFICER):
        assert not ROLES[role] & CLINICAL
    for role in set(Role) - {Role.ADMINISTRATOR, Role.SECURITY_OFFICER}:
        assert ROLES[role] <= CLINICAL


def test_every_role_service_and_scope_gives_something_and_no_more_than_all() -> None:
    assert set(ROLES) == set(Role)
    for given_ in (
        *(permissions_of([role]) for role in Role),
        *(permissions_of_services([service]) for service in Service),
        *(permissions_of_scopes([scope]) for scope in Scope),
    ):
        assert given_
        assert given_ <= set(Permission)
    assert permissions_of([]) == permissions_of_services([]) == frozenset()


def test_only_the_operator_makes_organizations() -> None:
    for given_ in (*(permissions_of([r]) for r in Role), permissions_of_scopes(Scope)):
        assert Permission.ORGANIZATION_MANAGE not in given_


@pytest.mark.parametrize("parse", [parse_roles, parse_services, parse_scopes])
def test_unknown_words_are_refused(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(InvalidRequestError):
        parse(["root"])


def test_a_person_without_a_session_may_do_nothing() -> None:
    assert actors.stranger("10.0.0.7").permissions == frozenset()
