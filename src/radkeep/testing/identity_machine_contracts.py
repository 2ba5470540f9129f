# SPDX-License-Identifier: Apache-2.0
"""What every registry does for machines: tokens, devices, zones, knocks; and for settings.

Invariant: a registry that passes tells of each change of a device or zone, and is never filled by
peers that knock.
"""

from dataclasses import replace
from ipaddress import ip_network

from radkeep.identity.permissions import Scope, Service
from radkeep.identity.ports import Registry
from radkeep.identity.records import Certificate, Device, Knock, Token, Zone
from radkeep.testing.identity import START
from radkeep.testing.identity_contracts import PeopleContract, at, digest, refused


class MachineContract:
    """Subclass it, and give an empty registry in ``make``."""

    DEVICE = Device(
        id="d1",
        organization="o1",
        ae_title="CT1",
        addresses=(ip_network("10.0.0.0/24"), ip_network("fd00::/8")),
        services=frozenset({Service.STORE, Service.FIND}),
        host="ct1",
        port=104,
        created=at(0),
    )
    CERTIFICATE = Certificate(
        fingerprint="a" * 64,
        device="d1",
        organization="o1",
        ae_title="CT1",
        serial=2**159 + 1,
        subject="OU=Radkeep device",
        issuer="OU=Radkeep private CA",
        imported=False,
        der=bytes(range(256)),
        begins=at(0),
        expires=at(99),
        created=at(0),
    )
    ZONE = Zone(
        id="z1",
        organization="o1",
        name="scanners",
        networks=(ip_network("10.0.0.0/24"),),
        plaintext=True,
        reason="old",
        review=START.date(),
        created=at(0),
    )
    TOKEN = Token(
        id="t1",
        organization="o1",
        name="backup",
        scopes=frozenset({Scope.DICOMWEB_READ, Scope.METRICS_READ}),
        created=at(0),
        created_by="a1",
        expires=at(99),
    )

    def make(self) -> Registry:
        """Return an empty registry."""
        raise NotImplementedError

    def peopled(self) -> Registry:
        """Return a registry with one organization and one account."""
        registry = self.make()
        registry.organizations.add(PeopleContract.ORGANIZATION)
        registry.accounts.add(PeopleContract.ACCOUNT)
        return registry

    def test_tokens_come_back_by_digest_and_names_are_unique_until_revoked(self) -> None:
        """A revoked token stays in the list."""
        registry = self.peopled()
        registry.tokens.add(self.TOKEN, digest(1))
        again = replace(self.TOKEN, id="t2", created=at(1))
        assert refused(lambda: registry.tokens.add(again, digest(2)))
        assert registry.tokens.by_digest(digest(1)) == self.TOKEN
        assert registry.tokens.by_digest(digest(2)) is None
        registry.tokens.touch("t1", at(4))
        assert registry.tokens.revoke("t1", at(5))
        assert not registry.tokens.revoke("t1", at(6))
        registry.tokens.add(again, digest(2))
        revoked = replace(self.TOKEN, used=at(4), revoked=at(5))
        assert registry.tokens.of("o1") == registry.tokens.of("") == [revoked, again]
        assert registry.tokens.of("o2") == []

    def test_devices_and_zones_move_the_revision(self) -> None:
        """Each change does; removing what is gone does not."""
        registry = self.peopled()
        seen = [registry.devices.revision()]
        registry.devices.add(self.DEVICE)
        seen.append(registry.devices.revision())
        registry.zones.add(self.ZONE)
        seen.append(registry.devices.revision())
        assert registry.devices.of("") == registry.devices.of("o1") == [self.DEVICE]
        assert registry.zones.of("") == registry.zones.of("o1") == [self.ZONE]
        assert [*registry.devices.of("o2"), *registry.zones.of("o2")] == []
        assert refused(lambda: registry.devices.add(replace(self.DEVICE, id="d2")))
        assert refused(lambda: registry.zones.add(replace(self.ZONE, id="z2")))
        assert registry.devices.remove("d1", at(1))
        seen.append(registry.devices.revision())
        assert registry.zones.remove("z1")
        seen.append(registry.devices.revision())
        assert seen == sorted(set(seen))
        assert not registry.devices.remove("d1", at(1))
        assert not registry.zones.remove("z1")
        assert registry.devices.revision() == seen[-1]

    def test_certificates_are_revoked_and_never_removed(self) -> None:
        """With their device, too; and each change tells."""
        registry = self.peopled()
        registry.devices.add(self.DEVICE)
        seen = [registry.devices.revision()]
        second = replace(self.CERTIFICATE, fingerprint="b" * 64, created=at(1), imported=True)
        for certificate in (self.CERTIFICATE, second):
            registry.certificates.add(certificate)
            seen.append(registry.devices.revision())
        assert registry.certificates.of("") == registry.certificates.of("o1")
        assert registry.certificates.of("o1") == [self.CERTIFICATE, second]
        assert registry.certificates.of("o2") == []
        assert refused(lambda: registry.certificates.add(replace(second, device="d2")))
        assert registry.certificates.revoke("a" * 64, at(2))
        seen.append(registry.devices.revision())
        assert not registry.certificates.revoke("a" * 64, at(3))
        assert not registry.certificates.revoke("c" * 64, at(3))
        registry.devices.remove("d1", at(4))
        revoked = [each.revoked for each in registry.certificates.of("o1")]
        assert revoked == [at(2), at(4)]
        assert seen == sorted(set(seen))

    def test_knocks_add_up_and_are_few(self) -> None:
        """The latest stay."""
        registry = self.make()
        knock = Knock(
            calling="CT9",
            called="RADKEEP",
            address="10.0.0.9",
            reason="unknown",
            first=at(1),
            last=at(1),
            count=1,
        )
        later = replace(knock, first=at(2), last=at(2), count=3, reason="other")
        registry.knocks.note([knock], keep=2)
        registry.knocks.note([later, replace(knock, calling="CT8")], keep=2)
        assert registry.knocks.all() == [
            replace(later, first=at(1), count=4),
            replace(knock, calling="CT8"),
        ]
        registry.knocks.note([replace(knock, calling="CT7", last=at(3))], keep=2)
        assert [each.calling for each in registry.knocks.all()] == ["CT7", "CT9"]
        registry.knocks.forget("CT9")
        assert [each.calling for each in registry.knocks.all()] == ["CT7"]

    def test_a_setting_never_changes(self) -> None:
        """The first value stays."""
        registry = self.make()
        assert registry.settings.get("profile") is None
        registry.settings.fix("profile", "demo")
        assert refused(lambda: registry.settings.fix("profile", "production"))
        assert registry.settings.get("profile") == "demo"

    def test_a_demo_link_works_once_until_its_end(self) -> None:
        """A new one replaces it."""
        links = self.make().demo_links
        links.put(digest(1), at(10))
        links.put(digest(2), at(10))
        assert not links.use(digest(1), at(1))
        assert not links.use(digest(2), at(10))
        assert links.use(digest(2), at(9))
        assert not links.use(digest(2), at(9))
        links.put(digest(3), at(10))
        links.clear()
        assert not links.use(digest(3), at(1))
