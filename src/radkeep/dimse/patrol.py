# SPDX-License-Identifier: Apache-2.0
"""Asks again, for everybody who has an association, whether they still may.

Invariant: an association outlives the registration that admitted it by ``settings.recheck`` and a
tick, not longer; the event loop waits for no answer, and one round at a time is under way.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from radkeep.dimse.channel import Channel
from radkeep.dimse.gate import Gate
from radkeep.dimse.ports import Admission
from radkeep.domain.actor import Actor
from radkeep.domain.errors import ForbiddenError, RadkeepError

_log: Final = structlog.get_logger()


class Patrol:
    """Ends associations of devices that were removed or changed, or whose certificate was revoked.

    Lives on the event loop.
    """

    def __init__(self, *, admission: Admission, gate: Gate, threads: ThreadPoolExecutor) -> None:
        """Ask ``admission`` in ``threads`` about the associations of ``gate``."""
        self._admission, self._gate, self._threads = admission, gate, threads
        self._round: asyncio.Task[None] | None = None
        self._began = gate.now()

    def look(self, now: float) -> None:
        """Begin a round if one is due and the last has ended."""
        if self._round is None and now - self._began >= self._gate.settings.recheck:
            self._began = now
            self._round = asyncio.get_running_loop().create_task(self._go_round())

    async def close(self) -> None:
        """Forget a round that is under way."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)

    async def _go_round(self) -> None:
        """Ask about all in one call of a thread, so that a crowd costs two switches."""
        try:
            asked = [(c, c.association.actor) for c in self._gate.associated if c.association]
            if asked:
                unwelcome = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._unwelcome, asked
                )
                for channel in unwelcome:
                    self._gate.withdraw(channel)
        finally:
            self._round = None

    def _unwelcome(self, asked: Sequence[tuple[Channel, Actor]]) -> Sequence[Channel]:
        """Return those whose admission does not hold any more; runs in a thread."""
        found = []
        for channel, actor in asked:
            try:
                self._admission.recheck(actor, channel.certificate)
            except ForbiddenError:
                found.append(channel)
            except RadkeepError as error:  # busy: nobody is sent away for our own trouble
                _log.warning("dimse.recheck.failed", code=error.code)
                break  # the next round asks again
            except Exception:  # noqa: BLE001 - logged; a bug here must not end all rounds
                _log.exception("dimse.recheck.failed")
                break
        return found
