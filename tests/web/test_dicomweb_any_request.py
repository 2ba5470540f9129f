# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked for: the right bytes or a refusal, never a failure, and quickly for others."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from email import message_from_bytes
from typing import TYPE_CHECKING

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.web.conftest import Served, Web

UID = "1.2.826.0.1.3680043.8.498.9"
STUDIES = "/dicom-web/studies"
INSTANCE = f"{STUDIES}/{UID}.1/series/{UID}.1.1/instances/{UID}.1.1.1"
PIXELS = bytes(range(32))
SYNTAXES = ["*", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.90", "x"]
TYPES = [
    "*/*",
    "application/dicom",
    "application/octet-stream",
    "multipart/related",
    'multipart/related; type="application/dicom"',
    "multipart/related; type=application/octet-stream",
    'multipart/related; type="image/jpeg"',
    "image/*",
    "text/html",
]
SLOW, PATIENCE = 200, 1.0
Make = Callable[..., bytes]

words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
ranges = st.builds(
    lambda kind, syntax, quality: kind + syntax + quality,
    st.sampled_from(TYPES) | words,
    st.sampled_from([""] + [f"; transfer-syntax={each}" for each in SYNTAXES]),
    st.sampled_from(["", ";q=0", ";q=0.5", "; q=1.000", ";q=2"]),
)
accepts = st.lists(ranges, max_size=3).map(", ".join)
frame_lists = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(
    lambda numbers: ",".join(map(str, numbers))
) | st.text(st.sampled_from("0123456789,-. x"), min_size=1, max_size=8)
windows = st.builds(
    "bytes={}-{}".format, st.integers(0, 40) | st.just(""), st.integers(0, 40) | st.just("")
) | words.map(str.strip)
usual = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def filled(web: "Web", make_file: Make) -> "Web":
    assert web.store(make_file()).status_code == 200
    return web


def bodies(answer: httpx2.Response) -> list[bytes]:
    """Return the parts of an answer, or the one body."""
    kind = answer.headers["content-type"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    if not kind.startswith("multipart/"):
        return [answer.content]
    message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.content)
    return [part.get_payload(decode=True) for part in message.get_payload()]


def refused(answer: httpx2.Response) -> bool:
    if answer.status_code < 400:
        return False
    assert answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    return True


@usual
@given(accept=accepts, frames=frame_lists)
def test_any_frames(filled: "Web", accept: str, frames: str) -> None:
    address = httpx2.URL(f"https://pacs.test{INSTANCE}/frames/").join(frames.replace(" ", "%20"))
    answer = filled.get(f"{INSTANCE}/frames/{address.path.rpartition('/')[2]}", accept)
    if not refused(answer):
        numbers = [int(number) for number in frames.split(",")]
        assert bodies(answer) == [PIXELS[16 * n - 16 : 16 * n] for n in numbers]


@usual
@given(accept=accepts)
def test_any_instance(filled: "Web", make_file: Make, accept: str) -> None:
    answer = filled.get(INSTANCE, accept)
    if not refused(answer):
        assert bodies(answer) == [make_file()]


@usual
@given(accept=accepts, window=windows)
def test_any_part_of_bulk_data(filled: "Web", accept: str, window: str) -> None:
    headers = {"Accept": accept, "Range": window} if accept else {"Range": window}
    answer = filled.send("GET", f"{INSTANCE}/bulkdata/7FE00010", headers=headers)
    if refused(answer):
        return
    if answer.status_code == 206:
        first, _, last = answer.headers["content-range"][6:].partition("/")[0].partition("-")
        assert answer.content == PIXELS[int(first) : int(last) + 1]
    else:
        assert bodies(answer) == [PIXELS]


@usual
@given(body=st.binary(max_size=200), boundary=st.text(max_size=8))
def test_any_body_is_stored_or_refused(filled: "Web", body: bytes, boundary: str) -> None:
    kind = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    headers = {"Content-Type": kind.encode()}
    for content in (body, b"\r\n--" + boundary.encode() + b"\r\n\r\n" + body):
        answer = filled.send("POST", STUDIES, content=content, headers=headers)
        assert 400 <= answer.status_code < 500


@usual
@given(query=st.lists(st.tuples(words, words), max_size=3))
def test_any_query_is_answered_or_refused(filled: "Web", query: list[tuple[str, str]]) -> None:
    for path in (STUDIES, "/dicom-web/series", "/dicom-web/instances", "/wado"):
        answer = filled.send("GET", path, params=query)
        assert answer.status_code in {200, 400, 406}


def test_addresses_in_a_body_are_never_fetched(filled: "Web") -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0)
        address = f"http://127.0.0.1:{trap.getsockname()[1]}/pixels"
        body = json.dumps([{"7FE00010": {"vr": "OW", "BulkDataURI": address}}]).encode()
        for kind in ("application/dicom+json", "application/json"):
            content = b"--b\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + body + b"\r\n--b--"
            headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=b'}
            answer = filled.send("POST", STUDIES, content=content, headers=headers)
            assert answer.status_code == 415
        with pytest.raises(BlockingIOError):
            trap.accept()


@pytest.fixture
def slow(served: "Served", web: "Web") -> Iterator[list[ssl.SSLSocket]]:
    """Open requests of SLOW clients, of two tokens, whose bodies come a byte at a time."""
    head = (
        f"POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n"
        'Content-Type: multipart/related; type="application/dicom"; boundary=b\r\n'
        "Authorization: Bearer {}\r\n\r\n--b\r\n\r\n"
    )
    tokens = [web.house.token("dicomweb:write") for _ in range(2)]
    trust = served.trust()
    with ExitStack() as stack:
        links = []
        for number in range(SLOW):
            raw = socket.create_connection(("127.0.0.1", served.port), timeout=10)
            link = stack.enter_context(closing(trust.wrap_socket(raw, server_hostname="localhost")))
            link.sendall(head.format(tokens[number % 2]).encode())
            links.append(link)
        yield links


def test_slow_clients_keep_nobody_waiting(
    slow: list[ssl.SSLSocket], served: "Served", web: "Web", make_file: Make
) -> None:
    ended = threading.Event()

    def dribble() -> None:
        while not ended.wait(0.05):
            for link in slow:
                link.sendall(b"x")

    dribbling = threading.Thread(target=dribble)
    dribbling.start()
    try:
        with httpx2.Client(
            base_url=served.url,
            verify=served.trust(),
            headers={"Authorization": f"Bearer {web.token}"},
        ) as client:
            kind = {"Content-Type": "application/dicom"}
            took = []
            for number in range(1, 6):
                began = time.perf_counter()
                stored = client.post(STUDIES, content=make_file(number=number), headers=kind)
                assert stored.status_code == 200
                found = client.get("/dicom-web/instances")
                assert len(found.json()) == number
                took.append(time.perf_counter() - began)
    finally:
        ended.set()
        dribbling.join()
    assert max(took) < PATIENCE
