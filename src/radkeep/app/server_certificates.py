# SPDX-License-Identifier: Apache-2.0
"""The server's own certificates, as its operator sees and changes them.

Invariant: only who stands at the host changes what the web door shows; a pair that is not fit is
refused before anything changes, and an accepted one is in use when the answer leaves.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from radkeep.app.authority import Office, RemoteOffice, TlsPair
from radkeep.audit.events import Action, EventType
from radkeep.crypto.certificate_facts import Facts, facts_of, server_pair
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.identity.deeds import Deeds
from radkeep.identity.permissions import Permission


class ServerCertificates:
    """Shows and replaces them. Thread-safe."""

    def __init__(
        self,
        office: Office | RemoteOffice,
        show: Callable[[TlsPair], None],
        *,
        deeds: Deeds,
        clock: Clock,
        hostname: str,
    ) -> None:
        self._office, self._show = office, show
        self._deeds, self._clock, self._hostname = deeds, clock, hostname

    def status(self, actor: Actor) -> Sequence[Mapping[str, Any]]:
        """Return what the doors show, and the authority's own certificate.

        Raises:
            ForbiddenError: ``actor`` may not see the server's status.
            UnavailableError: the supervisor does not answer.
        """
        self._deeds.require(
            actor, Permission.SYSTEM_STATUS, organization=actor.organization, deed="certificate"
        )
        authority = facts_of(self._office.certificate())
        shown = {name: facts_of(pem) for name, pem in sorted(self._office.shown().items())}
        return [
            *(_told(name, facts, authority) for name, facts in shown.items()),
            _told("ca", authority, authority),
        ]

    def replace_web(self, actor: Actor, chain: bytes, key: bytes) -> Sequence[Mapping[str, Any]]:
        """Show ``chain`` with ``key``, both PEM, at the web door from now on.

        Raises:
            ForbiddenError: ``actor`` is not at the host.
            InvalidRequestError: not a fit pair for this server's name.
            UnavailableError: the supervisor does not answer.
        """
        self._deeds.require_at_host(actor, "certificate.web")
        pair = server_pair(chain, key, self._hostname, now=self._clock.now())
        return self._change(actor, TlsPair(certificate=pair[0], key=pair[1], imported=True))

    def restore_web(self, actor: Actor) -> Sequence[Mapping[str, Any]]:
        """Show a certificate of our own authority at the web door again.

        Raises:
            ForbiddenError: ``actor`` is not at the host.
            UnavailableError: the supervisor does not answer.
        """
        self._deeds.require_at_host(actor, "certificate.web")
        return self._change(actor, None)

    def _change(self, actor: Actor, pair: TlsPair | None) -> Sequence[Mapping[str, Any]]:
        with self._deeds.change(
            actor,
            "certificate.web",
            kind=EventType.SECURITY_CONFIGURATION,
            action=Action.UPDATE,
            organization=actor.organization,
            detail={"fingerprint": facts_of(pair.certificate).fingerprint if pair else "our own"},
        ):
            self._show(self._office.import_web(pair))
        return self.status(actor)


def _told(name: str, facts: Facts, authority: Facts) -> Mapping[str, Any]:
    return {
        "for": name,
        "names": list(facts.names),
        "expires": facts.expires,
        "issuer": facts.issuer,
        "fingerprint": facts.fingerprint,
        "own": facts.issuer == authority.subject,
    }
