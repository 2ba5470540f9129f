# SPDX-License-Identifier: Apache-2.0
"""Registered devices as whom we call, with the certificate that we show them.

Invariant: a process shows a key of its own: the DICOM door its door's, others one that they make
and have certified when they first call; it is written nowhere.
"""

import ssl
import threading
from collections.abc import Callable, Collection

from radkeep.crypto.certificates import new_key
from radkeep.crypto.tls import calling_context
from radkeep.domain.errors import UnavailableError
from radkeep.identity.certificates import Authority
from radkeep.identity.devices import Devices
from radkeep.identity.records import Device


class Outward:
    """Satisfies ``dimse.ports.Destinations``. Thread-safe."""

    def __init__(self, devices: Devices, context: Callable[[], ssl.SSLContext] | None) -> None:
        self._devices, self._context = devices, context

    def context(self) -> ssl.SSLContext:
        """Return what we show and speak to peers that listen with TLS.

        Raises:
            UnavailableError: this process has no certificate to show.
        """
        if self._context is None:
            raise UnavailableError("this process has no certificate to show")
        return self._context()

    def proofs(self, organization: str, ae_title: str) -> Collection[str]:
        """Return the fingerprints of the certificates that prove a destination now."""
        return self._devices.proofs(organization, ae_title)

    def destination(self, organization: str, ae_title: str) -> Device:
        """Return the device of ``organization`` that objects may be sent to.

        Raises:
            NotFoundError: no such device, or it is registered without host and port.
        """
        return self._devices.destination(organization, ae_title)

    def check_plaintext(self, organization: str, address: str) -> None:
        """Return only if ``organization`` may speak to ``address`` without TLS.

        Raises:
            ForbiddenError: no zone says so.
        """
        self._devices.check_plaintext(organization, address)


class Credentials:
    """A certificate as our own application entity, for a process without a DICOM door."""

    def __init__(self, authority: Authority, ae_title: str) -> None:
        self._authority, self._ae_title = authority, ae_title
        self._lock = threading.Lock()
        self._made: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return what to show, made at the first call.

        Raises:
            UnavailableError: the authority does not answer.
        """
        with self._lock:
            if self._made is None:
                key, public = new_key()
                made = self._authority.certify(self._ae_title, public)
                self._made = calling_context(made, key)
            return self._made
