# SPDX-License-Identifier: Apache-2.0
"""STOW-RS from request to archive, in process."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx2
import pytest

from radkeep.audit.events import EventId
from radkeep.identity.actors import local

if TYPE_CHECKING:
    from tests.web.conftest import Web

STUDIES = "/dicom-web/studies"
STUDY = "1.2.826.0.1.3680043.8.498.9.1"
RELATED = 'multipart/related; type="application/dicom"; boundary=frontier'
Make = Callable[..., bytes]


def reasons(answer: httpx2.Response, sequence: str = "00081198") -> list[int]:
    items = answer.json().get(sequence, {}).get("Value", [])
    return [item["00081197"]["Value"][0] for item in items]


def test_all_stored_is_200_and_names_each_instance(web: "Web", make_file: Make) -> None:
    answer = web.store(make_file(), make_file(number=2))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    body = answer.json()
    base = f"https://pacs.test{STUDIES}/{STUDY}"
    assert body["00081190"]["Value"] == [base]
    stored = body["00081199"]["Value"]
    assert [item["00081155"]["Value"][0] for item in stored] == [f"{STUDY}.1.1", f"{STUDY}.1.2"]
    assert stored[0]["00081190"]["Value"] == [f"{base}/series/{STUDY}.1/instances/{STUDY}.1.1"]
    assert "00081198" not in body
    begun = web.house.audit.of(EventId.BEGIN_TRANSFERRING)
    moved = web.house.audit.of(EventId.INSTANCES_TRANSFERRED)
    assert [event.count for event in moved] == [2]
    assert begun[0].study == moved[0].study == STUDY
    assert begun[0].detail["protocol"] == "stow-rs"


def test_the_same_again_is_success_and_other_bytes_a_conflict(web: "Web", make_file: Make) -> None:
    assert web.store(make_file()).status_code == 200
    assert web.store(make_file()).status_code == 200
    other = web.store(make_file(pixels=b"\1" * 32))
    assert other.status_code == 409
    assert reasons(other) == [0xC010]
    assert other.json()["00081198"]["Value"][0]["00081155"]["Value"] == [f"{STUDY}.1.1"]


def test_some_stored_is_202_and_the_rest_has_reasons(web: "Web", make_file: Make) -> None:
    answer = web.store(make_file(), b"no DICOM at all", make_file(number=3))
    assert answer.status_code == 202
    assert len(answer.json()["00081199"]["Value"]) == 2
    assert reasons(answer, "0008119A") == [0xC000]


def test_none_stored_is_409(web: "Web") -> None:
    answer = web.store(b"no DICOM at all", b"")
    assert answer.status_code == 409
    assert reasons(answer, "0008119A") == [0xC000, 0xC000]
    assert web.get(STUDIES).json() == []


def test_the_study_in_the_address_must_be_that_of_the_data_set(web: "Web", make_file: Make) -> None:
    assert web.store(make_file(), path=f"{STUDIES}/{STUDY}").status_code == 200
    answer = web.store(make_file(study=2), path=f"{STUDIES}/{STUDY}")
    assert answer.status_code == 409
    assert reasons(answer) == [0xA900]
    assert web.store(make_file(), path=f"{STUDIES}/1.02").status_code == 400


def test_too_large_is_413_and_nothing_is_kept(web: "Web", make_file: Make) -> None:
    answer = web.store(make_file(pixels=bytes(5 << 20)))
    assert answer.status_code == 413
    assert web.get(STUDIES).json() == []


def test_a_truncated_instance_is_not_kept(web: "Web", make_file: Make) -> None:
    answer = web.store(make_file()[:-7])
    assert answer.status_code == 409
    assert web.get(STUDIES).json() == []


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (RELATED, b"no multipart", 400),
        (RELATED, b"", 400),
        (RELATED, b"--frontier--\r\n", 400),
        (RELATED, b"--frontier\r\n\r\nendless", 400),
        ('multipart/related; type="application/dicom"', b"", 400),
        ("rubbish", b"", 400),
        ('multipart/related; type="application/dicom+json"; boundary=frontier', b"", 415),
        ('multipart/related; type="application/dicom+xml"; boundary=frontier', b"", 415),
        ("multipart/form-data; boundary=frontier", b"", 415),
        ("application/json", b"{}", 415),
    ],
)
def test_bad_requests(web: "Web", content_type: str, body: bytes, status: int) -> None:
    answer = web.send("POST", STUDIES, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_parts_before_a_broken_one_stay_and_the_open_one_goes(
    web: "Web", make_file: Make, make_related: Callable[..., bytes]
) -> None:
    body = make_related(make_file(), make_file(number=2))[:-40]
    answer = web.send("POST", STUDIES, content=body, headers={"Content-Type": RELATED})
    assert answer.status_code == 400
    found = web.get("/dicom-web/instances").json()
    assert [row["00080018"]["Value"][0] for row in found] == [f"{STUDY}.1.1"]


def test_only_dicom_parts_are_stored(
    web: "Web", make_file: Make, make_related: Callable[..., bytes]
) -> None:
    body = make_related(make_file(), kind=b"image/jpeg")
    answer = web.send("POST", STUDIES, content=body, headers={"Content-Type": RELATED})
    assert answer.status_code == 409
    assert reasons(answer, "0008119A") == [0x0122]


def test_a_single_file_needs_no_multipart(web: "Web", make_file: Make) -> None:
    kind = {"Content-Type": "application/dicom"}
    assert web.send("POST", STUDIES, content=make_file(), headers=kind).status_code == 200


def test_compressed_bodies_and_other_answers_are_refused(web: "Web", make_file: Make) -> None:
    kind = {"Content-Type": "application/dicom"}
    packed = web.send("POST", STUDIES, content=b"x", headers=kind | {"Content-Encoding": "gzip"})
    assert packed.status_code == 415
    xml = kind | {"Accept": "application/dicom+xml"}
    assert web.send("POST", STUDIES, content=make_file(), headers=xml).status_code == 406
    assert web.get(STUDIES).json() == []


def test_many_large_parts_arrive_whole(web: "Web", make_file: Make) -> None:
    files = [
        make_file(number=number, pixels=bytes([number]) * (700 << 10)) for number in range(1, 6)
    ]
    assert web.store(*files).status_code == 200
    answer = web.get(f"{STUDIES}/{STUDY}")
    assert all(bytes([number]) * (700 << 10) in answer.content for number in range(1, 6))


def test_storing_needs_its_scope(web: "Web", make_file: Make) -> None:
    reader = web.house.token("dicomweb:read")
    kind = {"Content-Type": "application/dicom"}
    denied = web.send("POST", STUDIES, content=make_file(), headers=kind, token=reader)
    assert denied.status_code == 403
    assert web.send("POST", STUDIES, content=make_file(), headers=kind, token="").status_code == 401


def test_the_operator_stores_into_the_only_organization(web: "Web", make_file: Make) -> None:
    operator = web.as_operator()
    assert operator.store(make_file()).status_code == 200
    assert len(web.get(STUDIES).json()) == 1
    other = web.house.organizations.create(local(0), "Other clinic")
    assert operator.store(make_file(study=2)).status_code == 400  # which one?
    named = operator.send(
        "POST",
        STUDIES,
        content=make_file(study=2),
        headers={"Content-Type": "application/dicom", "Radkeep-Organization": "Other%20clinic"},
    )
    assert named.status_code == 200
    theirs = web.house.token("dicomweb:read", organization=other.id)
    assert len(web.send("GET", STUDIES, token=theirs).json()) == 1
    assert len(web.get(STUDIES).json()) == 1
