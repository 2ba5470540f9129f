# SPDX-License-Identifier: Apache-2.0
"""The audit log as every process but the keeper sees it."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from msgspec import Raw

from radkeep.app import channel
from radkeep.app.channel import Client
from radkeep.audit.events import Event
from radkeep.audit.log import LogWriter
from radkeep.domain.errors import AuditUnavailableError

DEADLINE: Final = 5.0  # seconds


class KeeperLog:
    """An AuditLog over a channel to the keeper. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, events: Sequence[Event]) -> Future[tuple[int, ...]]:
        """Send ``events`` and return at once."""
        indices: Future[tuple[int, ...]] = Future()

        def settle(answer: "Future[Raw]") -> None:
            error = answer.exception()
            if error is None:
                indices.set_result(channel.decode(answer.result(), tuple[int, ...]))
            else:
                indices.set_exception(AuditUnavailableError("the audit log cannot append"))

        self._client.request("append", list(events)).add_done_callback(settle)
        return indices

    def append(self, *events: Event) -> tuple[int, ...]:
        """Append ``events`` and return their indices once they are durable."""
        try:
            return self.submit(events).result(DEADLINE)
        except TimeoutError:
            raise AuditUnavailableError("the audit log does not answer") from None


class DirectLog:
    """An AuditLog of a command that holds the data directory's lock and is keeper itself."""

    def __init__(self, writer: LogWriter, process: str) -> None:
        self._writer = writer
        self._process = process

    def submit(self, events: Sequence[Event]) -> Future[tuple[int, ...]]:
        """Append ``events`` at once."""
        indices: Future[tuple[int, ...]] = Future()
        try:
            indices.set_result(self._writer.append([(self._process, event) for event in events]))
        except AuditUnavailableError as error:
            indices.set_exception(error)
        return indices

    def append(self, *events: Event) -> tuple[int, ...]:
        """Append ``events`` and return their indices once they are durable."""
        return self.submit(events).result()
