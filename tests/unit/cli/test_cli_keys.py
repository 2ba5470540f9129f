# SPDX-License-Identifier: Apache-2.0
"""Another passphrase for the root key, by the old one and by the recovery key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from app_data import PASSPHRASE, founded
from click.testing import CliRunner, Result

from radkeep.app.layout import Layout, locked
from radkeep.app.passphrase import DEED
from radkeep.app.serving import unlocking
from radkeep.app.unlocked import audit_reader
from radkeep.app.upkeep import verify_audit
from radkeep.archive.keyring import ROOT
from radkeep.audit.events import Event, EventType
from radkeep.cli.main import radkeep
from radkeep.config import Config, load, render
from radkeep.crypto.providers.passphrase import Cost
from radkeep.crypto.providers.rootfile import recover
from radkeep.domain.errors import ConfigError, RadkeepError, WrongPassphraseError

NEW = "violet kettle marches on"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend no second on each new passphrase."""
    monkeypatch.setattr(
        "radkeep.crypto.providers.passphrase.calibrate", lambda _: Cost(time=1, memory=64)
    )
    monkeypatch.delenv("RADKEEP_PASSPHRASE_FILE", raising=False)


@pytest.fixture
def secret(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a secret to a file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / f"secret-{len(list(tmp_path.iterdir()))}"
        path.write_text(f"{text}\n")
        return str(path)

    return write


def change(data: Path, *options: str) -> Result:
    return CliRunner().invoke(radkeep, ["keys", "passphrase", "--data", str(data), *options])


def opened(data: Path, file: str) -> tuple[bytes, list[Event]]:
    """Return the root key and what the audit log holds of the deed."""

    def nobody() -> str:
        raise AssertionError("asked for a passphrase")

    with unlocking(Layout(data), load(data), nobody, passphrase_file=file) as unlocked:
        reader = audit_reader(unlocked.layout, unlocked.keyring)
        events = [entry.event for entry in reader.read()]
        root = unlocked.keyring.key(ROOT)
    return root, [event for event in events if event.detail.get("deed") == DEED]


@pytest.mark.parametrize("by", ["recovery key", "passphrase"])
def test_the_passphrase_is_replaced(tmp_path: Path, secret: Callable[[str], str], by: str) -> None:
    data, old, new = tmp_path / "data", secret(PASSPHRASE), secret(NEW)
    recovery = founded(data).recovery_key
    root, _ = opened(data, old)
    if by == "passphrase":
        done = change(data, "--passphrase-file", old, "--new-passphrase-file", new, "--json")
    else:
        key = secret(recovery.lower())
        done = change(data, "--recovery-key-file", key, "--passphrase-file", new, "--json")
    assert (done.exit_code, done.stdout) == (0, '{"passphrase":"changed"}\n'), done.exception
    with pytest.raises(WrongPassphraseError):
        opened(data, old)
    again, events = opened(data, new)
    assert again == root
    assert recover(Layout(data).keyring, recovery) == root
    assert [event.detail["phase"] for event in events] == ["intent", "outcome"]
    for event in events:
        assert event.type is EventType.SECURITY_CONFIGURATION
        assert event.detail["opened-by"] == by
        assert NEW not in str(event)
        assert recovery not in str(event)
    assert verify_audit(Layout(data), None).sound


def test_a_wrong_secret_changes_nothing(tmp_path: Path, secret: Callable[[str], str]) -> None:
    data, old, new = tmp_path / "data", secret(PASSPHRASE), secret(NEW)
    founded(data)
    before = (data / "keyring" / "root.json").read_bytes()
    wrong: dict[tuple[str, ...], type[RadkeepError]] = {
        ("--passphrase-file", new, "--new-passphrase-file", new): WrongPassphraseError,
        ("--recovery-key-file", old, "--passphrase-file", new): WrongPassphraseError,
        ("--recovery-key-file", str(tmp_path / "none"), "--passphrase-file", new): ConfigError,
        ("--passphrase-file", old, "--new-passphrase-file", secret("")): ConfigError,
        ("--passphrase-file", old): ConfigError,  # no terminal to ask for the new one
    }
    for options, error in wrong.items():
        done = change(data, *options)
        assert done.exit_code
        assert isinstance(done.exception, error), options
        assert (data / "keyring" / "root.json").read_bytes() == before
    assert opened(data, old)


def test_a_running_server_or_another_provider_is_in_the_way(
    tmp_path: Path, secret: Callable[[str], str]
) -> None:
    data, new = tmp_path / "data", secret(NEW)
    options = ("--recovery-key-file", secret(founded(data).recovery_key), "--passphrase-file", new)
    with locked(Layout(data)):
        done = change(data, *options)
    assert isinstance(done.exception, ConfigError)
    assert "another server" in str(done.exception)
    text = render(Config()).replace('"passphrase"', '"credential"')
    (data / "radkeep.toml").write_text(text)
    done = change(data, *options)
    assert isinstance(done.exception, ConfigError)
    assert "'credential'" in str(done.exception)


def test_help_says_which_doors_are_not_served() -> None:
    shown = CliRunner().invoke(radkeep, ["serve", "--help"]).stdout
    (line,) = [line for line in shown.splitlines() if "--admin-port" in line]
    assert "not yet served" in line
