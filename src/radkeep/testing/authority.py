# SPDX-License-Identifier: Apache-2.0
"""A certificate authority in memory, for what needs one and is not about it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from radkeep.crypto.certificates import issue_device, new_authority, revocation_list
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import InvalidRequestError

SEED: Final = b"testing authority".ljust(32)


class MemoryAuthority:
    """Satisfies ``identity.certificates.Authority``."""

    def __init__(self, clock: Clock) -> None:
        """Begin at the clock's time."""
        self._clock = clock
        self._certificate = new_authority(SEED, ["localhost"], now=clock.now()).certificate

    def certificate(self) -> bytes:
        """Return the authority's own certificate, PEM."""
        return self._certificate

    def certify(self, ae_title: str, public_key: bytes) -> bytes:
        """Return a device's certificate."""
        now = self._clock.now()
        return issue_device(self._certificate, SEED, public_key, ae_title, now=now)

    def revocation_list(self, revoked: Sequence[tuple[int, datetime]]) -> bytes:
        """Return the signed list."""
        return revocation_list(self._certificate, SEED, revoked, now=self._clock.now())


class NoServerCertificates:
    """Satisfies ``web.api.ports.ServerCertificates`` where no server is."""

    def status(self, actor: Actor) -> Sequence[Mapping[str, Any]]:
        """Return nothing."""
        assert actor.id
        return []

    def replace_web(self, actor: Actor, chain: bytes, key: bytes) -> Sequence[Mapping[str, Any]]:
        """Change nothing.

        Raises:
            InvalidRequestError: one of them is missing.
        """
        if not chain or not key:
            raise InvalidRequestError("a certificate and its key, both")
        return self.status(actor)

    def restore_web(self, actor: Actor) -> Sequence[Mapping[str, Any]]:
        """Change nothing."""
        return self.status(actor)
