# SPDX-License-Identifier: Apache-2.0
"""A full disk: refused with the right word, nothing half there, and it works again with room."""

import os
import random  # noqa: TID251 - seeded content
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from torture_clinic import (
    CT,
    DEVICE,
    EXPLICIT,
    Association,
    Instance,
    answers,
    ask,
    digest,
    founded,
    instance,
    processes,
    retrieved,
    rows,
    stopped,
    stow,
    verified,
)

from radkeep.archive.disk import LEFT_FREE
from radkeep.testing.server import Installation, Server, serving

ROOT = "1.2.826.0.1.3680043.8.498.93"
SIZE = 300 << 20  # bytes: two doors' volumes, what is left free, and some
NO_ROOM = 0xA700

pytestmark = pytest.mark.timeout(240)
_noise = random.Random(5).randbytes(1 << 20)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk of memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only the superuser can mount a small disk")
    options = ("-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(place))
    mounted = subprocess.run([mount, *options], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill_up(disk: Path, *, leave: int) -> Path:
    """Take all room but `leave` bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        state = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, max(1, state.f_bavail * state.f_frsize - leave))
    return filler


def image(study: int, number: int, size: int = 500_000) -> Instance:
    return instance(f"{ROOT}.{study}.1.{number}", _noise[number : number + size])


def store(server: Server, *instances: Instance) -> list[int]:
    link = Association(("127.0.0.1", server.dimse), [(CT, EXPLICIT)], calling=DEVICE)
    statuses = [link.store(each) for each in instances]
    link.release()
    return statuses


def listed(installation: Installation) -> dict[str, str]:
    """Return what is listed; all of it must be whole."""
    found: dict[str, str] = {}
    for row in rows(installation.data, "studies"):
        found |= retrieved(installation.data, row["0020000D"]["Value"][0])
    uids = {row["00080018"]["Value"][0] for row in rows(installation.data, "instances")}
    assert uids == found.keys()
    return found


def test_stores_are_refused_for_want_of_room_until_there_is_some(disk: Path) -> None:
    installation = founded(disk, passphrase=False)
    kept: dict[str, str] = {}

    def keep(*instances: Instance) -> None:
        kept.update({each.sop_instance: digest(each) for each in instances})

    with serving(installation) as server:
        before = processes(server)
        assert store(server, image(1, 1)) == [0]
        assert stow(installation.data, [image(1, 2)])[0] == 200
        keep(image(1, 1), image(1, 2))
        filler = fill_up(disk, leave=LEFT_FREE // 2)
        sent = [image(2, number) for number in range(1, 180)]
        told = store(server, *sent)
        assert set(told) == {0, NO_ROOM}
        assert told[-1] == NO_ROOM
        keep(*(each for each, status in zip(sent, told, strict=True) if status == 0))
        large = instance(f"{ROOT}.3.1.1", _noise * 4)  # would have a volume of its own
        assert store(server, large) == [NO_ROOM]
        assert stow(installation.data, [large]) == (507, {large.sop_instance: NO_ROOM})
        for number in range(1, 40):
            many = [image(4, number * 10 + n) for n in range(5)]
            status, reasons = stow(installation.data, many)
            keep(*(each for each in many if reasons[each.sop_instance] == 0))
            if status == 507:
                break
        assert status == 507
        assert set(reasons.values()) == {NO_ROOM}
        assert listed(installation) == kept

        filler.unlink()
        assert store(server, sent[-1], large) == [0, 0]
        assert stow(installation.data, many)[0] == 200
        keep(sent[-1], large, *many)
        assert listed(installation) == kept
        assert processes(server) == before
        assert stopped(server) == 0
    assert verified(installation) == ""


def test_with_no_byte_left_everything_is_refused_and_nothing_breaks(disk: Path) -> None:
    installation = founded(disk, passphrase=False)
    with serving(installation) as server:
        before = processes(server)
        assert store(server, image(1, 1)) == [0]
        assert stow(installation.data, [image(1, 2)])[0] == 200
        told = answers(installation.data)

        filler = fill_up(disk, leave=0)
        refused = [image(study, 1, 300) for study in range(2, 330)]  # more than keys in stock
        assert 0 not in store(server, *refused)
        assert stow(installation.data, refused[:3])[0] in (503, 507, 409)
        assert ask(installation.data, "/dicom-web/studies").status == 503  # it cannot be audited
        filler.unlink()

        assert processes(server) == before
        assert answers(installation.data) == told
        assert store(server, *refused) == [0] * len(refused)
        assert len(rows(installation.data, "instances")) == 2 + len(refused)
        assert stopped(server) == 0
    assert verified(installation) == ""

    filler = fill_up(disk, leave=0)
    start = installation.run("serve", "--web-port", "0", check=False)
    assert start.returncode != 0
    assert start.stdout == ""
    assert not any(line.startswith("Traceback") for line in start.stderr.splitlines())
    filler.unlink()
    with serving(installation) as server:
        assert len(rows(installation.data, "instances")) == 2 + len(refused)
        assert stopped(server) == 0
    assert verified(installation) == ""
    ring = installation.data / "keyring"
    assert (ring / "keys.log").read_bytes() == (ring / "mirror" / "keys.log").read_bytes()
