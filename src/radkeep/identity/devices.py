# SPDX-License-Identifier: Apache-2.0
"""DICOM devices: registered, removed, and admitted when they call.

Invariant: an AE title proves nothing. A peer with a certificate is the device that the certificate
was issued or imported for, and no other; one without is admitted only from an address that its
registration lists and whose zone allows plaintext.
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from radkeep.audit.events import Action, EventType
from radkeep.domain.actor import Actor
from radkeep.domain.addresses import peer_address
from radkeep.domain.clock import Clock
from radkeep.domain.errors import (
    AlreadyExistsError,
    ForbiddenError,
    InvalidRequestError,
    Kind,
    NotFoundError,
)
from radkeep.identity import actors, names, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.knocks import Knocks
from radkeep.identity.permissions import Permission, Service, parse_services
from radkeep.identity.policy import own_organization
from radkeep.identity.records import Certificate, Device, Network, Zone
from radkeep.identity.zones import narrowest

_MAX_PORT: Final = 65_535


class TrueReason(StrEnum):
    """Why a peer is refused; for our own people, not for the peer."""

    CALLED = "it calls another AE title than ours"
    UNKNOWN = "no device with this AE title is registered"
    ADDRESS = "the device is registered, but not for this address"
    NO_ZONE = "the address belongs to no zone"
    PLAINTEXT = "the zone of the address does not allow plaintext"
    AMBIGUOUS = "several organizations claim this AE title and address"
    NO_ADDRESS = "the peer has no network address"
    OTHER = "its certificate is another device's"
    REVOKED = "its certificate is revoked"
    EXPIRED = "its certificate has expired or is not valid yet"
    STRANGE = "its certificate belongs to no registered device"


class RejectedError(ForbiddenError):
    """A peer is not admitted. The message is what anybody may hear.

    ``true_reason`` may be told to a ``verified`` peer, whose certificate is a registered device's.
    """

    kind, code = Kind.FORBIDDEN, "device-not-admitted"

    def __init__(self, true_reason: TrueReason, *, verified: bool = False) -> None:
        super().__init__("the association is not accepted")
        self.true_reason, self.verified = true_reason, verified


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Devices, certificates and zones as of one revision of the registry."""

    revision: int
    devices: Mapping[str, Sequence[Device]]  # by AE title, one for each organization at most
    certified: Mapping[str, tuple[Certificate, Device | None]]  # by fingerprint
    zones: Mapping[str, Sequence[Zone]]  # by organization


class Devices:
    """Manages and admits devices. Thread-safe."""

    def __init__(
        self,
        *,
        devices: ports.DeviceStore,
        certificates: ports.CertificateStore,
        zones: ports.ZoneStore,
        knocks: Knocks,
        deeds: Deeds,
        clock: Clock,
        ae_title: str,
    ) -> None:
        self._devices = devices
        self._certificates = certificates
        self._zones = zones
        self._knocks = knocks
        self._deeds = deeds
        self._clock = clock
        self._ae_title = ae_title
        self._known = _Snapshot(-1, {}, {}, {})  # replaced whole, so readers need no lock

    def admit(self, calling: str, called: str, address: str, certificate: str = "") -> Actor:
        """Return the device that calls.

        ``certificate`` is the fingerprint of the one that TLS has verified; "" without TLS.

        Remembers and audits who is refused. Costs one read of a counter while nothing changes.

        Raises:
            RejectedError: it is not admitted.
            AuditUnavailableError: it is not admitted, and the log cannot say so.
        """
        try:
            device = self._decide(calling.strip(" "), called.strip(" "), address, certificate)
        except RejectedError as error:
            self._knocks.note(calling, called, address, error.true_reason)
            raise
        return actors.device(device, address=address)

    def turned_away(self, address: str, reason: str) -> None:
        """Remember and audit a peer that TLS refused for ``reason``, before it could name itself.

        Raises:
            AuditUnavailableError: the log cannot append. The peer is away already.
        """
        self._knocks.note("", "", address, reason)

    def recheck(self, actor: Actor, certificate: str = "") -> None:
        """Return only if the admitted ``actor`` would be admitted again with the same services.

        Its zone or its certificate counts as well, as at ``admit``. Nothing is audited here, for
        nobody knocked.

        Raises:
            ForbiddenError: it would not; its association should end.
        """
        device = self._decide(actor.id, self._ae_title, actor.address, certificate)
        now = actors.device(device, address=actor.address)
        if (now.organization, now.permissions) != (actor.organization, actor.permissions):
            raise ForbiddenError("the device is not registered like this any more")

    def destination(self, organization: str, ae_title: str) -> Device:
        """Return the device of ``organization`` that objects may be sent to.

        Raises:
            NotFoundError: no such device, or it is registered without host and port.
        """
        for device in self._current().devices.get(ae_title.strip(" "), ()):
            if device.organization == organization and device.host and device.port:
                return device
        raise NotFoundError("no such destination")

    def proofs(self, organization: str, ae_title: str) -> Collection[str]:
        """Return the fingerprints of the certificates by which a device proves now who it is."""
        now = self._clock.now()
        return {
            fingerprint
            for fingerprint, (certificate, device) in self._current().certified.items()
            if device is not None
            and (device.organization, device.ae_title) == (organization, ae_title)
            and certificate.holds(now)
        }

    def check_plaintext(self, organization: str, address: str) -> None:
        """Return only if ``organization`` may speak to ``address`` without TLS.

        Raises:
            ForbiddenError: no zone says so.
            InvalidRequestError: not an address.
        """
        peer = peer_address(address)
        zone = narrowest(self._current().zones.get(organization, ()), peer)
        if zone is None or not zone.plaintext:
            raise ForbiddenError("the zone of the destination does not allow plaintext")

    def add(
        self,
        actor: Actor,
        ae_title: str,
        *,
        host: str = "",
        port: int = 0,
        addresses: Iterable[str] = (),
        services: Iterable[str] = (Service.STORE,),
        tls: bool = False,
    ) -> Device:
        """Register a device in the actor's organization.

        ``host`` is where it listens, and the address it may call from unless ``addresses`` says
        otherwise. With neither it can only call with a certificate. ``tls`` says that it listens
        with TLS, and that nothing may be sent to it without.

        Raises:
            ForbiddenError: ``actor`` may not manage devices.
            InvalidRequestError: not an AE title, host, port, address or service; a host *name*
                without ``addresses``; a port without host.
            AlreadyExistsError: the AE title is taken in this organization, or elsewhere for an
                overlapping address.
        """
        deed = "device.add"
        self._deeds.require(
            actor, Permission.DEVICE_MANAGE, organization=actor.organization, deed=deed
        )
        organization = own_organization(actor, "a device")
        if not 0 <= port <= _MAX_PORT or (port and not host) or (tls and not port):
            raise InvalidRequestError("a destination has a host and a port up to 65,535")
        device = Device(
            id=secrets.token_hex(16),
            organization=organization,
            ae_title=names.ae_title(ae_title),
            addresses=_may_call_from(host, list(addresses)),
            services=parse_services(services),
            host=names.host_name(host) if host else "",
            port=port,
            created=self._clock.now(),
            tls=tls,
        )
        self._refuse_overlap(device)
        with self._changing(actor, deed, device, Action.CREATE):
            self._devices.add(device)
            self._knocks.registered(device.ae_title)
        return device

    def list(self, actor: Actor) -> Sequence[Device]:
        """Return the devices of the actor's organization, by AE title.

        Raises:
            ForbiddenError: ``actor`` may not manage devices.
        """
        self._deeds.require(
            actor, Permission.DEVICE_MANAGE, organization=actor.organization, deed="device.list"
        )
        return self._devices.of(actor.organization)

    def remove(self, actor: Actor, ae_title: str) -> None:
        """Remove a device; it is refused from now on, and its certificates are revoked.

        Raises:
            ForbiddenError: ``actor`` may not manage devices.
            NotFoundError: the actor's organization has no such device.
        """
        deed = "device.remove"
        self._deeds.require(
            actor, Permission.DEVICE_MANAGE, organization=actor.organization, deed=deed
        )
        for device in self._devices.of(actor.organization):
            if ae_title.strip(" ") == device.ae_title:
                with self._changing(actor, deed, device, Action.DELETE):
                    self._devices.remove(device.id, self._clock.now())
                return
        raise NotFoundError("no such device")

    def _decide(self, calling: str, called: str, address: str, certificate: str) -> Device:
        if certificate:
            return self._decide_certified(calling, called, address, certificate)
        if called != self._ae_title:
            raise RejectedError(TrueReason.CALLED)
        try:
            peer = peer_address(address)
        except InvalidRequestError:
            raise RejectedError(TrueReason.NO_ADDRESS) from None
        known = self._current()
        device = _calling(known.devices.get(calling, ()), peer)
        zone = narrowest(known.zones.get(device.organization, ()), peer)
        if zone is None:
            raise RejectedError(TrueReason.NO_ZONE)
        if not zone.plaintext:
            raise RejectedError(TrueReason.PLAINTEXT)
        return device

    def _decide_certified(
        self, calling: str, called: str, address: str, fingerprint: str
    ) -> Device:
        certificate, device = self._current().certified.get(fingerprint, (None, None))
        if certificate is None:
            raise RejectedError(TrueReason.STRANGE)
        if certificate.revoked is not None or device is None:
            raise RejectedError(TrueReason.REVOKED)
        if not certificate.holds(self._clock.now()):
            raise RejectedError(TrueReason.EXPIRED)
        if calling != device.ae_title:
            raise RejectedError(TrueReason.OTHER, verified=True)
        if called != self._ae_title:
            raise RejectedError(TrueReason.CALLED, verified=True)
        try:
            peer = peer_address(address)
        except InvalidRequestError:
            raise RejectedError(TrueReason.NO_ADDRESS, verified=True) from None
        if device.addresses and not any(peer in network for network in device.addresses):
            raise RejectedError(TrueReason.ADDRESS, verified=True)
        return device

    def _current(self) -> _Snapshot:
        known = self._known
        # The counter is read first: a change while the rest is read shows at the next call.
        revision = self._devices.revision()
        if known.revision != revision:
            devices: dict[str, list[Device]] = {}
            by_id: dict[str, Device] = {}
            for device in self._devices.of(""):
                devices.setdefault(device.ae_title, []).append(device)
                by_id[device.id] = device
            certified = {
                each.fingerprint: (each, by_id.get(each.device))
                for each in self._certificates.of("")
            }
            zones: dict[str, list[Zone]] = {}
            for zone in self._zones.of(""):
                zones.setdefault(zone.organization, []).append(zone)
            known = self._known = _Snapshot(revision, devices, certified, zones)
        return known

    def _refuse_overlap(self, device: Device) -> None:
        for other in self._devices.of(""):
            if other.ae_title == device.ae_title and (
                other.organization == device.organization
                or _overlap(other.addresses, device.addresses)
            ):
                raise AlreadyExistsError("a device with this AE title is registered")

    def _changing(
        self, actor: Actor, deed: str, device: Device, action: Action
    ) -> AbstractContextManager[None]:
        return self._deeds.change(
            actor,
            deed,
            kind=EventType.NETWORK_CONFIGURATION,
            action=action,
            organization=device.organization,
            detail={
                "device": device.ae_title,
                "addresses": ",".join(map(str, device.addresses)),
                "services": ",".join(sorted(device.services)),
                "destination": f"{device.host}:{device.port}" if device.port else "",
                "tls": "yes" if device.tls else "no",
            },
        )


def _calling(named: Sequence[Device], peer: IPv4Address | IPv6Address) -> Device:
    """Return the one device among those with the calling AE title that may call from ``peer``."""
    if not named:
        raise RejectedError(TrueReason.UNKNOWN)
    fitting = [d for d in named if any(peer in network for network in d.addresses)]
    if not fitting:
        raise RejectedError(TrueReason.ADDRESS)
    if len(fitting) > 1:
        raise RejectedError(TrueReason.AMBIGUOUS)
    return fitting[0]


def _may_call_from(host: str, addresses: Sequence[str]) -> tuple[Network, ...]:
    if addresses or not host:
        return names.networks(addresses)
    try:
        return names.networks([host])
    except InvalidRequestError:
        raise InvalidRequestError("for a host name, say from which addresses it calls") from None


def _overlap(one: Sequence[Network], other: Sequence[Network]) -> bool:
    return any(a.version == b.version and a.overlaps(b) for a in one for b in other)
