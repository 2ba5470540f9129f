# SPDX-License-Identifier: Apache-2.0
"""The catalog is derived: deleted and made again, it gives the same answers and verdicts."""

import random  # noqa: TID251 - seeded content
from pathlib import Path

import pytest
from torture_clinic import (
    CT,
    DEVICE,
    EXPLICIT,
    IMPLICIT,
    Association,
    Instance,
    answers,
    founded,
    instance,
    port_flags,
    power_cut,
    quarantine,
    stopped,
    stow,
)

from radkeep.testing.server import Installation, Server, serving

ROOT = "1.2.826.0.1.3680043.8.498.98"
CONFLICT = 0xC010

pytestmark = pytest.mark.timeout(240)


def store(server: Server, instances: list[Instance]) -> list[int]:
    """Send over one association; return the statuses."""
    link = Association(
        ("127.0.0.1", server.dimse), [(CT, EXPLICIT), (CT, IMPLICIT)], calling=DEVICE
    )
    statuses = [link.store(each, number) for number, each in enumerate(instances, 1)]
    link.release()
    return statuses


def fill(server: Server, data: Path) -> None:
    """Store over both doors, with conflicts that either of the two processes rules about."""
    chance = random.Random(7)
    first = [instance(f"{ROOT}.1.1.{n}", chance.randbytes(3_000 * n)) for n in range(1, 9)]
    second = [instance(f"{ROOT}.2.1.{n}", chance.randbytes(70_000)) for n in range(1, 5)]
    large = instance(f"{ROOT}.3.1.1", chance.randbytes(2_500_000))
    assert store(server, [*first[:4], large]) == [0] * 5
    assert set(stow(data, [*first[4:], *second])[1].values()) == {0}
    # The other door brings other content under known UIDs, and the same content again.
    others = [instance(each.sop_instance, b"others", note="other") for each in (first[0], large)]
    assert set(stow(data, others)[1].values()) == {CONFLICT}
    assert set(stow(data, [first[1], large])[1].values()) == {0}
    late = [instance(each.sop_instance, b"later", note="other") for each in (first[5], second[2])]
    assert store(server, [*late, first[6], second[0]]) == [CONFLICT, CONFLICT, 0, 0]
    # Equal element by element, in another syntax.
    pixels = chance.randbytes(500)
    told = store(server, [instance(f"{ROOT}.4.1.1", pixels)])
    told += store(server, [instance(f"{ROOT}.4.1.1", pixels, syntax=IMPLICIT)])
    assert told == [0, 0]


def forget(installation: Installation) -> None:
    """Delete the catalog."""
    for path in installation.data.glob("catalog.db*"):
        path.unlink()


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_new_catalog_gives_the_same_answers(tmp_path: Path, end: str) -> None:
    installation, flags = founded(tmp_path, passphrase=False), port_flags()
    data = installation.data
    with serving(installation, *flags) as server:
        fill(server, data)
        before = answers(data)
        if end == "killed":
            power_cut(server)
        else:
            assert stopped(server) == 0
    assert len(before["instances"]) == 14
    held = quarantine(installation) if end == "stopped" else None

    forget(installation)
    assert "records" in installation.run("rebuild").stdout
    assert len(quarantine(installation)) == 4
    assert held is None or quarantine(installation) == held
    held = quarantine(installation)
    with serving(installation, *flags) as server:
        assert answers(data) == before
        assert stopped(server) == 0

    forget(installation)
    with serving(installation, *flags) as server:
        assert answers(data) == before
        assert stopped(server) == 0
    assert quarantine(installation) == held
    assert installation.run("verify", "--full").stdout.strip() == "sound"
    assert installation.run("audit", "verify").returncode == 0
