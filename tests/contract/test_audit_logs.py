# SPDX-License-Identifier: Apache-2.0
"""The fake and the real audit log answer the same questions."""

from pathlib import Path

import pytest

from radkeep.app.audit_client import DirectLog
from radkeep.audit.events import Event
from radkeep.audit.log import LogReader, LogWriter
from radkeep.audit.ports import AuditLog
from radkeep.crypto.sign import SigningKey
from radkeep.domain.clock import SystemClock
from radkeep.testing.audit import AuditLogContract, MemoryAuditLog


class TestMemoryAuditLog(AuditLogContract):
    def make(self) -> AuditLog:
        return MemoryAuditLog()

    def stored(self, log: AuditLog) -> list[Event]:
        assert isinstance(log, MemoryAuditLog)
        return log.events

    def fail(self, log: AuditLog) -> None:
        assert isinstance(log, MemoryAuditLog)
        log.available = False


class TestDirectLog(AuditLogContract):
    signing = SigningKey.from_bytes(b"s" * 32)
    payload_key = b"p" * 32

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "audit"

    def make(self) -> AuditLog:
        self.writer = LogWriter(
            self.directory,
            signing=self.signing,
            payload_key=self.payload_key,
            clock=SystemClock(),
        )
        return DirectLog(self.writer, "test")

    def stored(self, log: AuditLog) -> list[Event]:
        reader = LogReader(self.directory, self.payload_key, self.signing.public)
        return [entry.event for entry in reader.read()]

    def fail(self, log: AuditLog) -> None:
        self.writer.close()
