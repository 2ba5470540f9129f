# SPDX-License-Identifier: Apache-2.0
"""Another user of the host: what permissions, cores and debuggers give away."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from radkeep.app.layout import Layout, locked
from radkeep.domain.errors import ConfigError
from radkeep.testing.server import environment

LOOK = """
import os, resource, sys
from radkeep.cli import main
def look(*_, **__):
    status = open("/proc/self/status").read()
    core = resource.getrlimit(resource.RLIMIT_CORE)
    owner = os.stat("/proc/self/mem").st_uid, oct(os.umask(0))
    import ctypes
    print(core, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), owner[1])
main.radkeep = look
main.main()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "data")
    made.create()
    return made


def test_a_private_directory_is_used(layout: Layout) -> None:
    with locked(layout):
        pass


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o701, 0o710, 0o704])
@pytest.mark.parametrize("name", ["", "keyring", "run", "volumes", "audit"])
def test_a_directory_that_others_can_enter_is_refused(layout: Layout, mode: int, name: str) -> None:
    (layout.data / name).chmod(mode)
    with pytest.raises(ConfigError, match="others can enter"), locked(layout):
        pass


def test_a_directory_of_somebody_else_is_refused(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: layout.data.stat().st_uid + 4711)
    with pytest.raises(ConfigError, match="another user"), locked(layout):
        pass


def test_no_directory_is_told_as_before(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="radkeep init"), locked(Layout(tmp_path / "none")):
        pass


def test_every_command_is_hardened_before_it_can_open_keys() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOOK],
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY)),
        timeout=30,
        check=True,
    )
    assert ran.stdout.split("\n")[0] == "(0, 0) 0 0o77"
