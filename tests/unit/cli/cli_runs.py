# SPDX-License-Identifier: Apache-2.0
"""Commands in this process, on a stopped data directory: each is its own server."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from app_data import PASSPHRASE, founded
from structlog.testing import capture_logs

from radkeep.cli.main import run
from radkeep.crypto import otp
from radkeep.dicom.encode import encode
from radkeep.dicom.part10 import file_meta
from radkeep.domain.clock import SystemClock

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
STUDY = "1.2.826.0.1.3680043.8.498.7.1"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)


@dataclass
class Commands:
    """Runs commands on one data directory."""

    data: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str | Path) -> Ran:
        """Run one command and return what it did; it may not show a trace."""
        self.capsys.readouterr()
        with capture_logs():  # a process of its own sends them to stderr
            code = run(list(map(str, arguments)))
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err
        return Ran(code, out, err)

    def json(self, *arguments: str | Path) -> Any:  # noqa: ANN401 - JSON
        """Run a command that must succeed, and return what it prints for machines."""
        ran = self(*arguments, "--json")
        assert ran.code == 0, ran.err
        return ran.json


@contextmanager
def commands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Commands]:
    """Found ``folder``/data and give commands that find it by the environment."""
    data, secret = folder / "data", folder / "passphrase"
    if not data.exists():
        secret.write_text(f"{PASSPHRASE}\n")
        (folder / "token").write_text(founded(data).enrolment["token"])
    monkeypatch.setenv("RADKEEP_DATA", str(data))
    monkeypatch.setenv("RADKEEP_PASSPHRASE_FILE", str(secret))
    yield Commands(data, capsys)


def dicom_file(number: int, *, study: str = STUDY, pixels: bytes = bytes(512)) -> bytes:
    """Return a small CT image as a file."""
    instance = f"{study}.1.{number}"
    body = encode(
        [
            (0x00080016, "UI", CT),
            (0x00080018, "UI", instance),
            (0x00080060, "CS", "CT"),
            (0x00100010, "PN", "Canary^Carla"),
            (0x00100020, "LO", "PID-7"),
            (0x0020000D, "UI", study),
            (0x0020000E, "UI", f"{study}.1"),
            (0x00200013, "IS", str(number)),
            (0x7FE00010, "OW", pixels),
        ]
    )
    return file_meta(CT, instance, EXPLICIT) + body


def code_of(totp_uri: str, *, steps: int = 0) -> str:
    """Return what a person's authenticator shows for ``totp_uri`` now."""
    secret = parse_qs(urlsplit(totp_uri).query)["secret"][0]
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return otp.code_at(key, otp.step_at(SystemClock().now()) + steps)
