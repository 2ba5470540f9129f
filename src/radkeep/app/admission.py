# SPDX-License-Identifier: Apache-2.0
"""Devices as the DICOM door asks for them: decisions become what PS3.8 can say.

Invariant: only a peer whose certificate is a registered device's hears why it is refused.
"""

from types import MappingProxyType
from typing import Final

from radkeep.dimse.ports import PERMANENT, Rejected
from radkeep.domain.actor import Actor
from radkeep.identity.devices import Devices, RejectedError, TrueReason

_NO_REASON: Final = 1
_USER: Final = 1  # source: the service user, PS3.8 Table 9-21
_REASONS: Final = MappingProxyType(
    {
        TrueReason.OTHER: 3,  # calling AE title not recognized
        TrueReason.CALLED: 7,  # called AE title not recognized
    }
)


class DoorAdmission:
    """Satisfies ``dimse.ports.Admission``. Thread-safe."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    def admit(self, calling: str, called: str, address: str, certificate: str = "") -> Actor:
        """Return the device that calls.

        Raises:
            Rejected: refused, and its certificate earns it the true reason.
            ForbiddenError: refused.
            AuditUnavailableError: refused, and the log cannot say so.
        """
        try:
            return self._devices.admit(calling, called, address, certificate)
        except RejectedError as error:
            if not error.verified:
                raise
            reason = _REASONS.get(error.true_reason, _NO_REASON)
            raise Rejected(PERMANENT, _USER, reason) from error

    def recheck(self, actor: Actor, certificate: str = "") -> None:
        """Return only if ``actor`` would be admitted again.

        Raises:
            ForbiddenError: it would not.
        """
        self._devices.recheck(actor, certificate)
