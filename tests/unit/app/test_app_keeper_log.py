# SPDX-License-Identifier: Apache-2.0
"""The audit log behind a keeper process answers the questions that the fake answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_keeper import DEADLINE, Kept, keeping

from radkeep.audit.events import Event
from radkeep.audit.ports import AuditLog
from radkeep.testing.audit import AuditLogContract


class TestKeeperLog(AuditLogContract):
    @pytest.fixture(autouse=True)
    def _keeper(self, tmp_path: Path) -> Iterator[None]:
        with keeping(tmp_path) as kept:
            self.kept: Kept = kept
            yield

    def make(self) -> AuditLog:
        return self.kept.log("test")

    def stored(self, log: AuditLog) -> list[Event]:
        return [entry.event for entry in self.kept.entries()]

    def fail(self, log: AuditLog) -> None:
        self.kept.child.process.kill()
        self.kept.child.process.wait(DEADLINE)
