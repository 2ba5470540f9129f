# SPDX-License-Identifier: Apache-2.0
"""A data directory that an earlier version wrote: today's code opens it and answers the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from torture_clinic import answers, quarantine, stopped

from radkeep.app.layout import Layout
from radkeep.testing.server import Installation, serving

FIXTURES = Path(__file__).parents[1] / "fixtures"
VOLUME = ".rkv"

pytestmark = pytest.mark.timeout(120)


def restored(folder: Path, *, protected: bool) -> Installation:
    """Put the directory back as a backup does: only its owner reads it, sealed volumes are 0400."""
    layout = Layout(folder / "data")
    shutil.copytree(FIXTURES / "data-v1", layout.data, copy_function=shutil.copyfile)
    for path in layout.data.rglob("*"):
        sealed = protected and path.suffix == VOLUME
        path.chmod(0o700 if path.is_dir() else 0o400 if sealed else 0o600)
    layout.create()
    return Installation(layout.data, {}, folder / "no-passphrase")


def holds(now: Any, then: Any) -> bool:  # noqa: ANN401 - JSON
    """Tell whether `now` says all that `then` said; later versions may say more."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(k in now and holds(now[k], then[k]) for k in then)
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(holds, now, then))
    return bool(now == then)


@pytest.mark.parametrize("state", ["protected", "unprotected", "without a catalog"])
def test_version_1_opens_and_answers(tmp_path: Path, state: str) -> None:
    told = json.loads((FIXTURES / "data-v1.json").read_text())
    held = [tuple(row) for row in told.pop("quarantine")]
    installation = restored(tmp_path, protected=state == "protected")
    if state == "without a catalog":
        (installation.data / "catalog.db").unlink()
    assert installation.run("verify", "--full").stdout.strip() == "sound"
    entries = installation.json("audit", "verify")
    assert entries["sound"]
    with serving(installation) as server:
        now = answers(installation.data)
        assert stopped(server) == 0
    assert now["digests"] == told["digests"]
    assert holds(now, told)
    assert quarantine(installation) == held
    assert installation.run("verify", "--full").stdout.strip() == "sound"
    assert installation.json("audit", "verify")["entries"] > entries["entries"]


def test_the_fixture_is_small_and_knows_no_machine() -> None:
    files = [path for path in (FIXTURES / "data-v1").rglob("*") if path.is_file()]
    content = [path.read_bytes() for path in files]
    assert sum(map(len, content)) < 2_000_000
    for part in content:
        places = (f"/{name}/".encode() for name in ("tmp", "home", "root", "work"))
        assert not any(place in part for place in places)
