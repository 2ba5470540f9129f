# SPDX-License-Identifier: Apache-2.0
"""Brings reports of storage commitment to devices that did not wait for them (PS3.4 Section J.3.3).

Invariant: one association with a device at a time, and all that waits for it goes over that one; a
device that does not answer costs others nothing, and what waits for it is bounded.
"""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog

from radkeep.dicom.commitment import STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
from radkeep.dicom.syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from radkeep.dimse.ports import Destinations
from radkeep.dimse.scu.calling import Caller
from radkeep.dimse.scu.proposal import PeerError
from radkeep.dimse.scu.requestor import Requestor
from radkeep.dimse.wire.commands import event_report
from radkeep.dimse.wire.items import RoleSelection
from radkeep.domain.errors import RadkeepError

MAX_WAITING: Final = 256  # reports to one device; the oldest goes
_THREADS: Final = 4  # devices that are called at once

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is to be told to a device."""

    organization: str
    device: str  # its AE title
    calling: str  # ours, as the device says it
    event: int  # Event Type ID
    explicit: bytes  # Event Information in explicit VR little endian
    implicit: bytes  # the same in implicit VR


class _Device:
    """What waits for one device."""

    def __init__(self) -> None:
        self.reports: deque[Report] = deque(maxlen=MAX_WAITING)
        self.attempts = 0  # since the last success
        self.busy = False  # a thread or a timer has it


class Reporter:
    """Delivers in threads of its own. Thread-safe."""

    def __init__(self, destinations: Destinations, *, pauses: Sequence[float]) -> None:
        """Look devices up in ``destinations``; wait ``pauses`` seconds before each attempt."""
        self._caller, self._pauses = Caller(destinations), pauses
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dimse-report")
        self._lock = threading.Lock()
        self._devices: dict[tuple[str, str], _Device] = {}
        self._timers: set[threading.Timer] = set()
        self._closed = False

    def deliver(self, report: Report) -> None:
        """Bring ``report`` to its device, now or later."""
        key = report.organization, report.device
        with self._lock:
            device = self._devices.setdefault(key, _Device())
            device.reports.append(report)
            if device.busy:
                return
            device.busy = True
            self._schedule(key, device)

    def close(self) -> None:
        """End; what is not delivered is forgotten, and its sender will ask again."""
        with self._lock:
            self._closed = True
            timers = tuple(self._timers)
        for timer in timers:
            timer.cancel()
        self._threads.shutdown(cancel_futures=True)

    def _schedule(self, key: tuple[str, str], device: _Device) -> None:
        """Have ``device`` called after the pause that is due; the lock is held."""
        if self._closed:
            return
        pause = self._pauses[device.attempts]
        if not pause:
            self._threads.submit(self._run, key)
            return
        timer = threading.Timer(pause, self._due, (key,))
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def _due(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._timers = {one for one in self._timers if one.is_alive()}
            if not self._closed:
                self._threads.submit(self._run, key)

    def _run(self, key: tuple[str, str]) -> None:
        device = self._devices[key]
        try:
            self._send(key, device)
            device.attempts = 0
        except RadkeepError as error:
            final = not isinstance(error, PeerError)  # nothing that waiting mends
            _log.warning("dimse.report.failed", device=key[1], code=error.code, reason=str(error))
            device.attempts = len(self._pauses) if final else device.attempts + 1
        except Exception:  # noqa: BLE001 - logged; the device is tried again
            _log.exception("dimse.report.failed")
            device.attempts += 1
        with self._lock:
            if device.attempts >= len(self._pauses):
                _log.error("dimse.report.given-up", device=key[1], reports=len(device.reports))
                device.reports.clear()
            if device.reports:
                self._schedule(key, device)
            else:
                del self._devices[key]

    def _send(self, key: tuple[str, str], device: _Device) -> None:
        """Send all that waits; what was sent waits no more.

        Raises:
            PeerError: the device is not there, or does not answer.
            NotFoundError, ForbiddenError: it cannot be called.
        """
        organization, title = key
        destination = self._caller.destination(organization, title)
        with self._caller.call(
            organization,
            destination,
            calling=device.reports[0].calling,
            contexts=[(STORAGE_COMMITMENT, [EXPLICIT_LITTLE, IMPLICIT_LITTLE])],
            roles=(RoleSelection(STORAGE_COMMITMENT, scu=False, scp=True),),
            stop=lambda: self._closed,
        ) as link:
            while True:
                with self._lock:
                    if not device.reports:
                        return
                    report = device.reports[0]
                _tell(link, report)
                with self._lock:
                    if device.reports and device.reports[0] is report:
                        device.reports.popleft()


def _tell(link: Requestor, report: Report) -> None:
    context = link.context(STORAGE_COMMITMENT)
    data = report.implicit if context.transfer_syntax == IMPLICIT_LITTLE else report.explicit
    command = event_report(link.number(), STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, report.event)
    status = link.ask(context, command, [(data, True)])
    if status:
        _log.warning("dimse.report.refused", device=report.device, status=f"{status:04X}")
