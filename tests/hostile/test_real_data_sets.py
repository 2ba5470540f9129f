# SPDX-License-Identifier: Apache-2.0
"""Bombs and bad UIDs at both doors of a real server: refused, audited, and nothing left."""

from collections.abc import Iterator

import pytest
from corpus_house import RAW, House, Store, failures
from real_peers import (
    CT,
    DEFLATED,
    EXPLICIT,
    ROOT,
    as_file,
    bomb,
    data_set,
    deep,
    nothing_stored,
    unharmed,
    until_event,
)

import rawsend

HOSTILE = {
    "deep-open": (EXPLICIT, lambda: deep(defined=False)),
    "deep-closed": (EXPLICIT, lambda: deep(defined=True)),
    "deflate-bomb": (DEFLATED, bomb),
}
INVALID, UNDECODABLE, MISMATCH = 0xC001, 0xC000, 0xA900
ILLEGAL = {
    "dots": "1.2..3",
    "traversal": "../../etc/passwd",
    "space-inside": "1.2. 3",
    "spaces": "    ",
    "65-characters": "1." + "2" * 63,
    "leading-zero": "1.2.03",
    "letters": "1.2.abc",
}

pytestmark = pytest.mark.xdist_group("real-data-sets")


@pytest.fixture(scope="module")
def store(house: House) -> Iterator[Store]:
    with house.empty() as store:
        sent = rawsend.Instance(CT, "1.2.9", EXPLICIT, data_set("1.2.9").replace(b"66", b"99"))
        assert rawsend.send(store.dimse, [sent], calling=RAW).statuses == [0]  # all is warm now
        assert store.stow(as_file(sent.data_set))[0] == 200
        yield store


def _send(store: Store, content: bytes, syntax: str = EXPLICIT, instance: str = f"{ROOT}.1") -> int:
    sent = rawsend.Instance(CT, instance, syntax, content)
    return rawsend.send(store.dimse, [sent], calling=RAW).statuses[0]


def _refused(store: Store) -> int:
    return sum(event.get("type") == "radkeep:refused" for event in store.events())


@pytest.mark.parametrize("name", HOSTILE)
def test_bombs_by_c_store(store: Store, name: str) -> None:
    syntax, make = HOSTILE[name]
    content, before = make(), _refused(store)
    with unharmed(store):
        assert _send(store, content, syntax) == UNDECODABLE
    assert _refused(store) == before + 1
    assert nothing_stored(store)


@pytest.mark.parametrize("name", HOSTILE)
def test_bombs_by_stow(store: Store, name: str) -> None:
    syntax, make = HOSTILE[name]
    content, before = as_file(make(), syntax), _refused(store)
    with unharmed(store):
        status, told = store.stow(content)
    assert (status, failures(told)) == (409, [UNDECODABLE])
    assert _refused(store) == before + 1
    assert nothing_stored(store)


@pytest.mark.parametrize("which", ["sop_class", "sop_instance", "study", "series"])
@pytest.mark.parametrize("name", [*ILLEGAL, "missing", "empty"])
def test_missing_and_illegal_uids(store: Store, which: str, name: str) -> None:
    value = {"missing": "missing", "empty": ""}.get(name) if name not in ILLEGAL else ILLEGAL[name]
    content, before = data_set(**{which: value or ""}), _refused(store)
    status = _send(store, content)
    code, told = store.stow(as_file(content))
    assert code == 409
    reasons = {status, *failures(told)}
    assert reasons <= {INVALID, UNDECODABLE}, reasons
    if name in ILLEGAL and name != "spaces":
        assert reasons == {INVALID}
    assert _refused(store) == before + 2
    assert nothing_stored(store)


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_uids_in_the_command(store: Store, name: str) -> None:
    before = len(store.events())
    assert _send(store, data_set(), instance=ILLEGAL[name]) in {MISMATCH, INVALID, UNDECODABLE}
    assert len(store.events()) > before
    assert nothing_stored(store)


def test_a_command_that_names_another_instance(store: Store) -> None:
    before = _refused(store)
    assert _send(store, data_set(), instance="1.2.3") == MISMATCH
    until_event(store, reason="uid-mismatch")
    assert _refused(store) == before + 1
    assert nothing_stored(store)


def test_a_request_that_names_another_study(store: Store) -> None:
    answer = store.session.post(
        f"{store.url}/studies/1.2.3",
        as_file(data_set()),
        headers={"Content-Type": "application/dicom", "Accept": "application/dicom+json"},
        timeout=30,
    )
    assert (answer.status_code, failures(answer.json())) == (409, [MISMATCH])
    assert nothing_stored(store)


def test_afterwards_the_archive_is_sound(store: Store) -> None:
    assert store.installation.json("verify", "--full")["damaged"] == 0
    assert store.installation.json("audit", "verify")["sound"]
