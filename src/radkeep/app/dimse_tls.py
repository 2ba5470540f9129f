# SPDX-License-Identifier: Apache-2.0
"""TLS of the DICOM door: its certificate, and whom it trusts, both as they are now.

Invariant: whoever is trusted by TLS alone still has to be known to the registry, by fingerprint;
a change of either is in use for new connections within ``LOOK_SECONDS``.
"""

import ssl
from collections.abc import Callable, Sequence
from typing import Final

from radkeep.app.authority import TlsPair
from radkeep.crypto.tls import calling_context, mutual_context

LOOK_SECONDS: Final = 1.0


class DimseTls:
    """Makes contexts. ``context`` is the event loop's, the rest is one thread's."""

    def __init__(
        self,
        pair: TlsPair,
        *,
        authority: bytes,
        revision: Callable[[], int],
        pinned: Callable[[], Sequence[bytes]],
    ) -> None:
        """Show ``pair``; trust ``authority`` (PEM) and what ``pinned`` returns (DER)."""
        self._authority, self._revision, self._pinned = authority, revision, pinned
        self._pair = pair
        self._seen = revision()
        self._trusted = tuple(pinned())
        self._calling = calling_context(pair.certificate, pair.key)
        self._current = self._make()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection; never blocks."""
        return self._current

    def calling(self) -> ssl.SSLContext:
        """Return the context with which we call others; never blocks."""
        return self._calling

    def show(self, pair: TlsPair) -> None:
        """Show another certificate from now on."""
        self._pair = pair
        self._calling = calling_context(pair.certificate, pair.key)
        self._current = self._make()

    def look(self) -> None:
        """Trust what the registry says now."""
        revision = self._revision()
        if revision == self._seen:
            return
        trusted = tuple(self._pinned())
        if trusted != self._trusted:
            self._trusted = trusted
            self._current = self._make()
        self._seen = revision

    def _make(self) -> ssl.SSLContext:
        pair = self._pair
        return mutual_context(
            pair.certificate, pair.key, authority=self._authority, pinned=self._trusted
        )
