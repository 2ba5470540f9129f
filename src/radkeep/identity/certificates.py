# SPDX-License-Identifier: Apache-2.0
"""Certificates of devices: issued, imported, revoked, and the list of revoked ones.

Invariant: a certificate is good for the one device it was made for, and only while the registry
says so; a device's private key is made where the device's certificate is asked for, never here.
"""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from radkeep.audit.events import Action, EventType
from radkeep.crypto.certificate_facts import Facts, client_facts, public_key_of
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from radkeep.identity import ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.permissions import Permission
from radkeep.identity.records import Certificate, Device

MAX_VALID: Final = 16  # certificates of one device that hold at once
FRESH: Final = timedelta(days=1)  # of a revocation list, while nothing changes


class Authority(Protocol):
    """Whoever holds the key of the installation's certificate authority."""

    def certificate(self) -> bytes:
        """Return the authority's own certificate, PEM."""
        ...

    def certify(self, ae_title: str, public_key: bytes) -> bytes:
        """Return a device's certificate for its public key, both PEM.

        Raises:
            InvalidRequestError: not a PEM public key, or a weak one.
            UnavailableError: the holder of the key does not answer.
        """
        ...

    def revocation_list(self, revoked: Sequence[tuple[int, datetime]]) -> bytes:
        """Return the signed list of these serial numbers, DER.

        Raises:
            UnavailableError: the holder of the key does not answer.
        """
        ...


class Certificates:
    """Manages certificates of devices. Thread-safe."""

    def __init__(
        self,
        *,
        certificates: ports.CertificateStore,
        devices: ports.DeviceStore,
        authority: Authority | None,
        deeds: Deeds,
        clock: Clock,
    ) -> None:
        self._certificates = certificates
        self._devices = devices
        self._authority = authority
        self._deeds = deeds
        self._clock = clock
        self._lock = threading.Lock()
        self._list: tuple[int, datetime, bytes] | None = None  # revision, made, DER

    def authority(self) -> bytes:
        """Return the certificate of the installation's authority, PEM.

        Raises:
            UnavailableError: it cannot be reached.
        """
        return self._require_authority().certificate()

    def issue(self, actor: Actor, ae_title: str, public_key: bytes) -> tuple[Certificate, bytes]:
        """Issue a certificate for a device's public key; return it, and its PEM.

        Earlier ones of the device stay valid: so one is renewed without a gap.

        Raises:
            ForbiddenError: ``actor`` may not manage devices.
            NotFoundError: the actor's organization has no such device.
            InvalidRequestError: not a PEM public key, a weak one, or the device has too many.
            UnavailableError: the authority cannot be reached.
        """
        device = self._device(actor, ae_title, "certificate.issue")
        public_key_of(public_key)
        pem = self._require_authority().certify(device.ae_title, public_key)
        facts = client_facts(pem, now=self._clock.now())
        return self._keep(actor, "certificate.issue", device, facts, imported=False), pem

    def import_(self, actor: Actor, ae_title: str, pem: bytes) -> Certificate:
        """Trust a device's own certificate, for this device and by its fingerprint alone.

        Raises:
            ForbiddenError: ``actor`` may not manage devices.
            NotFoundError: the actor's organization has no such device.
            InvalidRequestError: not one PEM certificate, weak, not valid now, not for TLS clients,
                or the device has too many.
            AlreadyExistsError: the certificate is a device's already, or was revoked.
        """
        device = self._device(actor, ae_title, "certificate.import")
        facts = client_facts(pem, now=self._clock.now())
        return self._keep(actor, "certificate.import", device, facts, imported=True)

    def of(self, actor: Actor, ae_title: str) -> Sequence[Certificate]:
        """Return the certificates of a device, revoked and expired ones too, by age.

        Raises:
            ForbiddenError: ``actor`` may not manage devices.
            NotFoundError: the actor's organization has no such device.
        """
        device = self._device(actor, ae_title, "certificate.list")
        held = self._certificates.of(device.organization)
        return [each for each in held if each.device == device.id]

    def revoke(self, actor: Actor, ae_title: str, fingerprint: str = "") -> Sequence[Certificate]:
        """Revoke a device's certificates, or the one with ``fingerprint``; return which.

        Within seconds they open no association any more, and end those they opened.

        Raises:
            ForbiddenError: ``actor`` may not manage devices.
            NotFoundError: no such device, or nothing to revoke.
        """
        deed = "certificate.revoke"
        device = self._device(actor, ae_title, deed)
        wanted = fingerprint.replace(":", "").lower()
        chosen = [
            each
            for each in self._certificates.of(device.organization)
            if each.device == device.id
            and each.revoked is None
            and (not wanted or each.fingerprint == wanted)
        ]
        if not chosen:
            raise NotFoundError("no such certificate that is not revoked")
        for each in chosen:
            with self._deeds.change(
                actor,
                deed,
                kind=EventType.SECURITY_CONFIGURATION,
                action=Action.DELETE,
                organization=device.organization,
                detail={"device": device.ae_title, "fingerprint": each.fingerprint},
            ):
                self._certificates.revoke(each.fingerprint, self._clock.now())
        return chosen

    def pinned(self) -> Sequence[bytes]:
        """Return the imported certificates that hold now, DER, for TLS to trust singly."""
        now = self._clock.now()
        return [each.der for each in self._certificates.of("") if each.imported and each.holds(now)]

    def revocation_list(self) -> bytes:
        """Return the list of the authority's revoked certificates, DER; public.

        It is as of now: a change of the registry makes a new one.

        Raises:
            UnavailableError: the authority cannot be reached.
        """
        revision, now = self._devices.revision(), self._clock.now()
        with self._lock:
            held = self._list
            if held is not None and held[0] == revision and now - held[1] < FRESH:
                return held[2]
            revoked = [
                (each.serial, each.revoked)
                for each in self._certificates.of("")
                if each.revoked is not None and not each.imported and now < each.expires
            ]
            made = self._require_authority().revocation_list(revoked)
            self._list = (revision, now, made)
            return made

    def _require_authority(self) -> Authority:
        if self._authority is None:
            raise UnavailableError("this process has no certificate authority")
        return self._authority

    def _device(self, actor: Actor, ae_title: str, deed: str) -> Device:
        self._deeds.require(
            actor, Permission.DEVICE_MANAGE, organization=actor.organization, deed=deed
        )
        for device in self._devices.of(actor.organization):
            if device.ae_title == ae_title.strip(" "):
                return device
        raise NotFoundError("no such device")

    def _keep(
        self, actor: Actor, deed: str, device: Device, facts: Facts, *, imported: bool
    ) -> Certificate:
        now = self._clock.now()
        held = self._certificates.of(device.organization)
        if sum(each.device == device.id and each.holds(now) for each in held) >= MAX_VALID:
            raise InvalidRequestError("the device has too many certificates; revoke some")
        certificate = Certificate(
            fingerprint=facts.fingerprint,
            device=device.id,
            organization=device.organization,
            ae_title=device.ae_title,
            serial=facts.serial,
            subject=facts.subject,
            issuer=facts.issuer,
            imported=imported,
            der=facts.der,
            begins=facts.begins,
            expires=facts.expires,
            created=now,
        )
        with self._deeds.change(
            actor,
            deed,
            kind=EventType.SECURITY_CONFIGURATION,
            action=Action.CREATE,
            organization=device.organization,
            detail={
                "device": device.ae_title,
                "fingerprint": facts.fingerprint,
                "issuer": facts.issuer,
                "expires": facts.expires.isoformat(),
            },
        ):
            self._certificates.add(certificate)
        return certificate
