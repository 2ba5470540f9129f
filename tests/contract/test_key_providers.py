# SPDX-License-Identifier: Apache-2.0
"""What every provider of the root key does, and what each does besides."""

import errno
import json
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import pytest

from radkeep.crypto.ports import KeyProvider
from radkeep.crypto.providers.credential import CredentialProvider
from radkeep.crypto.providers.file import FileProvider
from radkeep.crypto.providers.passphrase import (
    MAX_MEMORY,
    Cost,
    PassphraseProvider,
    _parameters,
    calibrate,
)
from radkeep.crypto.providers.rootfile import add_recovery_key, recover
from radkeep.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    IntegrityError,
    WrongPassphraseError,
)

CHEAP = Cost(1, 64, 1)


class KeyProviderContract(ABC):
    """Subclass it, and give providers over ``directory``."""

    @abstractmethod
    def make(self, directory: Path) -> KeyProvider:
        """Return a provider with the right secret."""

    @abstractmethod
    def make_wrong(self, directory: Path) -> KeyProvider:
        """Return one with another secret."""

    def test_the_root_key_comes_back(self, tmp_path: Path) -> None:
        root = self.make(tmp_path).create()
        assert len(root) == 32
        assert self.make(tmp_path).unlock() == root

    def test_another_secret_does_not_open_it(self, tmp_path: Path) -> None:
        self.make(tmp_path).create()
        with pytest.raises(WrongPassphraseError):
            self.make_wrong(tmp_path).unlock()

    def test_a_root_key_is_never_replaced(self, tmp_path: Path) -> None:
        root = self.make(tmp_path).create()
        with pytest.raises(AlreadyExistsError):
            self.make(tmp_path).create()
        assert self.make(tmp_path).unlock() == root

    def test_two_directories_have_two_roots(self, tmp_path: Path) -> None:
        roots = set()
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            roots.add(self.make(tmp_path / name).create())
        assert len(roots) == 2

    def test_files_are_the_owners_alone_and_hold_no_root(self, tmp_path: Path) -> None:
        root = self.make(tmp_path).create()
        files = [path for path in tmp_path.iterdir() if path.is_file()]
        assert files
        for path in files:
            if path.name.startswith("root"):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert root not in path.read_bytes()
            assert root.hex() not in path.read_bytes().decode(errors="replace")

    def test_an_empty_directory_has_nothing_to_open(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError):
            self.make(tmp_path).unlock()

    def test_a_damaged_file_is_damage(self, tmp_path: Path) -> None:
        self.make(tmp_path).create()
        path = tmp_path / "root.json"
        stored = json.loads(path.read_text())
        wrapped = stored["lock"]["wrapped"]
        flipped = wrapped[:-1] + ("0" if wrapped[-1] != "0" else "1")
        for content in (
            b"{",
            b"[]",
            json.dumps(stored | {"lock": stored["lock"] | {"wrapped": flipped}}).encode(),
            json.dumps(stored | {"lock": stored["lock"] | {"wrapped": "zz"}}).encode(),
        ):
            path.write_bytes(content)
            with pytest.raises(IntegrityError):
                self.make(tmp_path).unlock()

    def test_the_recovery_key_opens_the_same_root(self, tmp_path: Path) -> None:
        root = self.make(tmp_path).create()
        first = add_recovery_key(tmp_path, root)
        second = add_recovery_key(tmp_path, root)
        assert recover(tmp_path, second.lower().replace("-", " ")) == root
        assert self.make(tmp_path).unlock() == root
        for wrong in (first, "", "????", second[:-5]):
            with pytest.raises(WrongPassphraseError):
                recover(tmp_path, wrong)


class TestPassphrase(KeyProviderContract):
    def make(self, directory: Path) -> PassphraseProvider:
        return PassphraseProvider(directory, "correct horse", cost=CHEAP)

    def make_wrong(self, directory: Path) -> PassphraseProvider:
        return PassphraseProvider(directory, "correct house", cost=CHEAP)

    def test_the_stored_cost_is_used(self, tmp_path: Path) -> None:
        root = self.make(tmp_path).create()
        assert PassphraseProvider(tmp_path, "correct horse").unlock() == root
        parameters = json.loads((tmp_path / "root.json").read_text())["parameters"]
        assert (parameters["time"], parameters["memory"], parameters["lanes"]) == CHEAP

    def test_another_passphrase_takes_the_place_of_the_old(self, tmp_path: Path) -> None:
        root = self.make(tmp_path).create()
        recovery = add_recovery_key(tmp_path, root)
        before = json.loads((tmp_path / "root.json").read_text())
        self.make_wrong(tmp_path).rewrap(root)
        assert self.make_wrong(tmp_path).unlock() == root
        assert recover(tmp_path, recovery) == root
        with pytest.raises(WrongPassphraseError):
            self.make(tmp_path).unlock()
        after = json.loads((tmp_path / "root.json").read_text())
        assert after["parameters"]["salt"] != before["parameters"]["salt"]
        assert stat.S_IMODE((tmp_path / "root.json").stat().st_mode) == 0o600

    def test_a_change_that_cannot_be_written_leaves_the_old(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = self.make(tmp_path).create()
        before = (tmp_path / "root.json").read_bytes()

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(ConfigError, match="No space"):
            self.make_wrong(tmp_path).rewrap(root)
        assert (tmp_path / "root.json").read_bytes() == before
        monkeypatch.undo()
        self.make_wrong(tmp_path).rewrap(root)  # what is left of the first attempt is no obstacle
        assert self.make_wrong(tmp_path).unlock() == root

    def test_nothing_is_put_under_a_passphrase_that_was_not(self, tmp_path: Path) -> None:
        root = FileProvider(tmp_path).create()
        with pytest.raises(ConfigError, match="'file'"):
            self.make(tmp_path).rewrap(root)
        assert FileProvider(tmp_path).unlock() == root

    def test_an_empty_passphrase_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError):
            PassphraseProvider(tmp_path, "", cost=CHEAP).create()

    def test_another_provider_is_named(self, tmp_path: Path) -> None:
        FileProvider(tmp_path).create()
        with pytest.raises(ConfigError, match="'file'"):
            self.make(tmp_path).unlock()

    @pytest.mark.parametrize(
        "forged",
        [
            {"memory": 1 << 30},
            {"time": 10**6},
            {"lanes": 0},
            {"salt": "zz" * 16},
            {"salt": ""},
            {"time": "1"},
        ],
    )
    def test_forged_costs_are_refused(self, forged: dict[str, int | str]) -> None:
        good: dict[str, int | str] = {"time": 1, "memory": 64, "lanes": 1, "salt": "00" * 16}
        assert _parameters(good)
        with pytest.raises(IntegrityError):
            _parameters(good | forged)


class TestCredential(KeyProviderContract):
    def provider(self, directory: Path, secret: bytes) -> KeyProvider:
        folder = directory / "credentials"
        folder.mkdir(exist_ok=True)
        (folder / "radkeep-root").write_bytes(secret)
        return CredentialProvider(directory, {"CREDENTIALS_DIRECTORY": str(folder)})

    def make(self, directory: Path) -> KeyProvider:
        return self.provider(directory, b"a" * 32)

    def make_wrong(self, directory: Path) -> KeyProvider:
        return self.provider(directory, b"b" * 32)

    def test_no_or_a_short_credential_is_refused(self, tmp_path: Path) -> None:
        for provider in (
            CredentialProvider(tmp_path, {}),
            CredentialProvider(tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
            self.provider(tmp_path, b"short"),
        ):
            with pytest.raises(ConfigError):
                provider.create()


class TestFile(KeyProviderContract):
    def make(self, directory: Path) -> KeyProvider:
        return FileProvider(directory)

    def make_wrong(self, directory: Path) -> KeyProvider:
        (directory / "root.key").write_bytes(bytes(32))
        return FileProvider(directory)

    def test_a_readable_or_missing_key_file_is_refused(self, tmp_path: Path) -> None:
        FileProvider(tmp_path).create()
        (tmp_path / "root.key").chmod(0o640)
        with pytest.raises(ConfigError, match="others"):
            FileProvider(tmp_path).unlock()
        (tmp_path / "root.key").unlink()
        with pytest.raises(ConfigError):
            FileProvider(tmp_path).unlock()
        (tmp_path / "root.key").write_bytes(b"short")
        (tmp_path / "root.key").chmod(0o600)
        with pytest.raises(IntegrityError):
            FileProvider(tmp_path).unlock()


def timer_of(*elapsed: float) -> Callable[[], float]:
    """Return a clock by which the n-th measured span takes ``elapsed[n]`` seconds."""
    readings = [reading for span in elapsed for reading in (0.0, span)]
    return lambda: readings.pop(0)


def test_calibration_prefers_memory_and_then_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "radkeep.crypto.providers.passphrase._stretch", lambda *_: bytes(32)
    )  # what is measured is the timer's word
    monkeypatch.setattr("os.sysconf", lambda name: 1 << 24 if "PAGES" in name else 4096)
    assert calibrate(timer_of(0.3)) == Cost(3, MAX_MEMORY)
    assert calibrate(timer_of(1.6, 0.8)) == Cost(1, MAX_MEMORY // 2)
    assert calibrate(timer_of(9, 9, 9, 9)) == Cost(3, 65_536)
    monkeypatch.setattr("os.sysconf", lambda name: 1 << 16 if "PAGES" in name else 4096)
    assert calibrate(timer_of(0.2)) == Cost(5, 65_536)
