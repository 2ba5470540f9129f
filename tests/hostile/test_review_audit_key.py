# SPDX-License-Identifier: Apache-2.0
"""A replaced audit key stops the start; a copy kept elsewhere shows the forgery."""

import shutil
from pathlib import Path

from radkeep.testing.server import found


def test_a_replaced_log_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    ours, theirs = found(tmp_path / "ours"), found(tmp_path / "theirs")
    kept = tmp_path / "kept.pub"
    shutil.copy(ours.data / "audit.pub", kept)
    assert ours.json("audit", "verify", "--key", str(kept))["sound"]
    shutil.rmtree(ours.data / "audit")
    shutil.copytree(theirs.data / "audit", ours.data / "audit")
    shutil.copy(theirs.data / "audit.pub", ours.data / "audit.pub")
    assert ours.run("audit", "verify", check=False).returncode == 0  # its own key says so
    assert ours.run("audit", "verify", "--key", str(kept), check=False).returncode != 0
    refused = ours.run("user", "list", check=False)
    assert refused.returncode != 0
    assert "audit.pub" in refused.stderr
