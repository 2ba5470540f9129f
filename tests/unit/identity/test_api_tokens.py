# SPDX-License-Identifier: Apache-2.0
"""API tokens: shown once, limited in rights and time, revoked at once."""

from datetime import timedelta

import pytest

from radkeep.audit.events import EventId
from radkeep.domain.actor import ActorKind
from radkeep.domain.errors import (
    AlreadyExistsError,
    ArchiveFullError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from radkeep.testing.clinic import HERE, Clinic


def test_a_token_is_an_actor_with_its_scopes(clinic: Clinic) -> None:
    token = clinic.identity.tokens.create(clinic.operator, "pull", ["dicomweb:read"])
    actor = clinic.identity.tokens.actor(token, address=HERE)
    assert (actor.kind, actor.name) == (ActorKind.SERVICE, "pull")
    assert actor.permissions == {"study:query", "study:read"}
    assert actor.organization == clinic.organization.id
    assert token.startswith("radkeep_")
    kept = str(vars(clinic.registry.tokens._state)) + str(clinic.audit.events)
    assert token not in kept
    assert token.removeprefix("radkeep_") not in kept


def test_a_token_ends(clinic: Clinic) -> None:
    now = clinic.clock.now()
    usual = clinic.identity.tokens.create(clinic.operator, "a", ["metrics:read"])
    short = clinic.identity.tokens.create(
        clinic.operator, "b", ["metrics:read"], now + timedelta(hours=1)
    )
    clinic.clock.pass_(hours=1)
    with pytest.raises(UnauthenticatedError):
        clinic.identity.tokens.actor(short)
    clinic.identity.tokens.actor(usual)
    clinic.clock.pass_(days=90)
    with pytest.raises(UnauthenticatedError):
        clinic.identity.tokens.actor(usual)


def test_revoking_counts_at_once_and_frees_the_name(clinic: Clinic) -> None:
    token = clinic.identity.tokens.create(clinic.operator, "pull", ["dicomweb:read"])
    with pytest.raises(AlreadyExistsError):
        clinic.identity.tokens.create(clinic.operator, "pull", ["dicomweb:read"])
    clinic.identity.tokens.revoke(clinic.operator, "pull")
    with pytest.raises(UnauthenticatedError):
        clinic.identity.tokens.actor(token)
    with pytest.raises(NotFoundError):
        clinic.identity.tokens.revoke(clinic.operator, "pull")
    clinic.identity.tokens.create(clinic.operator, "pull", ["dicomweb:read"])
    assert len(clinic.identity.tokens.list(clinic.operator)) == 2


@pytest.mark.parametrize("scopes", [[], ["dicomweb:all"], ["study:read"]])
def test_unknown_scopes_are_refused(clinic: Clinic, scopes: list[str]) -> None:
    with pytest.raises(InvalidRequestError):
        clinic.identity.tokens.create(clinic.operator, "pull", scopes)


@pytest.mark.parametrize("days", [-1, 0, 367])
def test_ends_out_of_bounds_are_refused(clinic: Clinic, days: int) -> None:
    end = clinic.clock.now() + timedelta(days=days)
    with pytest.raises(InvalidRequestError):
        clinic.identity.tokens.create(clinic.operator, "pull", ["dicomweb:read"], end)


def test_nobody_gives_more_than_they_have(clinic: Clinic) -> None:
    ada = clinic.actor("ada@mercy.org", "administrator")
    with pytest.raises(ForbiddenError):
        clinic.identity.tokens.create(ada, "pull", ["dicomweb:read"])
    clinic.identity.tokens.create(ada, "devices", ["api:devices"])
    rita = clinic.actor("rita@mercy.org", "radiologist")
    for act in (
        lambda: clinic.identity.tokens.create(rita, "pull", ["dicomweb:read"]),
        lambda: clinic.identity.tokens.list(rita),
        lambda: clinic.identity.tokens.revoke(rita, "devices"),
    ):
        with pytest.raises(ForbiddenError):
            act()


def test_wrong_bearers_are_audited_once_a_minute(clinic: Clinic) -> None:
    for number in range(100):
        with pytest.raises(UnauthenticatedError):
            clinic.identity.tokens.actor(f"radkeep_{number}", address=HERE)
    events = clinic.events(EventId.USER_AUTHENTICATION, step="token")
    assert len(events) == 1
    assert events[0].address == HERE


def test_a_use_is_noted_every_ten_minutes_if_the_disk_allows(clinic: Clinic) -> None:
    token = clinic.identity.tokens.create(clinic.operator, "pull", ["dicomweb:read"])
    begin = clinic.clock.now()
    clinic.identity.tokens.actor(token)
    clinic.clock.pass_(minutes=9)
    clinic.identity.tokens.actor(token)
    (kept,) = clinic.identity.tokens.list(clinic.operator)
    assert kept.used == begin

    def full(*_: object) -> None:
        raise ArchiveFullError("full")

    clinic.registry.tokens.touch = full  # type: ignore[method-assign] - a full disk
    clinic.clock.pass_(minutes=9)
    assert clinic.identity.tokens.actor(token).name == "pull"


def test_tokens_of_another_organization_are_out_of_reach(clinic: Clinic) -> None:
    clinic.identity.tokens.create(clinic.operator, "pull", ["dicomweb:read"])
    other = clinic.identity.organizations.create(clinic.host, "Grace")
    operator = clinic.within(other.id)
    assert not clinic.identity.tokens.list(operator)
    with pytest.raises(NotFoundError):
        clinic.identity.tokens.revoke(operator, "pull")


def test_a_token_does_not_outlive_the_one_that_made_it(clinic: Clinic) -> None:
    tokens, end = clinic.identity.tokens, clinic.clock.now() + timedelta(days=1)
    maker = tokens.actor(tokens.create(clinic.operator, "maker", ["api:tokens"], end))
    with pytest.raises(InvalidRequestError):
        tokens.create(maker, "later", ["api:tokens"], end + timedelta(days=1))
    tokens.create(maker, "usual", ["api:tokens"])
    assert {token.expires for token in tokens.list(clinic.operator)} == {end}


def test_revoking_ends_what_the_token_made(clinic: Clinic) -> None:
    tokens = clinic.identity.tokens
    first = tokens.create(clinic.operator, "first", ["api:tokens"])
    second = tokens.create(tokens.actor(first), "second", ["api:tokens"])
    third = tokens.create(tokens.actor(second), "third", ["api:tokens"])
    other = tokens.create(clinic.operator, "other", ["api:tokens"])
    tokens.revoke(clinic.operator, "first")
    for gone in (first, second, third):
        with pytest.raises(UnauthenticatedError):
            tokens.actor(gone)
    assert tokens.actor(other).name == "other"
