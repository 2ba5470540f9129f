# SPDX-License-Identifier: Apache-2.0
"""Small logs for tests, and a disk that fails or loses power when it is told to."""

import errno
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from radkeep.audit.disk import Disk
from radkeep.audit.log import LogReader, LogWriter
from radkeep.crypto.sign import SigningKey
from radkeep.testing.audit import sample_event

SIGNING = SigningKey.from_bytes(b"s" * 32)
PAYLOAD_KEY = b"p" * 32


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Ticks:
    """Monotonic nanoseconds that stand still until told."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def open_writer(
    directory: Path,
    *,
    disk: Disk | None = None,
    segment: int = 65_536,
    monotonic: Callable[[], int] | None = None,
) -> LogWriter:
    return LogWriter(
        directory,
        signing=SIGNING,
        payload_key=PAYLOAD_KEY,
        clock=FixedClock(),
        disk=disk,
        segment=segment,
        monotonic=monotonic or Ticks(),
    )


def reader(directory: Path) -> LogReader:
    return LogReader(directory, PAYLOAD_KEY, SIGNING.public)


def write(log: LogWriter, count: int) -> tuple[int, ...]:
    first = log.size
    return log.append([("test", sample_event(n)) for n in range(first, first + count)])


def fill(directory: Path, groups: list[int], *, segment: int = 65_536) -> None:
    with open_writer(directory, segment=segment) as log:
        for count in groups:
            write(log, count)


def actors(directory: Path) -> list[str]:
    return [entry.event.actor_id for entry in reader(directory).read()]


def expected(count: int) -> list[str]:
    return [f"sample-{number}" for number in range(count)]


class FailingDisk(Disk):
    """Fails the n-th call of an operation, counted from ``arm``."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self.error = errno.ENOSPC
        self.syncs = 0
        self.calls: list[str] = []

    def arm(self, operation: str, call: int = 1) -> None:
        self._left[operation] = call

    def _step(self, operation: str) -> None:
        left = self._left.get(operation, 0)
        if left:
            self._left[operation] = left - 1
            if left == 1:
                raise OSError(self.error, os.strerror(self.error))

    def _note(self, operation: str, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.calls.append(f"{operation} {path.suffix.removeprefix('.')}")

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        self._note("write", descriptor)
        try:
            self._step("write")
        except OSError:
            super().write(descriptor, data[: len(data) // 2], offset)
            raise
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        self._note("sync", descriptor)
        self._step("sync")
        super().sync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        self._step("truncate")
        super().truncate(descriptor, length)

    def replace(self, path: Path, content: bytes) -> None:
        self._step("replace")
        super().replace(path, content)


class PowerCutError(Exception):
    """The power is gone."""


SECTOR = 16  # bytes; far below real ones, so that records and payloads tear in the middle


class PowerDisk(Disk):
    """Loses power at the n-th operation; ``wreck`` then shows what a disk may look like.

    What was synced stays. Of what was not, any sector may be new, old or zero, and files may have
    any length between.
    """

    def __init__(self, operations: int) -> None:
        self._left = operations
        self._durable: dict[Path, bytes] = {}

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise PowerCutError

    def open(self, path: Path, *, create: bool = False) -> int:
        self._step()
        descriptor = super().open(path, create=create)
        self._durable.setdefault(path, b"" if create else path.read_bytes())
        return descriptor

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        super().write(descriptor, data, offset)  # first: a cut in the middle is the interesting one
        self._step()

    def truncate(self, descriptor: int, length: int) -> None:
        super().truncate(descriptor, length)
        self._step()

    def sync(self, descriptor: int) -> None:
        self._step()
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self._durable[path] = path.read_bytes()

    def wreck(self, source: Path, target: Path, choose: Callable[[int], int]) -> None:
        """Copy ``source`` to ``target`` as after the cut; ``choose(n)`` returns 0..n-1."""
        shutil.copytree(source, target)
        for path in target.iterdir():
            durable = self._durable.get(source / path.name)
            if durable is None:
                continue
            current = path.read_bytes()
            if current == durable:
                continue
            shorter, longer = sorted((len(durable), len(current)))
            length = shorter + choose(longer - shorter + 1)
            torn = bytearray()
            for start in range(0, length, SECTOR):
                end = min(start + SECTOR, length)
                old, new = durable[start:end], current[start:end]
                picks = [old.ljust(end - start, b"\0"), new.ljust(end - start, b"\0")]
                torn += old if old == new else picks[choose(2)]
            path.write_bytes(torn)
