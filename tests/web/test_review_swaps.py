# SPDX-License-Identifier: Apache-2.0
"""Somebody who can write into the data directory, and what they can make us show."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radkeep.archive.format import START, START_MAGIC
from radkeep.domain.uid import Uid
from radkeep.identity import actors

if TYPE_CHECKING:
    from tests.web.conftest import House, Web

UID = "1.2.826.0.1.3680043.8.498.9"
ONE = f"/dicom-web/studies/{UID}.1/series/{UID}.1.1/instances/{UID}.1.1.1"
Make = Callable[..., bytes]


def records(volume: bytes) -> list[int]:
    """Return where records begin."""
    found, at = [], volume.find(START_MAGIC)
    while at >= 0:
        found.append(at)
        at = volume.find(START_MAGIC, at + START)
    return found


def test_a_quarantined_namesake_does_not_take_the_originals_place(
    house: "House", web: "Web", make_file: Make
) -> None:
    original, forged = make_file(pixels=b"\1" * 32), make_file(pixels=b"\2" * 32)
    assert web.store(original).status_code == 200
    assert web.store(forged).status_code == 409  # kept, in quarantine, under the study's key
    (stored,) = house.catalog.instances(house.clinic.id, Uid(f"{UID}.1"))
    (path,) = Path(house.volumes).glob("*.rkv")
    volume = bytearray(path.read_bytes())
    first, second = records(bytes(volume))[:2]
    length = stored.placement.length
    assert stored.placement.offset == first
    swapped = volume[second : second + length]
    path.chmod(0o600)
    path.write_bytes(volume[:first] + swapped + volume[first + length :])
    house.records.close()  # forget what was opened
    answer = web.get(ONE, "application/dicom")
    assert b"\2" * 32 not in answer.content
    assert answer.status_code == 500


def test_the_operator_in_two_organizations_is_audited_in_both(
    house: "House", web: "Web", make_file: Make
) -> None:
    other = house.organizations.create(actors.local(0), "Grace")
    operator = web.as_operator()
    kind = {"Content-Type": "application/dicom"}
    seen = []
    for organization in (house.clinic.id, other.id):
        headers = {"radkeep-organization": organization}
        stored = operator.send(
            "POST", "/dicom-web/studies", content=make_file(), headers=kind | headers
        )
        assert stored.status_code == 200
        before = len(house.audit.events)
        read = operator.send("GET", ONE, headers={"Accept": "application/dicom"} | headers)
        assert read.status_code == 200
        seen += [event.organization for event in house.audit.events[before:]]
    assert seen == [house.clinic.id, other.id]


@pytest.mark.parametrize("keep", [0, 20, 100])
def test_a_record_cut_short_is_told_as_an_error(
    house: "House", web: "Web", make_file: Make, keep: int
) -> None:
    assert web.store(make_file()).status_code == 200
    (stored,) = house.catalog.instances(house.clinic.id, Uid(f"{UID}.1"))
    (path,) = Path(house.volumes).glob("*.rkv")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[: stored.placement.offset + keep])
    house.records.close()
    assert web.get(ONE, "application/dicom").status_code == 500
