# SPDX-License-Identifier: Apache-2.0
"""Senders that keep a server busy over C-STORE and STOW-RS, and a ledger of what they were told.

Invariant: an instance is in the ledger as acknowledged only when a response that says so was read
from the socket; what was sent in vain is sent again.
"""

import http.client
import random  # noqa: TID251 - seeded, so that a run can be repeated
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torture_clinic import (
    CT,
    DEVICE,
    EXPLICIT,
    Association,
    AssociationError,
    Instance,
    digest,
    instance,
    stow,
)

from rawsend import message

ROOT = "1.2.826.0.1.3680043.8.498.99"
CONFLICT = 0xC010
SIZES = (2_000, 8_000, 60_000, 66_000, 130_000, 520_000)  # bytes of pixels, and now and then:
LARGE = 2_600_000  # has a volume of its own
STUDIES = 5
MOST_PARTS = 5  # of one STOW-RS request
_noise = random.Random(1).randbytes(6 << 20)


@dataclass
class Ledger:
    """What was sent and what was said of it, by SOP Instance UID and digest."""

    sent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    stored: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    statuses: Counter[str] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def told(self, door: str, instance: Instance, status: int) -> None:
        """Note a response that was read."""
        with self._lock:
            self.statuses[f"{door} {status:04X}"] += 1
            if status == 0:
                self.stored[instance.sop_instance].add(digest(instance))
            elif status == CONFLICT:
                self.refused[instance.sop_instance].add(digest(instance))


class Plan:
    """Makes instances: new ones, some that were sent before, some that contradict those."""

    def __init__(self, seed: int, ledger: Ledger) -> None:
        self._random = random.Random(seed)
        self._ledger = ledger
        self._number = seed * 100_000
        self._past: list[Instance] = []

    def batch(self, count: int) -> list[Instance]:
        """Return the next `count` instances."""
        made = [self._next() for _ in range(count)]
        for each in made:
            self._ledger.sent[each.sop_instance].add(digest(each))
        return made

    def _next(self) -> Instance:
        draw = self._random.random()
        if self._past and draw < 0.12:
            old = self._random.choice(self._past)
            if draw < 0.06:
                return old
            return instance(old.sop_instance, self._pixels(4_000), note=f"other {draw}")
        self._number += 1
        uid = (
            f"{ROOT}.{self._random.randint(1, STUDIES)}.{self._random.randint(1, 3)}.{self._number}"
        )
        size = LARGE if draw > 0.99 else self._random.choice(SIZES)
        made = instance(uid, self._pixels(size))
        self._past.append(made)
        if len(self._past) > 400:
            self._past.pop(self._random.randrange(200))
        return made

    def _pixels(self, size: int) -> bytes:
        start = self._random.randrange(len(_noise) - size) & ~1
        return _noise[start : start + size]


class Load:
    """Senders at work until `stop`."""

    def __init__(
        self, data: Path, port: int, ledger: Ledger, batches: Sequence[list[Instance]]
    ) -> None:
        """Send each batch in a thread of its own; the last one over STOW-RS."""
        self._data, self._port, self._ledger = data, port, ledger
        self._over = threading.Event()
        windows = (1, 8, 3)
        self._threads = [
            threading.Thread(
                target=self._work, args=(self._dimse, batch, windows[n % len(windows)])
            )
            for n, batch in enumerate(batches[:-1])
        ]
        self._threads.append(
            threading.Thread(target=self._work, args=(self._stow, batches[-1], MOST_PARTS))
        )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send nothing more and wait for the senders."""
        self._over.set()
        for thread in self._threads:
            thread.join(90)
            if thread.is_alive():
                self._ledger.mistakes.append("a sender hangs")

    def finish(self) -> None:
        """Wait until everything was sent."""
        for thread in self._threads:
            thread.join(90)

    def _work(
        self, send: Callable[[list[Instance], int], None], batch: list[Instance], size: int
    ) -> None:
        try:
            send(batch, size)
        except Exception as error:  # noqa: BLE001 - the round fails by it
            self._ledger.mistakes.append(f"a sender failed: {type(error).__name__}: {error}")

    def _dimse(self, batch: list[Instance], window: int) -> None:
        waiting = deque(batch)
        while waiting and not self._over.is_set():
            try:
                self._associate(waiting, window)
            except (OSError, AssociationError):
                self._over.wait(0.05)  # killed, or being started again

    def _associate(self, waiting: deque[Instance], window: int) -> None:
        link = Association(
            ("127.0.0.1", self._port), [(CT, EXPLICIT)], calling=DEVICE, window=window, timeout=20
        )
        flying: dict[int, Instance] = {}
        number = 0
        try:
            while waiting or flying:
                while waiting and len(flying) < link.window and not self._over.is_set():
                    number += 1
                    flying[number] = waiting.popleft()
                    context = link.contexts[CT, EXPLICIT]
                    link.socket.sendall(message(context, number, flying[number], link.max_pdu))
                if not flying:
                    break
                answer = link.response()
                one = flying.pop(int.from_bytes(answer[0x0120], "little"))
                self._ledger.told("C-STORE", one, int.from_bytes(answer[0x0900], "little"))
            link.release()
        finally:
            link.socket.close()
            waiting.extendleft(flying.values())

    def _stow(self, batch: list[Instance], most: int) -> None:
        waiting, size = list(batch), 1
        while waiting and not self._over.is_set():
            group: dict[str, Instance] = {}
            while waiting and len(group) < size and waiting[0].sop_instance not in group:
                one = waiting.pop(0)
                group[one.sop_instance] = one
            size = size % most + 1
            try:
                status, told = stow(self._data, list(group.values()))
            except (OSError, http.client.HTTPException):
                waiting = [*group.values(), *waiting]
                self._over.wait(0.05)
                continue
            if not told:
                self._ledger.statuses[f"STOW {status}"] += len(group)
            for uid, reason in told.items():
                self._ledger.told("STOW", group[uid], reason)
