# SPDX-License-Identifier: Apache-2.0
"""A deletion holds at every door of a real server, over restarts and rebuilds, until undone."""

from pathlib import Path

import pytest
from torture_clinic import CT, DEVICE, EXPLICIT, Association, answers, founded, instance, stow

from radkeep.testing.server import serving

ROOT = "1.2.826.0.1.3680043.8.498.93"
DELETED = 0xC011

pytestmark = pytest.mark.timeout(120)


def test_a_deletion_survives_restart_and_rebuild(tmp_path: Path) -> None:
    installation = founded(tmp_path, passphrase=False)
    data = installation.data
    gone = [instance(f"{ROOT}.1.1.{n}", bytes([n]) * 500) for n in (1, 2)]
    kept = [instance(f"{ROOT}.2.1.1", b"kept")]
    with serving(installation):
        assert set(stow(data, [*gone, *kept])[1].values()) == {0}
        before = answers(data)
        study = f"{ROOT}.1"
        made = installation.json("delete", study, "--reason", "wrong patient")
        assert (made["instances"], made["study"]) == (2, study)
        after = answers(data)
        assert study in str(before)
        assert study not in str(after)
        assert set(stow(data, gone)[1].values()) == {DELETED}
    with serving(installation) as server:
        assert answers(data) == after
        link = Association(("127.0.0.1", server.dimse), [(CT, EXPLICIT)], calling=DEVICE)
        assert link.store(gone[0]) == DELETED
        link.release()
    installation.run("rebuild")
    with serving(installation):
        assert answers(data) == after
    (data / "catalog.db").unlink()
    (listed,) = installation.json("deletion", "list")
    assert (listed["id"], listed["reason"], listed["undone"]) == (made["id"], "wrong patient", None)
    assert installation.json("deletion", "undo", str(made["id"]))["undone"]
    with serving(installation):
        assert answers(data) == before
    assert installation.run("verify", "--full").stdout.strip() == "sound"
    told = installation.json("audit", "tail", "--count", "200")
    phases = [
        e["detail"]["phase"] for e in told if e["event"] == "110105" and "phase" in e["detail"]
    ]
    assert phases == ["intent", "outcome"] * 2
