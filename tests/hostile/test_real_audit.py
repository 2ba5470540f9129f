# SPDX-License-Identifier: Apache-2.0
"""The audit log of a real server: a day's work is in it exactly; no change goes unnoticed."""

import base64
import importlib.util
import json
import secrets
import shutil
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import CliRunner
from corpus_house import RAW, House, Store
from real_peers import CT, EXPLICIT, ROOT, as_file, data_set, until_event

import radkeep.testing.server as programs
import rawsend
from radkeep.cli.main import radkeep
from radkeep.crypto.otp import code_at, step_at
from radkeep.domain.clock import SystemClock

_path = Path(__file__).parents[1] / "independent" / "verify_audit.py"
_spec = importlib.util.spec_from_file_location("independent_verify_audit", _path)
assert _spec
assert _spec.loader
independent = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(independent)

PASSWORD = "seven quiet otters paddle upstream"
SAMPLES = 20  # entries, each changed, dropped and swapped
HEADER, RECORD = 16, 48  # bytes, docs/formats/audit-log.md
BEGIN, ACCESSED, TRANSFERRED, QUERY = "110102", "110103", "110104", "110112"
ALERT, AUTHENTICATION = "110113", "110114"
NODE, LOGIN, LOGOUT, NETWORK, ACCOUNT = "110126", "110122", "110123", "110128", "110137"
REFUSED, QUARANTINED = "radkeep:refused", "radkeep:quarantined"

pytestmark = pytest.mark.xdist_group("real-audit")

Expected = Sequence[tuple[str, str, int]]  # event, type, outcome


@dataclass
class Day:
    """What was done and what had to be in the log after each deed."""

    store: Store
    seen: int
    expected: list[tuple[str, str, int]] = field(default_factory=list)

    def do(self, deed: Callable[[], object], *events: tuple[str, str, int]) -> None:
        deed()
        self.expected += events


@dataclass(frozen=True)
class Kept:
    """The log after the server has stopped, what it says, and what it had to say."""

    data: Path
    key: bytes
    events: Sequence[dict[str, Any]]
    expected: Expected


@pytest.fixture(scope="module")
def kept(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("audit")
    with house.empty() as store:
        day = Day(store, seen=store.events()[-1]["index"])
        _work(day, folder)
        until_event(store, what="the connection ends inside a message")
        events = [event for event in store.events() if event["index"] > day.seen]
        store.server.process.terminate()
        store.server.process.wait(30)
        data = folder / "data"
        data.mkdir()
        shutil.copytree(store.installation.data / "audit", data / "audit")
        shutil.copy(store.installation.data / "audit.pub", data)
        text = (data / "audit.pub").read_text().strip().split("+", 2)[2]
        yield Kept(data, base64.b64decode(text)[1:], events, day.expected)


def _work(day: Day, folder: Path) -> None:
    """Do what a clinic does in a day, each deed with its events."""
    store = day.store
    first, second, third = (f"{ROOT}.{n}" for n in (11, 12, 13))

    def send(*contents: tuple[str, bytes], calling: str = RAW) -> None:
        sent = [rawsend.Instance(CT, uid, EXPLICIT, content) for uid, content in contents]
        rawsend.send(store.dimse, sent, calling=calling)

    def instance(uid: str, study: str = f"{ROOT}.2") -> tuple[str, bytes]:
        return uid, data_set(uid, study=study)

    stored = ((BEGIN, "", 0), (TRANSFERRED, "", 0))
    day.do(lambda: send(instance(first), instance(second)), *stored)
    day.do(lambda: send(instance(first)), *stored)  # the same again is success
    other = (first, data_set(first) + b"\x28\0\x10\0US\2\0\1\0")
    day.do(lambda: send(other), (BEGIN, "", 0), (TRANSFERRED, QUARANTINED, 4))
    day.do(lambda: send((third, data_set(third)[:-7])), (TRANSFERRED, REFUSED, 4))
    day.do(lambda: send((third, data_set(second))), (TRANSFERRED, REFUSED, 4))
    day.do(lambda: store.stow(as_file(data_set(third, study=f"{ROOT}.4"))), *stored)
    day.do(lambda: store.stow(b"nothing"), (TRANSFERRED, REFUSED, 4))
    day.do(lambda: store.get("/studies", "*/*"), (QUERY, "", 0))
    day.do(lambda: store.get("/instances?PatientID=66", "*/*"), (QUERY, "", 0))
    day.do(lambda: store.get(f"/studies/{ROOT}.2/metadata", "*/*"), (ACCESSED, "", 0))
    day.do(lambda: store.get(f"/studies/{ROOT}.2", "*/*"))  # within the same quarter of an hour
    day.do(lambda: store.get(f"/studies/{ROOT}.4", "*/*"), (ACCESSED, "", 0))
    day.do(lambda: store.get(f"/studies/{ROOT}.99", "*/*"), (ACCESSED, REFUSED, 8))
    with pytest.raises(rawsend.AssociationError):
        send(instance(first), calling="STRANGER")
    day.expected.append((ALERT, NODE, 4))
    run = store.installation.run
    change = ((ALERT, NETWORK, 0),) * 2  # intent and outcome
    day.do(lambda: run("device", "add", "NEW", "--from", "192.0.2.1/32"), *change)
    day.do(lambda: run("device", "remove", "NEW"), *change)
    _people(day, folder)

    def leave_early() -> None:
        link = rawsend.Association(store.dimse, [(CT, EXPLICIT)], calling=RAW)
        message = rawsend.message(1, 1, rawsend.Instance(CT, first, EXPLICIT, data_set()), 16_384)
        link.socket.sendall(message[:-9])
        link.socket.close()

    day.do(leave_early, (ALERT, REFUSED, 4))


def _people(day: Day, folder: Path) -> None:
    store, base = day.store, f"https://localhost:{day.store.server.web}/api/v1/session"
    secret = folder / "password"
    secret.write_text(PASSWORD)
    token = store.installation.founded["enrolment"]["token"]
    told: dict[str, Any] = {}

    def enrol() -> None:
        told.update(
            store.installation.json(
                "user", "enrol", "--token", token, "--password-file", str(secret)
            )
        )

    day.do(enrol, *((ALERT, ACCOUNT, 0),) * 2)
    with requests.Session() as session:
        session.trust_env = False
        session.verify = store.session.verify
        owner = {"email": programs.ADMINISTRATOR, "password": PASSWORD, "code": "000000"}
        wrong = {**owner, "password": "not the password"}
        for credentials in (wrong, owner):
            day.do(
                lambda given=credentials: session.post(base, json=given, timeout=30),
                (AUTHENTICATION, LOGIN, 4),
            )
        encoded = parse_qs(urlsplit(told["totp_uri"]).query)["secret"][0]
        raw = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
        owner["code"] = code_at(raw, step_at(SystemClock().now()))

        def sign_in() -> None:
            assert session.post(base, json=owner, timeout=30).status_code == 200

        day.do(sign_in, (AUTHENTICATION, LOGIN, 0))
        day.do(lambda: session.delete(base, timeout=30), (AUTHENTICATION, LOGOUT, 0))


def test_the_day_is_in_the_log_exactly(kept: Kept) -> None:
    found = [(e["event"], e.get("type", ""), e.get("outcome", 0)) for e in kept.events]
    assert Counter(found) == Counter(kept.expected)


def test_what_was_transferred_is_counted_and_tied_to_its_beginning(kept: Kept) -> None:
    moved = [e for e in kept.events if (e["event"], e.get("type", "")) == (TRANSFERRED, "")]
    assert sum(event["count"] for event in moved) == 4
    assert all(len(event["digest"]) == 64 for event in moved)
    begun = Counter(e["study"] for e in kept.events if e["event"] == BEGIN)
    assert begun == {f"{ROOT}.2": 3, f"{ROOT}.4": 1}
    doors = {event["detail"]["protocol"] for event in kept.events if event["event"] == BEGIN}
    assert doors == {"c-store", "stow-rs"}
    for event in kept.events:
        assert event["actor_id"]
        assert PASSWORD not in json.dumps(event)


def _checks(data: Path, key: bytes) -> tuple[dict[str, Any], str]:
    """Return what the command says, and the independent verifier's fault or ""."""
    done = CliRunner().invoke(radkeep, ["audit", "verify", "--json", "--data", str(data)])
    report = json.loads(done.stdout)
    assert (done.exit_code == 0) == report["sound"]
    try:
        independent.verify(data / "audit", key)
    except independent.BadError as fault:
        return report, str(fault)
    return report, ""


def test_both_verifiers_find_the_log_sound(kept: Kept) -> None:
    report, fault = _checks(kept.data, kept.key)
    assert report["sound"], report
    assert fault == ""
    assert report["entries"] > kept.events[-1]["index"]
    assert independent.verify(kept.data / "audit", kept.key)["size"] == report["entries"]


@pytest.fixture
def copy(kept: Kept, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept.data, tmp_path / "data"))


def _records(data: Path) -> bytearray:
    (tree,) = (data / "audit").glob("*.tree")
    return bytearray(tree.read_bytes())


def _write(data: Path, tree: bytes) -> None:
    (path,) = (data / "audit").glob("*.tree")
    path.write_bytes(tree)


def _indices(tree: bytes, *, below: int = 0) -> Sequence[int]:
    count = (len(tree) - HEADER) // RECORD - below
    assert count > SAMPLES
    return secrets.SystemRandom().sample(range(count), SAMPLES)


def _must_be_found(data: Path, key: bytes, index: int) -> None:
    report, fault = _checks(data, key)
    assert not report["sound"]
    assert any(f"entry {index}:" in each or f"entry {index} " in each for each in report["faults"])
    assert f"entry {index}:" in fault


def test_a_changed_byte_is_found_with_its_index(kept: Kept, copy: Path) -> None:
    tree = _records(copy)
    (path,) = (copy / "audit").glob("*.payloads")
    payloads = path.read_bytes()
    for number, index in enumerate(_indices(tree)):
        at = HEADER + index * RECORD
        start, length = struct.unpack_from(">QI", tree, at)
        changed, rewritten = bytearray(payloads), bytearray(tree)
        if number % 2:
            changed[start + secrets.randbelow(length)] ^= 1 << secrets.randbelow(8)
        else:
            rewritten[at + 16 + secrets.randbelow(32)] ^= 1 << secrets.randbelow(8)
        path.write_bytes(changed)
        _write(copy, rewritten)
        _must_be_found(copy, kept.key, index)


def test_a_dropped_entry_is_found_with_its_index(kept: Kept, copy: Path) -> None:
    tree = _records(copy)
    for index in _indices(tree, below=1):  # the last one is a case of its own: truncation
        at = HEADER + index * RECORD
        _write(copy, tree[:at] + tree[at + RECORD :])
        _must_be_found(copy, kept.key, index)


def test_the_last_entry_cannot_be_cut_off(kept: Kept, copy: Path) -> None:
    tree = _records(copy)
    _write(copy, tree[:-RECORD])
    _must_be_found(copy, kept.key, (len(tree) - HEADER) // RECORD - 1)


def test_swapped_entries_are_found_with_their_index(kept: Kept, copy: Path) -> None:
    tree = _records(copy)
    for index in _indices(tree, below=1):
        at = HEADER + index * RECORD
        mine, next_one = tree[at : at + RECORD], tree[at + RECORD : at + 2 * RECORD]
        _write(copy, tree[:at] + next_one + mine + tree[at + 2 * RECORD :])
        _must_be_found(copy, kept.key, index)
