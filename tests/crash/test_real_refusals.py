# SPDX-License-Identifier: Apache-2.0
"""A wrong passphrase opens nothing; a damaged byte costs one object, by name, and no other."""

import http.client
import random  # noqa: TID251 - seeded content
from pathlib import Path

import pytest
from torture_clinic import (
    CT,
    DEVICE,
    EXPLICIT,
    Association,
    Reply,
    ask,
    digest,
    flip,
    founded,
    instance,
    placements,
    retrieved,
    rows,
    stopped,
    stow,
)

from radkeep.testing.server import Installation, Server, serving

ROOT = "1.2.826.0.1.3680043.8.498.95"
SIZES = {1: 900, 2: 90_000, 3: 2_400_000, 4: 900, 5: 90_000, 6: 2_400_000}
DAMAGED = (1, 2, 3)  # one chunk, several, and one with a volume of its own
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PIXELS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'

pytestmark = pytest.mark.timeout(180)


def test_a_wrong_passphrase_is_one_line_and_exit_1(tmp_path: Path) -> None:
    installation = founded(tmp_path, passphrase=True)
    wrong = tmp_path / "wrong"
    wrong.write_text("incorrect donkey staple battery")
    before = {path: path.stat().st_mtime_ns for path in installation.data.rglob("*")}
    for command in (
        ("serve", "--web-port", "0"),
        ("verify", "--full"),
        ("rebuild",),
        ("device", "list"),
        ("import", str(wrong)),
    ):
        refused = installation.run(*command, "--passphrase-file", str(wrong), check=False)
        assert refused.returncode == 1, command
        assert refused.stdout == ""
        assert refused.stderr.startswith("radkeep: ")
        assert refused.stderr.count("\n") == 1
        assert "passphrase" in refused.stderr
        assert "donkey" not in refused.stderr
    after = {path: path.stat().st_mtime_ns for path in installation.data.rglob("*")}
    assert {path for path in before if before[path] != after[path]} <= {
        installation.data / "run" / "lock"
    }


def fill(server: Server) -> dict[str, str]:
    """Store six instances, each in a study of its own; return their digests."""
    chance = random.Random(3)
    link = Association(("127.0.0.1", server.dimse), [(CT, EXPLICIT)], calling=DEVICE)
    made = [instance(f"{ROOT}.{n}.1.1", chance.randbytes(size)) for n, size in SIZES.items()]
    assert [link.store(each) for each in made] == [0] * len(made)
    link.release()
    return {each.sop_instance: digest(each) for each in made}


def damage(installation: Installation) -> list[str]:
    """Flip a byte in the pixels of some; return the places that must be named."""
    told = []
    for number in DAMAGED:
        place = placements(installation, f"{ROOT}.{number}")[f"{ROOT}.{number}.1.1"]
        flip(installation.data, place, place.length * 7 // 10 if number > 1 else 900)
        told.append(f"{place.volume} at {place.offset}: damage")
    return told


def look(installation: Installation, digests: dict[str, str], told: list[str]) -> None:
    """Ask a running server for everything, and `verify` for the places."""
    data = installation.data
    assert {row["00080018"]["Value"][0] for row in rows(data, "instances")} == digests.keys()
    for number, uid in enumerate(digests, 1):
        study = f"{ROOT}.{number}"
        if number not in DAMAGED:
            assert retrieved(data, study) == {uid: digests[uid]}
            continue
        path = f"/dicom-web/studies/{study}/series/{study}.1/instances/{uid}"
        for resource, accept in ((path, DICOM), (f"{path}/frames/1", PIXELS)):
            refused(data, resource, accept)
    found = installation.run("verify", "--full", check=False)
    assert found.returncode == 9
    assert [line for line in told if line not in found.stderr] == []
    assert found.stderr.count(": damage") == len(told)
    assert found.stdout.strip() == f"{len(told)} places damaged"


def refused(data: Path, path: str, accept: str) -> None:
    """Require an error, or an answer that breaks off: never one that looks whole."""
    try:
        reply: Reply = ask(data, path, accept=accept)
    except (http.client.HTTPException, OSError):
        return
    assert reply.status == 500, (path, reply.status)
    assert "json" in reply.kind
    assert len(reply.body) < 1_000


@pytest.mark.parametrize("when", ["open", "sealed"])
def test_a_flipped_byte_is_refused_by_name_and_others_are_served(tmp_path: Path, when: str) -> None:
    installation = founded(tmp_path, passphrase=False)
    with serving(installation) as server:
        digests = fill(server)
        if when == "open":
            told = damage(installation)
            look(installation, digests, told)
        assert stopped(server) == 0
    if when == "sealed":
        told = damage(installation)
    with serving(installation) as server:
        look(installation, digests, told)
        new = instance(f"{ROOT}.9.1.1", b"new")  # and it goes on taking
        assert stow(installation.data, [new])[0] == 200
        assert retrieved(installation.data, f"{ROOT}.9") == {new.sop_instance: digest(new)}
        assert stopped(server) == 0
