# SPDX-License-Identifier: Apache-2.0
"""Who is admitted to DICOM, who is not, and what that costs us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.audit.events import EventId, EventType, Outcome
from radkeep.crypto.certificates import new_key
from radkeep.domain.actor import ActorKind
from radkeep.domain.errors import (
    AlreadyExistsError,
    AuditUnavailableError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
)
from radkeep.identity import actors, knocks, names
from radkeep.identity.assembly import assemble
from radkeep.identity.devices import RejectedError, TrueReason
from radkeep.testing.clinic import Clinic

LAN = "10.0.0.0/24"
CT = "10.0.0.7"


@pytest.fixture
def lan(clinic: Clinic) -> Clinic:
    """A clinic with a plaintext zone and a scanner in it."""
    review = clinic.clock.now().date().replace(month=9)
    clinic.identity.zones.add(
        clinic.operator, "scanners", [LAN], plaintext=True, reason="old CT", review=review
    )
    clinic.identity.devices.add(clinic.operator, "CT1", host=CT, port=104)
    return clinic


def refused(
    clinic: Clinic,
    calling: str = "CT1",
    called: str = "RADKEEP",
    address: str = CT,
    *,
    certificate: str = "",
) -> TrueReason:
    with pytest.raises(RejectedError) as caught:
        clinic.identity.devices.admit(calling, called, address, certificate)
    assert str(caught.value) == "the association is not accepted"
    return caught.value.true_reason


def certified(clinic: Clinic, title: str = "CT1") -> str:
    """Return the fingerprint of a new certificate of the device."""
    _, public = new_key()
    certificate, _ = clinic.identity.certificates.issue(clinic.operator, title, public)
    return certificate.fingerprint


def test_a_registered_device_in_a_plaintext_zone_is_admitted(lan: Clinic) -> None:
    actor = lan.identity.devices.admit("CT1 ", " RADKEEP", CT)
    assert (actor.kind, actor.id) == (ActorKind.DEVICE, "CT1")
    assert actor.organization == lan.organization.id
    assert actor.permissions == {"instance:store"}
    assert actor.address == CT


@pytest.mark.parametrize(
    ("calling", "called", "address", "reason"),
    [
        ("CT2", "RADKEEP", CT, TrueReason.UNKNOWN),
        ("ct1", "RADKEEP", CT, TrueReason.UNKNOWN),
        ("CT1", "OTHER", CT, TrueReason.CALLED),
        ("CT1", "radkeep", CT, TrueReason.CALLED),
        ("CT1", "RADKEEP", "10.0.0.8", TrueReason.ADDRESS),
        ("CT1", "RADKEEP", "192.0.2.1", TrueReason.ADDRESS),
        ("CT1", "RADKEEP", "", TrueReason.NO_ADDRESS),
        ("CT1", "RADKEEP", "/run/x.sock", TrueReason.NO_ADDRESS),
    ],
)
def test_others_are_refused(
    lan: Clinic, calling: str, called: str, address: str, reason: TrueReason
) -> None:
    assert refused(lan, calling, called, address) is reason
    event = lan.audit.events[-1]
    assert (event.type, event.outcome) == (EventType.NODE_AUTHENTICATION, Outcome.MINOR_FAILURE)
    assert event.detail["reason"] == reason
    assert event.actor_name == calling


def test_plaintext_needs_a_zone_that_allows_it(clinic: Clinic) -> None:
    clinic.identity.devices.add(clinic.operator, "CT1", host=CT)
    assert refused(clinic) is TrueReason.NO_ZONE
    clinic.identity.zones.add(clinic.operator, "lan", ["10.0.0.0/16"])
    assert refused(clinic) is TrueReason.PLAINTEXT
    proof = certified(clinic)
    assert clinic.identity.devices.admit("CT1", "RADKEEP", CT, proof).id == "CT1"


def test_the_narrowest_zone_speaks(lan: Clinic) -> None:
    lan.identity.zones.add(lan.operator, "secure", ["10.0.0.0/28"])
    assert refused(lan) is TrueReason.PLAINTEXT


def test_a_zone_of_another_organization_does_not_count(lan: Clinic) -> None:
    other = lan.identity.organizations.create(lan.host, "Grace")
    operator = actors.local(0, organization=other.id)
    lan.identity.devices.add(operator, "MR1", host="10.0.0.9")
    assert refused(lan, "MR1", address="10.0.0.9") is TrueReason.NO_ZONE


def test_two_organizations_may_have_one_title_at_different_addresses(lan: Clinic) -> None:
    other = lan.identity.organizations.create(lan.host, "Grace")
    operator = actors.local(0, organization=other.id)
    with pytest.raises(AlreadyExistsError):
        lan.identity.devices.add(operator, "CT1", addresses=[LAN])
    lan.identity.devices.add(operator, "CT1", host="localhost")
    assert lan.identity.devices.admit("CT1", "RADKEEP", CT).organization == lan.organization.id
    assert lan.identity.devices.admit("CT1", "RADKEEP", "127.0.0.1").organization == other.id


def test_a_device_without_addresses_needs_a_certificate(clinic: Clinic) -> None:
    clinic.identity.devices.add(clinic.operator, "CT1")
    assert refused(clinic, address="127.0.0.1") is TrueReason.ADDRESS
    proof = certified(clinic)
    assert clinic.identity.devices.admit("CT1", "RADKEEP", "192.0.2.1", proof).id == "CT1"


def test_a_certificate_does_not_widen_the_addresses(lan: Clinic) -> None:
    proof = certified(lan)
    assert refused(lan, address="10.0.0.8", certificate=proof) is TrueReason.ADDRESS


def test_a_certificate_is_one_device(lan: Clinic) -> None:
    lan.identity.devices.add(lan.operator, "CT2", host=CT, services=["find"])
    first, second = certified(lan), certified(lan, "CT2")
    assert refused(lan, "CT2", certificate=first) is TrueReason.OTHER
    assert refused(lan, "CT1", certificate=second) is TrueReason.OTHER
    assert refused(lan, "CT1", "WRONG", certificate=first) is TrueReason.CALLED
    assert refused(lan, certificate="f" * 64) is TrueReason.STRANGE
    assert lan.identity.devices.admit("CT2", "RADKEEP", CT, second).permissions == {"study:query"}


def test_only_who_proved_itself_may_hear_the_reason(lan: Clinic) -> None:
    proof = certified(lan)
    lan.identity.certificates.revoke(lan.operator, "CT1")
    told = {}
    for name, words in {
        "revoked": ("CT1", "RADKEEP", CT, proof),
        "strange": ("CT1", "RADKEEP", CT, "f" * 64),
        "plain": ("CT1", "WRONG", CT, ""),
        "good": ("CT2", "RADKEEP", CT, certified(lan)),
    }.items():
        with pytest.raises(RejectedError) as caught:
            lan.identity.devices.admit(*words)
        told[name] = caught.value.verified
    assert told == {"revoked": False, "strange": False, "plain": False, "good": True}


def test_a_certificate_holds_until_it_is_revoked_or_expires(lan: Clinic) -> None:
    devices, first, second = lan.identity.devices, certified(lan), certified(lan)
    actors_ = [devices.admit("CT1", "RADKEEP", CT, proof) for proof in (first, second)]
    lan.identity.certificates.revoke(lan.operator, "CT1", first.upper())
    with pytest.raises(RejectedError) as caught:
        devices.recheck(actors_[0], first)
    assert caught.value.true_reason is TrueReason.REVOKED
    devices.recheck(actors_[1], second)
    lan.clock.pass_(days=731)
    with pytest.raises(RejectedError) as caught:
        devices.recheck(actors_[1], second)
    assert caught.value.true_reason is TrueReason.EXPIRED


def test_a_removed_device_leaves_no_certificate_behind(lan: Clinic) -> None:
    proof = certified(lan)
    lan.identity.devices.remove(lan.operator, "CT1")
    assert refused(lan, certificate=proof) is TrueReason.REVOKED
    lan.identity.devices.add(lan.operator, "CT1", host=CT)
    assert refused(lan, certificate=proof) is TrueReason.REVOKED


def test_ipv4_in_ipv6_is_ipv4(lan: Clinic) -> None:
    assert lan.identity.devices.admit("CT1", "RADKEEP", f"::ffff:{CT}").id == "CT1"


def test_loopback_is_a_zone_from_the_start(clinic: Clinic) -> None:
    clinic.identity.devices.add(clinic.operator, "ME", host="127.0.0.1")
    assert clinic.identity.devices.admit("ME", "RADKEEP", "127.0.0.1").id == "ME"


def test_changes_count_at_once_in_every_process(lan: Clinic) -> None:
    door = assemble(lan.registry, audit=lan.audit, clock=lan.clock, passwords=lan.passwords)
    actor = door.devices.admit("CT1", "RADKEEP", CT)
    door.devices.recheck(actor)
    lan.identity.devices.remove(lan.operator, "CT1")
    with pytest.raises(ForbiddenError):
        door.devices.recheck(actor)
    with pytest.raises(RejectedError):
        door.devices.admit("CT1", "RADKEEP", CT)
    lan.identity.devices.add(lan.operator, "CT1", host=CT, services=["find"])
    with pytest.raises(ForbiddenError):
        door.devices.recheck(actor)
    lan.identity.zones.remove(lan.operator, "scanners")
    with pytest.raises(RejectedError):
        door.devices.admit("CT1", "RADKEEP", CT)


def test_who_is_admitted_stays_only_as_it_was_admitted(lan: Clinic) -> None:
    door = assemble(lan.registry, audit=lan.audit, clock=lan.clock, passwords=lan.passwords)
    actor = door.devices.admit("CT1", "RADKEEP", CT)
    lan.identity.devices.remove(lan.operator, "CT1")
    lan.identity.devices.add(lan.operator, "CT1", host="10.0.0.8")
    with pytest.raises(ForbiddenError):
        door.devices.recheck(actor)
    lan.identity.devices.remove(lan.operator, "CT1")
    lan.identity.devices.add(lan.operator, "CT1", host=CT)
    door.devices.recheck(actor)
    lan.identity.zones.remove(lan.operator, "scanners")
    door.devices.recheck(actor, certified(lan))
    before = len(lan.audit.events)
    with pytest.raises(ForbiddenError):
        door.devices.recheck(actor)
    lan.identity.knocks.flush()
    assert len(lan.audit.events) == before


def test_the_registry_is_read_only_after_a_change(lan: Clinic) -> None:
    reads = []
    whole = lan.registry.devices.of
    lan.registry.devices.of = lambda o: reads.append(o) or whole(o)  # type: ignore[method-assign] - counts
    for _ in range(50):
        lan.identity.devices.admit("CT1", "RADKEEP", CT)
    assert len(reads) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"ae_title": ""},
        {"ae_title": "X" * 17},
        {"ae_title": "A\\B"},
        {"ae_title": "Ä"},
        {"host": "ct1.local"},
        {"host": "a b"},
        {"port": 104},
        {"host": CT, "port": 70_000},
        {"addresses": ["10.0.0.7/24"]},
        {"addresses": ["nowhere"]},
        {"services": ["echo"]},
    ],
)
def test_wrong_registrations_are_refused(clinic: Clinic, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError):
        clinic.identity.devices.add(clinic.operator, **{"ae_title": "CT1", **wrong})  # type: ignore[arg-type] - wrong
    assert not clinic.registry.devices.of("")


def test_registering_needs_the_permission_and_is_audited(clinic: Clinic) -> None:
    rita = clinic.actor("rita@mercy.org", "radiologist")
    with pytest.raises(ForbiddenError):
        clinic.identity.devices.add(rita, "CT1", host=CT)
    assert clinic.audit.events[-1].type is EventType.REFUSED
    clinic.identity.devices.add(clinic.operator, "CT1", host=CT)
    phases = clinic.events(EventId.SECURITY_ALERT, deed="device.add", device="CT1")
    assert [event.detail["phase"] for event in phases] == ["intent", "outcome"]
    clinic.identity.devices.remove(clinic.operator, "CT1")
    with pytest.raises(NotFoundError):
        clinic.identity.devices.remove(clinic.operator, "CT1")


def test_no_audit_no_registration(clinic: Clinic) -> None:
    clinic.audit.available = False
    with pytest.raises(AuditUnavailableError):
        clinic.identity.devices.add(clinic.operator, "CT1", host=CT)
    assert not clinic.registry.devices.of("")


def test_refused_peers_wait_for_approval(lan: Clinic) -> None:
    for _ in range(3):
        refused(lan, "CT2", address="10.0.0.8")
    lan.identity.knocks.flush()
    (knock,) = lan.identity.knocks.pending(lan.operator)
    assert (knock.calling, knock.address, knock.count) == ("CT2", "10.0.0.8", 3)
    assert knock.reason == TrueReason.UNKNOWN
    lan.identity.devices.add(lan.operator, "CT2", host="10.0.0.8")
    assert not lan.identity.knocks.pending(lan.operator)


def test_with_several_organizations_only_the_operator_sees_knocks(lan: Clinic) -> None:
    ada = lan.actor("ada@mercy.org", "administrator")
    lan.identity.knocks.pending(ada)
    lan.identity.organizations.create(lan.host, "Grace")
    with pytest.raises(ForbiddenError):
        lan.identity.knocks.pending(ada)
    lan.identity.knocks.pending(lan.operator)


def test_a_flood_of_knocks_stays_small(lan: Clinic) -> None:
    before = len(lan.audit.events)
    for number in range(5000):
        refused(lan, f"X{number}", address=f"10.1.{number % 200}.{number % 7}")
    lan.identity.knocks.flush()
    assert len(lan.audit.events) - before <= knocks.TOGETHER
    assert len(lan.registry.knocks.all()) <= knocks.KEEP
    assert len(lan.identity.knocks._waiting) == 0
    lan.clock.pass_(minutes=1)
    lan.identity.knocks.flush()
    rest = lan.audit.events[-1]
    assert rest.detail["reason"] == "further refusals within a minute"
    assert rest.count == 5000 - knocks.TOGETHER


def test_one_source_does_not_crowd_out_another(lan: Clinic) -> None:
    for number in range(1000):
        refused(lan, f"X{number}", address="10.1.0.1")
    refused(lan, "CT2", address="10.0.0.8")
    lan.identity.knocks.flush()
    waiting = [knock.calling for knock in lan.registry.knocks.all()]
    assert "CT2" in waiting
    assert len(waiting) == knocks.EACH + 1


def test_knocks_wait_while_the_registry_cannot_be_written(lan: Clinic) -> None:
    def full(*_: object, **__: object) -> None:
        raise AlreadyExistsError("stands for any error")

    write, lan.registry.knocks.note = lan.registry.knocks.note, full  # type: ignore[method-assign] - a full disk
    for minute in range(20):
        for number in range(100):
            refused(lan, f"X{minute}.{number}", address=f"10.{minute}.0.{number}")
        with pytest.raises(AlreadyExistsError):
            lan.identity.knocks.flush()
        lan.clock.pass_(minutes=1)
    assert len(lan.identity.knocks._waiting) == knocks.KEEP
    lan.registry.knocks.note = write  # type: ignore[method-assign] - room again
    lan.identity.knocks.flush()
    assert len(lan.registry.knocks.all()) == knocks.KEEP


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_words_give_an_answer(calling: str, called: str, address: str) -> None:
    clinic = Clinic()
    with pytest.raises(RejectedError):
        clinic.identity.devices.admit(calling, called, address)
    event = clinic.audit.of(EventId.SECURITY_ALERT)[-1]
    assert len(event.actor_name) <= 16
    assert event.actor_name.isprintable()


@given(st.text(max_size=60))
def test_any_text_is_a_network_or_refused(text: str) -> None:
    try:
        parsed = names.networks([text])
    except InvalidRequestError:
        return
    assert parsed == names.networks(map(str, parsed))


def test_objects_go_to_registered_destinations_only(lan: Clinic) -> None:
    devices, ours = lan.identity.devices, lan.organization.id
    devices.add(lan.operator, "CALLER", addresses=[LAN])
    found = devices.destination(ours, "CT1 ")
    assert (found.ae_title, found.host, found.port) == ("CT1", CT, 104)
    for organization, title in ((ours, "CALLER"), (ours, "NOBODY"), (ours, ""), ("other", "CT1")):
        with pytest.raises(NotFoundError):
            devices.destination(organization, title)
    devices.remove(lan.operator, "CT1")
    with pytest.raises(NotFoundError):
        devices.destination(ours, "CT1")


def test_plaintext_goes_where_a_zone_allows_it(lan: Clinic) -> None:
    devices, ours = lan.identity.devices, lan.organization.id
    devices.check_plaintext(ours, CT)
    for organization, address in ((ours, "192.0.2.1"), ("other", CT)):
        with pytest.raises(ForbiddenError):
            devices.check_plaintext(organization, address)


@pytest.mark.parametrize(
    ("service", "permissions"),
    [
        ("find", {"study:query"}),
        ("get", {"study:query", "study:read", "study:pull"}),
        ("move", {"study:query", "study:read", "study:send"}),
    ],
)
def test_each_service_gives_its_own_rights(
    lan: Clinic, service: str, permissions: set[str]
) -> None:
    lan.identity.devices.add(lan.operator, "WS1", addresses=[LAN], services=[service])
    assert lan.identity.devices.admit("WS1", "RADKEEP", CT).permissions == permissions
