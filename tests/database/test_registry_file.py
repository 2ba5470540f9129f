# SPDX-License-Identifier: Apache-2.0
"""The registry's file: encrypted, guarded by its triggers, shared by processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from radkeep.crypto import otp
from radkeep.database.registry.registry import SqlRegistry
from radkeep.domain.errors import IntegrityError, RadkeepError, UnauthenticatedError
from radkeep.identity import actors
from radkeep.identity.assembly import assemble
from radkeep.testing.audit import MemoryAuditLog
from radkeep.testing.clinic import HERE, PASSWORD
from radkeep.testing.identity import FakeClock, PlainPasswords
from radkeep.testing.identity_contracts import PeopleContract
from radkeep.testing.identity_machine_contracts import MachineContract

KEY = b"k" * 32


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    opened = SqlRegistry(tmp_path / "registry.db", KEY)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE setting SET value = 'production'",
        "DELETE FROM setting",
        "DELETE FROM organization",
        "DELETE FROM account",
        "UPDATE zone SET reason = ''",
        "UPDATE device SET port = 70000",
    ],
)
def test_the_schema_refuses(registry: SqlRegistry, statement: str) -> None:
    registry.organizations.add(PeopleContract.ORGANIZATION)
    registry.accounts.add(PeopleContract.ACCOUNT)
    registry.zones.add(MachineContract.ZONE)
    registry.devices.add(MachineContract.DEVICE)
    registry.settings.fix("profile", "demo")
    with pytest.raises(RadkeepError), registry.database.write() as connection:
        connection.execute(statement)
    assert registry.settings.get("profile") == "demo"


def test_an_account_needs_its_organization(registry: SqlRegistry) -> None:
    with pytest.raises(RadkeepError):
        registry.accounts.add(PeopleContract.ACCOUNT)


def test_another_process_sees_a_change_at_once(registry: SqlRegistry) -> None:
    other = SqlRegistry(registry.database.path, KEY)
    registry.organizations.add(PeopleContract.ORGANIZATION)
    before = other.devices.revision()
    registry.devices.add(MachineContract.DEVICE)
    assert other.devices.revision() > before
    assert other.devices.of("") == [MachineContract.DEVICE]
    other.close()


def test_nothing_is_readable_in_the_file(registry: SqlRegistry) -> None:
    registry.organizations.add(PeopleContract.ORGANIZATION)
    registry.accounts.add(PeopleContract.ACCOUNT)
    folder = registry.database.path.parent
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert len(content) > 4096
    for canary in (b"jane@mercy.org", b"Mercy", b"CREATE TABLE", b"SQLite format"):
        assert canary not in content


def test_another_key_does_not_open_it(registry: SqlRegistry) -> None:
    with pytest.raises(IntegrityError):
        SqlRegistry(registry.database.path, b"x" * 32)


def test_a_person_enrols_and_signs_in_over_the_file(registry: SqlRegistry) -> None:
    clock = FakeClock()
    identity = assemble(registry, audit=MemoryAuditLog(), clock=clock, passwords=PlainPasswords())
    founded = identity.founding.found(actors.local(0), "Mercy", administrator="ada@mercy.org")
    assert founded.enrolment is not None
    identity.enrolment.redeem_at_host(actors.local(0), founded.enrolment.token, PASSWORD)
    account = registry.accounts.by_email("ada@mercy.org")
    assert account is not None
    credentials = registry.credentials.of(account.id)
    assert credentials is not None
    code = otp.code_at(credentials.totp_secret, otp.step_at(clock.now()))
    done = identity.login.sign_in("ada@mercy.org", PASSWORD, code, address=HERE)
    ada = identity.sessions.actor(done.session_token)
    identity.devices.add(ada, "CT1", host="127.0.0.1", services=["store", "find"])
    device = identity.devices.admit("CT1", "RADKEEP", "127.0.0.1")
    assert device.permissions == {"instance:store", "study:query"}
    identity.sessions.sign_out(done.session_token)
    with pytest.raises(UnauthenticatedError):
        identity.sessions.actor(done.session_token)
