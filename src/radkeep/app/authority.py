# SPDX-License-Identifier: Apache-2.0
"""The certificate authority: its key stays with the supervisor, who signs what doors ask for.

Invariant: a door gets the private key of its own TLS and of no other; nobody gets the authority's.
What an authority signs opens nothing by itself: doors admit by what the registry says.
"""

from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from radkeep.app import channel
from radkeep.app.boot import DoorBoot
from radkeep.app.channel import Client
from radkeep.app.unlocked import TLS_AUTHORITY, TLS_DIMSE, TLS_WEB, Unlocked
from radkeep.app.web_certificate import forget, keep, kept
from radkeep.crypto.certificate_facts import facts_of
from radkeep.crypto.certificates import issue_device, issue_server, revocation_list
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import IntegrityError, UnavailableError
from radkeep.identity import names

_DEADLINE: Final = 10.0  # seconds
_OWN: Final = MappingProxyType(  # what each process may ask for
    {
        "dimse": frozenset({"append-keys", "tls-pair"}),
        "web": frozenset(
            {"append-keys", "tls-pair", "certify", "revocation-list", "import-web", "shown"}
        ),
    }
)


def require_own(process: str, kind: str) -> None:
    """Return only if ``process`` may ask the supervisor for ``kind``.

    Raises:
        IntegrityError: it may not: it is not itself any more.
    """
    if kind not in _OWN.get(process, ()):
        raise IntegrityError("a process asks for what is not its own")


class TlsPair(msgspec.Struct, frozen=True, kw_only=True):
    """What a door shows its peers."""

    certificate: bytes  # PEM: a chain, the door's own first
    key: bytes  # PEM, unencrypted
    imported: bool = False


class Certify(msgspec.Struct, frozen=True, array_like=True):
    """A device's certificate is wanted."""

    ae_title: str
    public_key: bytes


class Office:
    """Does the authority's work where its key is: in the supervisor, or in a lone command."""

    def __init__(self, unlocked: Unlocked) -> None:
        self._unlocked = unlocked
        self.web_port = unlocked.config.server.web_port  # where the revocation list is served
        self._shown: dict[str, bytes] = {}

    def certificate(self) -> bytes:
        """Return the authority's own certificate, PEM."""
        return self._unlocked.authority()

    def certify(self, ae_title: str, public_key: bytes) -> bytes:
        """Return a device's certificate for its public key, both PEM."""
        return issue_device(
            self.certificate(),
            self._unlocked.secret(TLS_AUTHORITY),
            public_key,
            names.ae_title(ae_title),
            now=SystemClock().now(),
            crl=self._list_address(),
        )

    def revocation_list(self, revoked: Sequence[tuple[int, datetime]]) -> bytes:
        """Return the signed list of these serial numbers, DER."""
        seed = self._unlocked.secret(TLS_AUTHORITY)
        return revocation_list(self.certificate(), seed, revoked, now=SystemClock().now())

    def door_boot(self, door: str) -> DoorBoot:
        """Return what the process ``door`` is told; of the TLS keys only its own."""
        pair = self.pair(door)
        return msgspec.structs.replace(
            self._unlocked.door_boot(), tls_certificate=pair.certificate, tls_key=pair.key
        )

    def shown(self) -> dict[str, bytes]:
        """Return the certificates that doors show, PEM, by the door's name."""
        held = kept(self._unlocked.layout, self._unlocked.secret(TLS_WEB))
        return self._shown or ({"web": held[0]} if held is not None else {})

    def pair(self, door: str) -> TlsPair:
        """Return what the door ``door`` shows: the web's imported certificate, else a new one.

        A new one has the door's lasting key, so that it is never stale and never a surprise.
        """
        pair = self._pair(door)
        self._shown[door] = pair.certificate
        return pair

    def _pair(self, door: str) -> TlsPair:
        now = SystemClock().now()
        if door == "web":
            held = kept(self._unlocked.layout, self._unlocked.secret(TLS_WEB))
            if held is not None and facts_of(held[0]).expires > now:
                return TlsPair(certificate=held[0], key=held[1], imported=True)
        issued = issue_server(
            self.certificate(),
            self._unlocked.secret(TLS_AUTHORITY),
            self._unlocked.secret_or_new(TLS_WEB if door == "web" else TLS_DIMSE),
            self._unlocked.config.server.hostname,
            now=now,
            crl=self._list_address(),
            client=door == "dimse",
        )
        return TlsPair(certificate=issued.certificate, key=issued.key)

    def import_web(self, pair: TlsPair | None) -> TlsPair:
        """Keep the web's imported certificate, or go back to our own; return what it shows now."""
        layout, secret = self._unlocked.layout, self._unlocked.secret(TLS_WEB)
        if pair is None:
            forget(layout)
        else:
            keep(layout, secret, pair.certificate, pair.key)
        return self.pair("web")

    def answer(self, door: str, kind: str, body: Raw) -> object:
        """Return the answer to a request of the process ``door``, which ``require_own`` let pass.

        Raises:
            IntegrityError: the request is garbled.
            RadkeepError: it cannot be fulfilled.
        """
        if kind == "certify":
            wanted: Certify = channel.decode(body, Certify)
            return self.certify(wanted.ae_title, wanted.public_key)
        if kind == "revocation-list":
            revoked = channel.decode(body, list[tuple[str, datetime]])
            return self.revocation_list([(int(serial, 16), when) for serial, when in revoked])
        if kind == "import-web":
            pair: list[TlsPair] = channel.decode(body, list[TlsPair])  # none: our own again
            return self.import_web(pair[0] if pair else None)
        if kind == "shown":
            return self.shown()
        return self.pair(door)

    def _list_address(self) -> str:
        if not self.web_port:  # chosen by the system, and not known yet
            return ""
        return f"https://{self._unlocked.config.server.hostname}:{self.web_port}/pki/ca.crl"


class RemoteOffice:
    """The same, asked of the supervisor by a door. Thread-safe."""

    def __init__(self, client: Client, certificate: bytes) -> None:
        self._client = client
        self._certificate = certificate

    def certificate(self) -> bytes:
        """Return the authority's own certificate, PEM."""
        return self._certificate

    def certify(self, ae_title: str, public_key: bytes) -> bytes:
        """Return a device's certificate for its public key, both PEM."""
        made: bytes = self._ask("certify", Certify(ae_title, public_key), bytes)
        return made

    def revocation_list(self, revoked: Sequence[tuple[int, datetime]]) -> bytes:
        """Return the signed list of these serial numbers, DER."""
        made: bytes = self._ask("revocation-list", [(f"{n:x}", when) for n, when in revoked], bytes)
        return made

    def pair(self, door: str) -> TlsPair:
        """Return what this process, the door ``door``, shows."""
        made: TlsPair = self._ask("tls-pair", door, TlsPair)
        return made

    def shown(self) -> dict[str, bytes]:
        """Return the certificates that doors show, PEM, by the door's name."""
        told: dict[str, bytes] = self._ask("shown", None, dict[str, bytes])
        return told

    def import_web(self, pair: TlsPair | None) -> TlsPair:
        """Keep the web's imported certificate, or go back to our own; return what it shows now."""
        made: TlsPair = self._ask("import-web", [] if pair is None else [pair], TlsPair)
        return made

    def _ask(self, kind: str, value: object, of: type[Any]) -> Any:  # noqa: ANN401 - msgspec checks it
        try:
            return channel.decode(self._client.request(kind, value).result(_DEADLINE), of)
        except TimeoutError:
            raise UnavailableError("the supervisor does not answer") from None
