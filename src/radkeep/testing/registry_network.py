# SPDX-License-Identifier: Apache-2.0
"""Machines in the registry in memory: tokens, devices, certificates, zones, knocks; and settings.

Invariant: each part passes its contract in ``testing.identity_contracts``.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from radkeep.identity.records import (
    Certificate,
    Device,
    Knock,
    Token,
    Zone,
)
from radkeep.testing.registry_state import Part, atomic, unless


@atomic
class MemoryTokens(Part):
    """Satisfies ``identity.ports.TokenStore``."""

    def add(self, token: Token, digest: bytes) -> None:
        """Keep a token."""
        key = (token.organization, token.name)
        held = [t for t in self._state.tokens.values() if t.revoked is None]
        unless(key in [(t.organization, t.name) for t in held])
        self._state.tokens[digest] = token

    def by_digest(self, digest: bytes) -> Token | None:
        """Return the token, or None."""
        return self._state.tokens.get(digest)

    def of(self, organization: str) -> Sequence[Token]:
        """Return the tokens of ``organization``; of all for ""."""
        found = [t for t in self._state.tokens.values() if organization in ("", t.organization)]
        return sorted(found, key=lambda t: (t.name, t.created, t.id))

    def touch(self, token: str, used: datetime) -> None:
        """Note a use."""
        self._change(token, lambda held: replace(held, used=used))

    def revoke(self, token: str, when: datetime) -> bool:
        """Revoke."""
        if all(t.revoked for t in self._state.tokens.values() if t.id == token):
            return False
        self._change(token, lambda held: replace(held, revoked=when))
        return True

    def _change(self, token: str, change: Callable[[Token], Token]) -> None:
        for digest, held in self._state.tokens.items():
            if held.id == token:
                self._state.tokens[digest] = change(held)


@atomic
class MemoryDevices(Part):
    """Satisfies ``identity.ports.DeviceStore``."""

    def add(self, device: Device) -> None:
        """Keep a device."""
        key = (device.organization, device.ae_title)
        unless(key in [(d.organization, d.ae_title) for d in self._state.devices.values()])
        self._state.devices[device.id] = device
        self._state.revision += 1

    def of(self, organization: str) -> Sequence[Device]:
        """Return the devices of ``organization``; of all for ""."""
        found = [d for d in self._state.devices.values() if organization in ("", d.organization)]
        return sorted(found, key=lambda d: (d.ae_title, d.organization))

    def remove(self, device: str, when: datetime) -> bool:
        """Remove, and revoke its certificates."""
        for held in list(self._state.certificates.values()):
            if held.device == device and held.revoked is None:
                self._state.certificates[held.fingerprint] = replace(held, revoked=when)
        gone = self._state.devices.pop(device, None) is not None
        self._state.revision += gone
        return gone

    def revision(self) -> int:
        """Return a number that grows with each change of a device, certificate or zone."""
        return self._state.revision


@atomic
class MemoryCertificates(Part):
    """Satisfies ``identity.ports.CertificateStore``."""

    def add(self, certificate: Certificate) -> None:
        """Keep a certificate."""
        unless(certificate.fingerprint in self._state.certificates)
        self._state.certificates[certificate.fingerprint] = certificate
        self._state.revision += 1

    def of(self, organization: str) -> Sequence[Certificate]:
        """Return the certificates of ``organization``; of all for ""."""
        held = self._state.certificates.values()
        found = [c for c in held if organization in ("", c.organization)]
        return sorted(found, key=lambda c: (c.ae_title, c.created, c.fingerprint))

    def revoke(self, fingerprint: str, when: datetime) -> bool:
        """Revoke."""
        held = self._state.certificates.get(fingerprint)
        if held is None or held.revoked is not None:
            return False
        self._state.certificates[fingerprint] = replace(held, revoked=when)
        self._state.revision += 1
        return True


@atomic
class MemoryZones(Part):
    """Satisfies ``identity.ports.ZoneStore``."""

    def add(self, zone: Zone) -> None:
        """Keep a zone."""
        key = (zone.organization, zone.name)
        unless(key in [(z.organization, z.name) for z in self._state.zones.values()])
        self._state.zones[zone.id] = zone
        self._state.revision += 1

    def of(self, organization: str) -> Sequence[Zone]:
        """Return the zones of ``organization``; of all for ""."""
        found = [z for z in self._state.zones.values() if organization in ("", z.organization)]
        return sorted(found, key=lambda z: (z.name, z.organization))

    def remove(self, zone: str) -> bool:
        """Remove."""
        gone = self._state.zones.pop(zone, None) is not None
        self._state.revision += gone
        return gone


@atomic
class MemoryKnocks(Part):
    """Satisfies ``identity.ports.KnockStore``."""

    def note(self, knocks: Sequence[Knock], *, keep: int) -> None:
        """Add to what is known of each."""
        held = self._state.knocks
        for knock in knocks:
            key = (knock.calling, knock.address)
            old = held.get(key)
            held[key] = (
                replace(knock, first=old.first, count=old.count + knock.count) if old else knock
            )
        for knock in list(self.all())[keep:]:
            del held[knock.calling, knock.address]

    def all(self) -> Sequence[Knock]:
        """Return them, the last first."""
        found = sorted(self._state.knocks.values(), key=lambda k: (k.calling, k.address))
        return sorted(found, key=lambda k: k.last, reverse=True)

    def forget(self, calling: str) -> None:
        """Remove those with this calling AE title."""
        for key in [key for key in self._state.knocks if key[0] == calling]:
            del self._state.knocks[key]


@atomic
class MemorySettings(Part):
    """Satisfies ``identity.ports.SettingStore``."""

    def get(self, name: str) -> str | None:
        """Return the value, or None."""
        return self._state.settings.get(name)

    def fix(self, name: str, value: str) -> None:
        """Set a value that can never change."""
        unless(name in self._state.settings)
        self._state.settings[name] = value


@atomic
class MemoryDemoLinks(Part):
    """Satisfies ``identity.ports.DemoLinkStore``."""

    def put(self, digest: bytes, expires: datetime) -> None:
        """Keep a link in place of any other."""
        self._state.demo_link = (digest, expires)

    def use(self, digest: bytes, now: datetime) -> bool:
        """Use a link up."""
        link = self._state.demo_link
        if link is None or link[0] != digest or now >= link[1]:
            return False
        self._state.demo_link = None
        return True

    def clear(self) -> None:
        """Forget every link."""
        self._state.demo_link = None
