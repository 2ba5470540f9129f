# SPDX-License-Identifier: Apache-2.0
"""Plaintext has a place, a reason and a day of review, or it is not allowed."""

from datetime import date, timedelta
from typing import Any

import pytest

from radkeep.audit.events import EventId
from radkeep.domain.errors import (
    AlreadyExistsError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
)
from radkeep.testing.clinic import Clinic
from radkeep.testing.identity import START

SOON = START.date() + timedelta(days=90)
GOOD: dict[str, Any] = {
    "networks": ["10.0.0.0/24"],
    "plaintext": True,
    "reason": "the CT of 2009 knows no TLS",
    "review": SOON,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"networks": []},
        {"networks": ["0.0.0.0/0"]},
        {"networks": ["8.8.8.0/24"]},
        {"networks": ["10.0.0.0/24", "2001:4860::/32"]},
        {"reason": ""},
        {"review": None},
        {"review": START.date()},
        {"review": START.date() + timedelta(days=367)},
        {"reason": "x" * 65},
    ],
)
def test_careless_plaintext_is_refused(clinic: Clinic, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        clinic.identity.zones.add(clinic.operator, "scanners", **(GOOD | wrong))
    assert [zone.name for zone in clinic.registry.zones.of("")] == ["loopback"]


def test_a_zone_is_added_listed_and_removed_with_audit(clinic: Clinic) -> None:
    zone = clinic.identity.zones.add(clinic.operator, "scanners", **GOOD)
    assert zone.review == date(2026, 5, 31)
    with pytest.raises(AlreadyExistsError):
        clinic.identity.zones.add(clinic.operator, "scanners", **GOOD)
    assert [each.name for each in clinic.identity.zones.list(clinic.operator)] == [
        "loopback",
        "scanners",
    ]
    clinic.identity.zones.remove(clinic.operator, "scanners")
    with pytest.raises(NotFoundError):
        clinic.identity.zones.remove(clinic.operator, "scanners")
    (outcome,) = clinic.events(EventId.SECURITY_ALERT, deed="zone.remove", phase="outcome")
    assert outcome.detail["plaintext"] == "yes"
    failed = clinic.events(EventId.SECURITY_ALERT, deed="zone.add", error="already-exists")
    assert len(failed) == 1


def test_zones_belong_to_those_who_manage_them(clinic: Clinic) -> None:
    rita = clinic.actor("rita@mercy.org", "radiologist")
    with pytest.raises(ForbiddenError):
        clinic.identity.zones.add(rita, "scanners", **GOOD)
    with pytest.raises(ForbiddenError):
        clinic.identity.zones.remove(rita, "loopback")
    with pytest.raises(InvalidRequestError):
        clinic.identity.zones.add(clinic.host, "scanners", **GOOD)
