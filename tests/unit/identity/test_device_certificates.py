# SPDX-License-Identifier: Apache-2.0
"""Certificates of devices: who may make and revoke them, and what is told of it."""

import pytest
from cryptography import x509

from radkeep.audit.events import EventId, EventType
from radkeep.crypto.certificates import new_key
from radkeep.domain.errors import (
    AlreadyExistsError,
    AuditUnavailableError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from radkeep.identity import actors
from radkeep.identity.assembly import assemble
from radkeep.identity.certificates import FRESH, MAX_VALID
from radkeep.testing.clinic import Clinic


@pytest.fixture
def ct1(clinic: Clinic) -> Clinic:
    """A clinic with one device."""
    clinic.identity.devices.add(clinic.operator, "CT1")
    return clinic


def issue(clinic: Clinic, title: str = "CT1") -> bytes:
    _, public = new_key()
    return clinic.identity.certificates.issue(clinic.operator, title, public)[1]


def test_issuing_needs_the_permission_and_is_audited(ct1: Clinic) -> None:
    rita = ct1.actor("rita@mercy.org", "radiologist")
    _, public = new_key()
    manage = ct1.identity.certificates
    for work in (
        lambda: manage.issue(rita, "CT1", public),
        lambda: manage.import_(rita, "CT1", b""),
        lambda: manage.revoke(rita, "CT1"),
        lambda: manage.of(rita, "CT1"),
    ):
        with pytest.raises(ForbiddenError):
            work()
        assert ct1.audit.events[-1].type is EventType.REFUSED
    issue(ct1)
    manage.revoke(ct1.operator, "CT1")
    for deed in ("certificate.issue", "certificate.revoke"):
        told = ct1.events(EventId.SECURITY_ALERT, deed=deed, device="CT1")
        assert [event.detail["phase"] for event in told] == ["intent", "outcome"]
        assert len(told[0].detail["fingerprint"]) == 64


def test_no_audit_no_certificate(ct1: Clinic) -> None:
    ct1.audit.available = False
    with pytest.raises(AuditUnavailableError):
        issue(ct1)
    assert not ct1.registry.certificates.of("")


def test_devices_of_others_are_out_of_reach(ct1: Clinic) -> None:
    other = ct1.identity.organizations.create(ct1.host, "Grace")
    operator = actors.local(0, organization=other.id)
    _, public = new_key()
    issue(ct1)
    manage = ct1.identity.certificates
    with pytest.raises(NotFoundError):
        manage.issue(operator, "CT1", public)
    with pytest.raises(NotFoundError):
        manage.revoke(operator, "CT1")
    with pytest.raises(NotFoundError):
        manage.revoke(ct1.operator, "CT2")


def test_one_certificate_is_one_devices_for_good(ct1: Clinic) -> None:
    ct1.identity.devices.add(ct1.operator, "CT2")
    pem = issue(ct1)
    manage = ct1.identity.certificates
    with pytest.raises(AlreadyExistsError):
        manage.import_(ct1.operator, "CT2", pem)
    manage.revoke(ct1.operator, "CT1")
    with pytest.raises(AlreadyExistsError):  # what is revoked does not come back
        manage.import_(ct1.operator, "CT1", pem)
    with pytest.raises(NotFoundError):
        manage.revoke(ct1.operator, "CT1")


def test_a_device_has_a_few_at_once(ct1: Clinic) -> None:
    for _ in range(MAX_VALID):
        issue(ct1)
    with pytest.raises(InvalidRequestError):
        issue(ct1)
    ct1.identity.certificates.revoke(ct1.operator, "CT1")
    issue(ct1)


def test_the_list_is_as_of_now_and_names_only_what_can_still_harm(ct1: Clinic) -> None:
    manage = ct1.identity.certificates
    first = manage.revocation_list()
    assert manage.revocation_list() is first
    issue(ct1)
    manage.revoke(ct1.operator, "CT1")
    assert len(x509.load_der_x509_crl(manage.revocation_list())) == 1
    ct1.clock.pass_(days=FRESH.days)
    second = manage.revocation_list()
    assert x509.load_der_x509_crl(second).last_update_utc == ct1.clock.now()
    ct1.clock.pass_(days=800)  # expired meanwhile
    assert len(x509.load_der_x509_crl(manage.revocation_list())) == 0


def test_a_door_without_an_authority_issues_nothing(ct1: Clinic) -> None:
    door = assemble(ct1.registry, audit=ct1.audit, clock=ct1.clock, passwords=ct1.passwords)
    _, public = new_key()
    with pytest.raises(UnavailableError):
        door.certificates.issue(ct1.operator, "CT1", public)
    assert door.certificates.pinned() == []
