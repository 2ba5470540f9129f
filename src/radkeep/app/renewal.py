# SPDX-License-Identifier: Apache-2.0
"""Certificates of doors are renewed while the doors serve.

Invariant: a door never shows a certificate of ours that has less than ``MARGIN`` left for longer
than ``LOOK_SECONDS``, however long it runs.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

import structlog

from radkeep.app.authority import TlsPair
from radkeep.crypto.certificate_facts import facts_of
from radkeep.domain.clock import Clock
from radkeep.domain.errors import RadkeepError

MARGIN: Final = timedelta(days=60)
LOOK_SECONDS: Final = 3_600.0

_log: Final = structlog.get_logger()


class Pairs(Protocol):
    """Where a door's certificate comes from."""

    def pair(self, door: str) -> TlsPair:
        """Return a new one, or the imported one.

        Raises:
            UnavailableError: not now.
        """
        ...


class Renewal:
    """Looks after the certificate of one door. Used by one thread at a time."""

    def __init__(
        self,
        pairs: Pairs,
        door: str,
        certificate: bytes,
        show: Callable[[TlsPair], None],
        clock: Clock,
    ) -> None:
        """Have the ``door``, which shows ``certificate`` now, ``show`` others in time."""
        self._pairs, self._door, self._show, self._clock = pairs, door, show, clock
        self._expires = facts_of(certificate).expires

    def look(self) -> None:
        """Ask for another certificate if the one shown ends soon."""
        if self._expires - self._clock.now() > MARGIN:
            return
        try:
            pair = self._pairs.pair(self._door)
        except RadkeepError as error:  # the next look asks again
            _log.warning("certificate.not-renewed", door=self._door, code=error.code)
            return
        self._show(pair)
        self._expires = facts_of(pair.certificate).expires
        _log.info("certificate.renewed", door=self._door, expires=self._expires.isoformat())


async def repeat(seconds: float, work: Callable[[], None]) -> None:
    """Run ``work`` in a thread each ``seconds``, until cancelled; what fails is tried again."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(seconds)
        try:
            await loop.run_in_executor(None, work)
        except Exception:  # noqa: BLE001 - logged; a bug here must not end all later rounds
            _log.exception("repeat.failed")
