# SPDX-License-Identifier: Apache-2.0
"""Founding a data directory, its lock, and the demo that deletes nothing but demos."""

import dataclasses
import hashlib
import os
import ssl
import stat
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest
from app_data import ADMINISTRATOR, PASSPHRASE, founded

from radkeep.app.audit_client import DirectLog
from radkeep.app.authority import Office, require_own
from radkeep.app.demo import run as demo
from radkeep.app.founding import found
from radkeep.app.house import House
from radkeep.app.layout import Layout, locked
from radkeep.app.rebuilding import ensure_catalog
from radkeep.app.serving import unlocking
from radkeep.app.unlocked import Unlocked, provider
from radkeep.archive.keylog import Entry
from radkeep.archive.keyring import ROOT, STUDY, new_key
from radkeep.config import FILE_NAME, Config, KeysConfig, load, render
from radkeep.crypto.providers.file import FileProvider
from radkeep.crypto.providers.rootfile import recover
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    IntegrityError,
    InvalidRequestError,
    WrongPassphraseError,
)


def nobody() -> str:
    raise AssertionError("asked for a passphrase")


@pytest.fixture
def secret(tmp_path: Path) -> str:
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\r\n")
    return str(tmp_path / "passphrase")


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_founded_directory_opens_with_its_passphrase(tmp_path: Path, secret: str) -> None:
    data = tmp_path / "data"
    told = founded(data)
    assert (told.data, told.organization, told.admin) == (str(data), "Clinic", ADMINISTRATOR)
    assert set(told.enrolment) == {"url", "token", "expires"}
    assert told.enrolment["url"].endswith(told.enrolment["token"])
    certificate = ssl.PEM_cert_to_DER_cert(Path(told.ca["path"]).read_text())
    assert told.ca["sha256"] == hashlib.sha256(certificate).hexdigest()
    layout = Layout(data)
    with unlocking(layout, load(data), nobody, passphrase_file=secret) as unlocked:
        assert len(unlocked.organization_keys()) == 1
        root = unlocked.keyring.key(ROOT)
    assert recover(layout.keyring, told.recovery_key) == root


def test_everything_is_its_owners_alone(tmp_path: Path) -> None:
    os.umask(0o022)
    data = tmp_path / "data"
    founded(data)
    for path in [data, *data.rglob("*")]:
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_no_secret_lies_in_the_clear(tmp_path: Path, secret: str) -> None:
    data = tmp_path / "data"
    told = founded(data)
    with unlocking(Layout(data), load(data), nobody, passphrase_file=secret) as unlocked:
        secrets = [unlocked.keyring.key(ROOT), *unlocked.organization_keys().values()]
    secrets += [PASSPHRASE.encode(), told.recovery_key.encode(), told.enrolment["token"].encode()]
    for path, raw in content(data).items():
        for each in secrets:
            assert each not in raw, path


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    data = tmp_path / "data"
    founded(data)
    before = content(data)
    with pytest.raises(AlreadyExistsError):
        founded(data)
    assert content(data) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("four years")
    tmp_path.chmod(0o755)
    with pytest.raises(AlreadyExistsError):
        founded(tmp_path)
    assert content(tmp_path) == {tmp_path / "thesis.tex": b"four years"}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_an_empty_folder_and_a_new_file_system_will_do(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    founded(tmp_path)
    assert (tmp_path / FILE_NAME).exists()


def test_a_founding_that_fails_can_be_tried_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(InvalidRequestError):
        founded(data, administrator="not an address")
    assert list(data.iterdir()) == []
    founded(data)


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError):
            founded(place)


def test_an_unsafe_configuration_founds_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    config = Config(keys=KeysConfig(provider="file"))
    with pytest.raises(ConfigError):
        found(layout, config, FileProvider(layout.keyring), organization="C")
    assert not layout.data.exists()


def test_a_wrong_passphrase_opens_nothing_and_gives_the_lock_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    founded(data)
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong horse")
    with (
        pytest.raises(WrongPassphraseError),
        unlocking(Layout(data), load(data), nobody, passphrase_file=str(wrong)),
    ):
        pytest.fail("opened")
    with locked(Layout(data)):
        pass


def test_one_holds_the_lock_at_a_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    founded(layout.data)
    with locked(layout), pytest.raises(ConfigError, match="another"), locked(layout):
        pytest.fail("two hold it")
    with locked(layout):
        pass


def test_no_data_directory_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="radkeep init"), locked(Layout(tmp_path)):
        pytest.fail("locked nothing")


def test_the_data_directory_is_named_by_flag_then_variable_then_custom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RADKEEP_DATA", raising=False)
    assert Layout.at(None).data == tmp_path / "radkeep-data"
    monkeypatch.setenv("RADKEEP_DATA", "elsewhere")
    assert Layout.at(None).data == tmp_path / "elsewhere"
    assert Layout.at("here").data == tmp_path / "here"
    assert Layout.at("/there").data == Path("/there")


def test_a_passphrase_file_is_enough(
    tmp_path: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, keys = Layout(tmp_path / "data"), KeysConfig()
    founded(layout.data)
    monkeypatch.setenv("RADKEEP_PASSPHRASE_FILE", secret)
    assert len(provider(layout, keys, nobody, passphrase_file=None).unlock()) == 32
    with pytest.raises(ConfigError):
        provider(layout, keys, nobody, passphrase_file=str(tmp_path / "gone"))
    monkeypatch.delenv("RADKEEP_PASSPHRASE_FILE")
    assert len(provider(layout, keys, lambda: PASSPHRASE, passphrase_file=None).unlock()) == 32


def test_a_door_may_add_study_keys_of_its_organizations_only(tmp_path: Path, secret: str) -> None:
    data = tmp_path / "data"
    founded(data)
    with unlocking(Layout(data), load(data), nobody, passphrase_file=secret) as unlocked:
        ((parent, key),) = unlocked.organization_keys().items()
        good, bad = (bytes.fromhex(parent), key), (b"x" * 16, bytes(32))
        clock = SystemClock()
        entry, _ = new_key(good, label=STUDY, organization="o", clock=clock)
        unlocked.append_study_keys([entry])
        for parents, label in ((bad, STUDY), (good, "organization"), (good, "tls:ca")):
            forged, _ = new_key(parents, label=label, organization="o", clock=clock)
            with pytest.raises(IntegrityError):
                unlocked.append_study_keys([forged])
            assert unlocked.append_soon([forged]).exception() is not None


def test_each_process_gets_the_keys_of_its_own_work(tmp_path: Path, secret: str) -> None:
    data = tmp_path / "data"
    founded(data)
    with unlocking(Layout(data), load(data), nobody, passphrase_file=secret) as unlocked:
        root = unlocked.keyring.key(ROOT)
        office = Office(unlocked)
        dimse, web, keeper = (
            office.door_boot("dimse"),
            office.door_boot("web"),
            unlocked.keeper_boot(),
        )
        assert web.tls_key.startswith(b"-----BEGIN")
        assert dimse.tls_key.startswith(b"-----BEGIN")
        assert dimse.tls_key != web.tls_key
        for kind in ("certify", "revocation-list", "import-web", "shown"):
            require_own("web", kind)
            with pytest.raises(IntegrityError):
                require_own("dimse", kind)
        for boot in (dimse, web):
            given = {*boot.keys.values(), boot.catalog_key, boot.registry_key}
            assert root not in given
            assert not given & {keeper.signing_key, keeper.payload_key}


def test_a_catalog_that_is_gone_is_made_again(tmp_path: Path, secret: str) -> None:
    layout = Layout(tmp_path / "data")
    founded(layout.data)
    layout.catalog.unlink()
    with unlocking(layout, load(layout.data), nobody, passphrase_file=secret) as unlocked:
        assert isinstance(unlocked, Unlocked)
        ensure_catalog(unlocked)
    assert layout.catalog.exists()


def test_a_house_closes_after_the_keys_that_it_ordered(tmp_path: Path, secret: str) -> None:
    data = tmp_path / "data"
    founded(data)
    go, appended = threading.Event(), []
    with (
        unlocking(Layout(data), load(data), nobody, passphrase_file=secret) as unlocked,
        closing(unlocked.open_audit_log()) as log,
    ):

        def append(entries: Sequence[Entry]) -> "Future[None]":
            assert go.wait(10)
            appended.append(len(entries))
            return unlocked.append_soon(entries)

        base = unlocked.foundation(DirectLog(log, "test"), "test")
        house = House(dataclasses.replace(base, append_keys=append))
        closer = threading.Thread(target=house.close)
        closer.start()
        closer.join(0.2)
        assert closer.is_alive()
        go.set()
        closer.join(10)
        assert appended == [256]


DEMO = Config(profile="demo", keys=KeysConfig(provider="file"))


def run_demo(data: Path, *, fresh: bool) -> None:
    demo.run_demo(Layout(data), flags={}, folder=None, fresh=fresh, browser=False)


@pytest.mark.parametrize("fresh", [False, True])
def test_the_demo_never_touches_a_production_directory(tmp_path: Path, *, fresh: bool) -> None:
    data = tmp_path / "data"
    founded(data)
    before = content(data)
    with pytest.raises(ConfigError, match="not a demo"):
        run_demo(data, fresh=fresh)
    assert content(data) == before
    changed = DEMO if fresh else Config(profile="demo")
    (data / FILE_NAME).write_text(render(changed))  # somebody calls it a demo
    before = content(data)
    with pytest.raises(ConfigError, match="not a demo"):
        run_demo(data, fresh=fresh)
    assert content(data) == before


@pytest.mark.parametrize("fresh", [False, True])
def test_the_demo_never_touches_a_folder_of_something_else(tmp_path: Path, *, fresh: bool) -> None:
    (tmp_path / "thesis.tex").write_text("four years")
    with pytest.raises(AlreadyExistsError):
        run_demo(tmp_path, fresh=fresh)
    assert content(tmp_path) == {tmp_path / "thesis.tex": b"four years"}


def test_a_running_demo_is_not_deleted(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "demo")
    found(layout, DEMO, FileProvider(layout.keyring), organization="Demo clinic")
    before = content(layout.data)
    with locked(layout), pytest.raises(ConfigError, match="another"):
        run_demo(layout.data, fresh=True)
    assert content(layout.data) == before


def test_a_fresh_demo_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "demo")
    found(layout, DEMO, FileProvider(layout.keyring), organization="Demo clinic")
    demo._delete(layout)
    assert list(layout.data.iterdir()) == []
    demo._delete(layout)
