# SPDX-License-Identifier: Apache-2.0
"""WADO-RS in process."""

from collections.abc import Callable
from email import message_from_bytes
from typing import TYPE_CHECKING

import httpx2
import pytest

from radkeep.audit.events import EventId

if TYPE_CHECKING:
    from tests.web.conftest import Web

UID = "1.2.826.0.1.3680043.8.498.9"
STUDY = f"/dicom-web/studies/{UID}.1"
SERIES = f"{STUDY}/series/{UID}.1.1"
INSTANCE = f"{SERIES}/instances/{UID}.1.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
RELATED = "multipart/related; type=application/octet-stream"
Make = Callable[..., bytes]


@pytest.fixture
def filled(web: "Web", make_file: Make) -> "Web":
    files = [make_file(), make_file(number=2), make_file(series=2)]
    assert web.store(*files, make_file(study=2)).status_code == 200
    return web


def parts(answer: httpx2.Response) -> list[tuple[str, bytes]]:
    """Split with the standard library's parser, another one than ours."""
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content)
    assert message.is_multipart()
    found = []
    for part in message.get_payload():
        content = part.get_payload(decode=True)
        assert len(content) == int(part["Content-Length"])
        found.append((part["Content-Type"], content))
    return found


@pytest.mark.parametrize(("path", "count"), [(STUDY, 3), (SERIES, 2), (INSTANCE, 1)])
def test_instances_come_as_files(filled: "Web", make_file: Make, path: str, count: int) -> None:
    answer = filled.get(path, 'multipart/related; type="application/dicom"')
    assert answer.status_code == 200
    found = parts(answer)
    assert len(found) == count
    assert all(kind == f"application/dicom; transfer-syntax={EXPLICIT}" for kind, _ in found)
    assert found[0][1] == make_file()


def test_one_instance_comes_alone_if_asked(filled: "Web", make_file: Make) -> None:
    answer = filled.get(INSTANCE, "application/dicom")
    assert answer.content == make_file()
    assert answer.headers["content-type"].startswith("application/dicom;")
    assert filled.get(SERIES, "application/dicom").status_code == 406


@pytest.mark.parametrize("path", [STUDY, SERIES, INSTANCE])
def test_metadata(filled: "Web", path: str) -> None:
    answer = filled.get(f"{path}/metadata", "application/dicom+json")
    assert answer.headers["content-type"] == "application/dicom+json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    for each in answer.json():
        pixels = each["7FE00010"]["BulkDataURI"]
        assert pixels.startswith("https://pacs.test/dicom-web/")
        assert filled.get(pixels).content == bytes(range(32))


@pytest.mark.parametrize(("frames", "found"), [("1", [0]), ("2", [1]), ("2,1,2", [1, 0, 1])])
def test_frames(filled: "Web", frames: str, found: list[int]) -> None:
    answer = filled.get(f"{INSTANCE}/frames/{frames}", f"{RELATED}; transfer-syntax=*")
    kind = f"application/octet-stream; transfer-syntax={EXPLICIT}"
    both = [bytes(range(16)), bytes(range(16, 32))]
    assert parts(answer) == [(kind, both[number]) for number in found]


def test_one_frame_comes_alone_if_asked(filled: "Web") -> None:
    answer = filled.get(f"{INSTANCE}/frames/2", "application/octet-stream")
    assert answer.content == bytes(range(16, 32))
    assert answer.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert filled.get(f"{INSTANCE}/frames/1,2", "application/octet-stream").status_code == 406


def test_bulk_data_in_both_forms(filled: "Web") -> None:
    address = f"{INSTANCE}/bulkdata/7FE00010"
    assert filled.get(address).content == bytes(range(32))
    assert parts(filled.get(address, RELATED)) == [("application/octet-stream", bytes(range(32)))]


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        (f"{INSTANCE}/frames/0", None, 400),
        (f"{INSTANCE}/frames/x", None, 400),
        (f"{INSTANCE}/frames/3", None, 404),
        (f"{INSTANCE}/bulkdata/00100010", "text/plain", 406),
        (f"{INSTANCE}/bulkdata/0010001", None, 404),
        (f"{INSTANCE}/bulkdata/..%2f..%2fx", None, 404),
        (f"{INSTANCE}/metadata", "application/dicom+xml", 406),
        (f"{INSTANCE}/frames/1", f"{RELATED}; transfer-syntax=1.2.840.10008.1.2.4.90", 406),
        (
            STUDY,
            'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2',
            406,
        ),
        (STUDY, "not a media type", 400),
        (f"/dicom-web/studies/{UID}.7", None, 404),
        (f"/dicom-web/studies/{UID}.2/series/{UID}.1.1", None, 404),
        ("/dicom-web/studies/1.2.x", None, 400),
    ],
)
def test_what_is_refused(filled: "Web", path: str, accept: str | None, status: int) -> None:
    answer = filled.get(path, accept)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", [STUDY, f"{STUDY}/metadata", f"{INSTANCE}/frames/1"])
def test_bodies_are_inert_and_never_cached(filled: "Web", path: str) -> None:
    answer = filled.get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_tells_the_length_and_sends_nothing(filled: "Web") -> None:
    whole = filled.get(INSTANCE)
    head = filled.send("HEAD", INSTANCE)
    assert head.content == b""
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_looking_is_audited_once(filled: "Web") -> None:
    for _ in range(2):
        filled.get(f"{INSTANCE}/frames/1")
    (event,) = filled.house.audit.of(EventId.INSTANCES_ACCESSED)
    assert (event.study, event.patient) == (f"{UID}.1", "P1")
    assert event.detail == {"purpose": "wado-rs"}


def test_without_an_audit_log_nothing_leaves(filled: "Web") -> None:
    filled.house.audit.available = False
    answer = filled.get(INSTANCE)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_damage_is_told_before_the_first_byte(filled: "Web") -> None:
    (volume,) = (path for path in filled.house.volumes.rglob("*") if path.is_file())
    data = bytearray(volume.read_bytes())
    data[1000:3000] = bytes(2000)
    volume.write_bytes(data)
    assert filled.get(INSTANCE).status_code == 500
    assert filled.get(INSTANCE).json()["type"] == "/problems/integrity-failure"


def test_the_host_header_cannot_lead_elsewhere(filled: "Web") -> None:
    answer = filled.send("GET", f"{INSTANCE}/metadata", headers={"Host": "evil.test/x?"})
    assert answer.status_code == 400
