# SPDX-License-Identifier: Apache-2.0
"""The echo test: whether a registered device hears us (C-ECHO, PS3.4 Annex A).

Invariant: nobody but a registered device of the asker's own organization is called, and only at
the host and port of its registration, so that the test cannot be used to look around a network.
"""

from dataclasses import dataclass
from typing import Protocol

from radkeep.domain.actor import Actor
from radkeep.domain.errors import RadkeepError, UnavailableError
from radkeep.identity.deeds import Deeds
from radkeep.identity.devices import Devices
from radkeep.identity.permissions import Permission
from radkeep.identity.records import Device


class Peers(Protocol):
    """The way out to devices. Thread-safe."""

    def echo(self, organization: str, device: Device) -> None:
        """Return once ``device`` has answered a C-ECHO with success.

        Raises:
            RadkeepError: it did not; the message says why.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """What a test showed."""

    device: Device
    answered: bool
    reason: str  # why not; in our words


class EchoTest:
    """Calls devices. Thread-safe."""

    def __init__(self, *, devices: Devices, deeds: Deeds, peers: Peers | None) -> None:
        """Call by ``peers``; without them nobody can be called."""
        self._devices, self._deeds, self._peers = devices, deeds, peers

    def run(self, actor: Actor, ae_title: str) -> Echo:
        """Call a device once and return what happened; it may take some seconds.

        Raises:
            ForbiddenError: ``actor`` may not manage devices.
            NotFoundError: the actor's organization has no such device, or it has no host and port.
            UnavailableError: there is no way out to devices.
        """
        self._deeds.require(
            actor, Permission.DEVICE_MANAGE, organization=actor.organization, deed="device.echo"
        )
        device = self._devices.destination(actor.organization, ae_title)
        if self._peers is None:
            raise UnavailableError("devices cannot be called from here")
        try:
            self._peers.echo(device.organization, device)
        except RadkeepError as error:
            return Echo(device=device, answered=False, reason=str(error))
        return Echo(device=device, answered=True, reason="")
