# SPDX-License-Identifier: Apache-2.0
"""The registry in memory and the one on disk answer alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from radkeep.database.registry.registry import SqlRegistry
from radkeep.identity.ports import Registry
from radkeep.testing.identity import MemoryRegistry
from radkeep.testing.identity_contracts import PeopleContract
from radkeep.testing.identity_machine_contracts import MachineContract


class TestMemoryRegistry(PeopleContract, MachineContract):
    @override
    def make(self) -> Registry:
        return MemoryRegistry()


class TestSqlRegistry(PeopleContract, MachineContract):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> Iterator[None]:
        self.path = tmp_path / "registry.db"
        self.opened: list[SqlRegistry] = []
        yield
        for registry in self.opened:
            registry.close()

    @override
    def make(self) -> Registry:
        self.opened.append(SqlRegistry(self.path, b"k" * 32))
        return self.opened[-1]
