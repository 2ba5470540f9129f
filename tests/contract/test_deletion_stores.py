# SPDX-License-Identifier: Apache-2.0
"""The deletions in memory and those on disk answer alike."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from radkeep.database.registry.registry import SqlRegistry
from radkeep.domain.uid import Uid
from radkeep.identity.records import Organization
from radkeep.retrieval.ports import Deletion, DeletionStore
from radkeep.testing.deletions import MemoryDeletions

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ONE = Deletion(
    id=0,
    organization="org",
    study=Uid("1.2"),
    series=Uid("1.3"),
    instances=2,
    reason="wrong patient",
    deleted=NOW,
    deleted_by="ada@clinic.example",
)


@pytest.fixture(params=["memory", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeletionStore]:
    if request.param == "memory":
        yield MemoryDeletions()
        return
    registry = SqlRegistry(tmp_path / "registry.db", b"k" * 32)
    for name in ("org", "other"):
        registry.organizations.add(Organization(id=name, name=name, created=NOW))
    yield registry.deletions
    registry.close()


def test_changes_tell_each_instance_once_as_it_is_now(store: DeletionStore) -> None:
    assert store.version() == 0
    assert store.changes(0) == (0, [])
    first = store.add(ONE, [Uid("1.4"), Uid("1.5")])
    second = store.add(replace(ONE, series=None, instances=1), [Uid("1.5")])
    other = store.add(replace(ONE, organization="other"), [Uid("1.4")])
    assert (first.id, second.id, other.id, store.version()) == (1, 2, 3, 3)
    version, rows = store.changes(0)
    assert version == 3
    assert sorted(rows) == [("org", "1.4", True), ("org", "1.5", True), ("other", "1.4", True)]
    assert store.changes(3) == (3, [])
    assert store.undo(first, at=NOW + timedelta(hours=1), by="bob")
    assert not store.undo(first, at=NOW, by="bob")
    version, rows = store.changes(3)
    assert (version, sorted(rows)) == (4, [("org", "1.4", False), ("org", "1.5", True)])


def test_rows_are_kept_and_listed_for_their_organization(store: DeletionStore) -> None:
    made = [store.add(replace(ONE, instances=n), [Uid(f"1.4.{n}")]) for n in (1, 2, 3)]
    store.add(replace(ONE, organization="other"), [])
    assert store.of("org", before=None, limit=2) == [made[2], made[1]]
    assert store.of("org", before=made[1].id, limit=9) == [made[0]]
    assert store.one("org", made[0].id) == made[0]
    assert store.one("other", made[0].id) is None
    assert store.one("org", 99) is None
    assert store.undo(made[0], at=NOW, by="bob")
    assert store.one("org", made[0].id) == replace(made[0], undone=NOW, undone_by="bob")
