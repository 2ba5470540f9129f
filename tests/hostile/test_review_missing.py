# SPDX-License-Identifier: Apache-2.0
"""What cannot be derived is never quietly made anew: start refuses, and says what is missing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from radkeep.crypto.providers.rootfile import read_root
from radkeep.domain.errors import IntegrityError
from radkeep.testing.server import Installation, found


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return found(tmp_path_factory.mktemp("founded"))


def registry_gone(data: Path) -> None:
    for path in data.glob("registry.db*"):
        path.unlink()


def registry_emptied(data: Path) -> None:
    registry_gone(data)
    (data / "registry.db").touch()


def audit_gone(data: Path) -> None:
    for path in (data / "audit").iterdir():
        path.unlink()


def audit_emptied(data: Path) -> None:
    for path in (data / "audit").glob("*.tree"):
        path.write_bytes(path.read_bytes()[:16])


def authority_swapped(data: Path) -> None:
    other = found(data.parent / "other")
    shutil.copy(other.data / "tls" / "ca.pem", data / "tls" / "ca.pem")


@pytest.mark.parametrize(
    ("command", "damage", "said"),
    [
        ("serve", registry_gone, "the registry is missing"),
        ("user", registry_emptied, "the registry is missing"),
        ("serve", audit_gone, "the audit log is missing"),
        ("user", audit_emptied, "the audit log is missing"),
        ("serve", authority_swapped, "CA certificate is not this installation's"),
    ],
)
def test_start_refuses(
    founded: Installation,
    tmp_path: Path,
    command: str,
    damage: Callable[[Path], None],
    said: str,
) -> None:
    copy = Installation(tmp_path / "data", founded.founded, founded.passphrase_file)
    shutil.copytree(founded.data, copy.data)
    (tmp_path / "other").mkdir()
    damage(copy.data)
    options = ("--web-port", "0", "--dimse-port", "0") if command == "serve" else ("list",)
    ran = copy.run(command, *options, check=False)
    assert ran.returncode != 0
    assert "READY" not in ran.stdout
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_root_file_with_broken_text_is_damage(tmp_path: Path) -> None:
    (tmp_path / "root.json").write_bytes(b'{"provider": "\xff"}')
    with pytest.raises(IntegrityError):
        read_root(tmp_path, "passphrase")
