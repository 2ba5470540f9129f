# SPDX-License-Identifier: Apache-2.0
"""Every change, drop, swap and rollback is found, with its index; both verifiers agree."""

import base64
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_logs import PAYLOAD_KEY, SIGNING, actors, expected, fill, open_writer, reader, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radkeep.audit.checkpoint import Checkpoint, parse_checkpoint
from radkeep.audit.erasure import Erasures, erase
from radkeep.audit.log import LogReader
from radkeep.audit.records import Record, Segment
from radkeep.audit.verify import Reason, verify
from radkeep.crypto.sign import SigningKey, VerifyKey
from radkeep.domain.errors import IntegrityError, NotFoundError

TESTS = Path(__file__).resolve().parents[2]
SCRIPT = TESTS / "independent" / "verify_audit.py"
_spec = importlib.util.spec_from_file_location("verify_audit", SCRIPT)
assert _spec
assert _spec.loader
independent = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(independent)

SIZE = 30
FIRST = Path("0000000000000000.tree")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("log") / "audit"
    fill(directory, [1, 3, 5, 1, 2, 8, 4, 6], segment=12)
    assert len(list(directory.glob("*.tree"))) == 3
    return directory


@pytest.fixture
def copy(log: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(log, tmp_path / "copy"))


def first_fault(directory: Path, remembered: Checkpoint | None = None) -> tuple[int, Reason]:
    report = verify(directory, SIGNING.public, remembered=remembered)
    assert not report.intact
    with pytest.raises(IntegrityError, match=str(report.faults[0].index)):
        report.require()
    with pytest.raises(independent.BadError):
        independent.verify(directory, SIGNING.public.raw)
    return report.faults[0].index, report.faults[0].reason


def segment_of(directory: Path, index: int) -> Segment:
    firsts = sorted(int(path.stem) for path in directory.glob("*.tree"))
    return Segment(directory, max(first for first in firsts if first <= index))


def record(directory: Path, index: int) -> Record:
    segment = segment_of(directory, index)
    return Record.decode(segment.tree.read_bytes()[segment.record_offset(index) :][:48])


def edit(path: Path, change: Callable[[bytearray], None]) -> None:
    raw = bytearray(path.read_bytes())
    change(raw)
    path.write_bytes(raw)


def put_record(directory: Path, index: int, new: Record) -> None:
    segment = segment_of(directory, index)
    place = segment.record_offset(index)

    def change(raw: bytearray) -> None:
        raw[place : place + 48] = new.encode()

    edit(segment.tree, change)


def test_an_untouched_log_is_intact(log: Path) -> None:
    report = verify(log, SIGNING.public)
    report.require()
    assert (report.size, report.uncovered, report.erased) == (SIZE, 0, 0)
    found = independent.verify(log, SIGNING.public.raw, PAYLOAD_KEY)
    assert found["root"] == report.checkpoint.root.hex()
    assert [entry["event"]["actor_id"] for entry in found["entries"]] == expected(SIZE)


@given(st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_flipped_bit_is_found_with_its_index(log: Path, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, SIZE - 1))
    segment, entry = segment_of(log, index), record(log, index)
    if data.draw(st.booleans()):
        path, place = segment.tree, segment.record_offset(index) + data.draw(st.integers(0, 47))
    else:
        path = segment.payloads
        place = entry.start + data.draw(st.integers(0, entry.length - 1))
    whole = path.read_bytes()
    try:
        edit(
            path, lambda raw: raw.__setitem__(place, raw[place] ^ 1 << data.draw(st.integers(0, 7)))
        )
        report = verify(log, SIGNING.public)
        assert report.faults[0].index == index
        with pytest.raises(independent.BadError, match=rf"entry {index}\b"):
            independent.verify(log, SIGNING.public.raw)
        with pytest.raises(IntegrityError):
            actors(log)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("index", [0, 5, 12, 29])
def test_a_changed_payload_with_its_hash_made_anew(copy: Path, index: int) -> None:
    segment, old = segment_of(copy, index), record(copy, index)
    forged = b"\1" * old.length
    edit(
        segment.payloads,
        lambda raw: raw.__setitem__(slice(old.start, old.start + old.length), forged),
    )
    put_record(copy, index, Record.of(old.start, old.remaining, forged))
    at, reason = first_fault(copy)
    assert (at <= index, reason) == (True, Reason.REWRITTEN)
    with pytest.raises(IntegrityError):
        reader(copy).tail(SIZE)


def test_older_checkpoints_narrow_a_rewriting_down(tmp_path: Path) -> None:
    for _ in range(4):
        fill(tmp_path, [3])
    old = record(tmp_path, 7)
    forged = b"\1" * old.length
    segment = segment_of(tmp_path, 7)
    edit(
        segment.payloads,
        lambda raw: raw.__setitem__(slice(old.start, old.start + old.length), forged),
    )
    put_record(tmp_path, 7, Record.of(old.start, old.remaining, forged))
    fault = verify(tmp_path, SIGNING.public).faults[0]
    assert (fault.index, fault.end, fault.reason) == (6, 9, Reason.REWRITTEN)
    (tmp_path / "checkpoints").write_text("nonsense")
    fault = verify(tmp_path, SIGNING.public).faults[0]
    assert (fault.index, fault.end) == (0, 12)


@pytest.mark.parametrize("index", [0, 4, 11, 20])
def test_a_dropped_record(copy: Path, index: int) -> None:
    segment = segment_of(copy, index)
    place = segment.record_offset(index)
    edit(segment.tree, lambda raw: raw.__delitem__(slice(place, place + 48)))
    assert first_fault(copy) == (index, Reason.DROPPED)


def test_swapped_records(copy: Path) -> None:
    one, two = record(copy, 3), record(copy, 7)
    put_record(copy, 3, two)
    put_record(copy, 7, one)
    assert first_fault(copy) == (3, Reason.SWAPPED)


def test_swapped_payloads(copy: Path) -> None:
    one, two = record(copy, 13), record(copy, 17)
    segment = segment_of(copy, 13)
    assert one.length == two.length

    def change(raw: bytearray) -> None:
        left, right = (
            slice(one.start, one.start + one.length),
            slice(two.start, two.start + two.length),
        )
        raw[left], raw[right] = raw[right], raw[left]

    edit(segment.payloads, change)
    assert first_fault(copy) == (13, Reason.CHANGED)
    assert {fault.index for fault in verify(copy, SIGNING.public).faults} == {13, 17}


def test_a_duplicated_record(copy: Path) -> None:
    segment = segment_of(copy, 3)
    place, entry = segment.record_offset(4), record(copy, 3).encode()
    edit(segment.tree, lambda raw: raw.__setitem__(slice(place, place), entry))
    assert first_fault(copy) == (4, Reason.INSERTED)


@pytest.mark.parametrize("keep", [0, 1, 29])
def test_a_truncated_log(copy: Path, keep: int) -> None:
    for path in copy.glob("*.tree"):
        first = int(path.stem)
        if first >= keep and first:
            path.unlink()
            path.with_suffix(".payloads").unlink()
        else:
            path.write_bytes(path.read_bytes()[: 16 + 48 * (keep - first)])
    assert first_fault(copy) == (keep, Reason.TRUNCATED)


def test_missing_files(copy: Path) -> None:
    (copy / FIRST).unlink()
    assert first_fault(copy)[0] == 0
    shutil.rmtree(copy)
    copy.mkdir()
    assert first_fault(copy) == (0, Reason.UNSIGNED)


def test_missing_payloads(copy: Path) -> None:
    second = segment_of(copy, 12)
    second.payloads.unlink()
    report = verify(copy, SIGNING.public)
    assert {fault.reason for fault in report.faults} == {Reason.MISSING}
    assert report.faults[0].index == second.first


def test_false_headers(copy: Path) -> None:
    for path in (segment_of(copy, 12).tree, segment_of(copy, 12).payloads):
        whole = path.read_bytes()
        edit(path, lambda raw: raw.__setitem__(15, raw[15] ^ 1))
        assert first_fault(copy) == (segment_of(copy, 12).first, Reason.NOT_A_LOG)
        path.write_bytes(whole)


def test_a_foreign_checkpoint(copy: Path, tmp_path: Path) -> None:
    note = (copy / "checkpoint").read_text()
    (copy / "checkpoint").write_text(note.replace("\n30\n", "\n29\n"))
    assert first_fault(copy) == (0, Reason.FORGED)
    other = SigningKey.generate().public
    assert verify(copy, other).faults[0].reason is Reason.FORGED


def test_a_log_rolled_back_with_a_stolen_key_is_found_by_a_remembered_checkpoint(
    tmp_path: Path,
) -> None:
    original, forged = tmp_path / "original", tmp_path / "forged"
    fill(original, [4, 4])
    remembered = parse_checkpoint((original / "checkpoint").read_text(), SIGNING.public)
    fill(forged, [4, 2])
    assert verify(forged, SIGNING.public).intact  # by itself nothing is wrong with it
    fault = verify(forged, SIGNING.public, remembered=remembered).faults[0]
    assert (fault.index, fault.reason) == (6, Reason.ROLLED_BACK)
    fill(forged, [4])
    fault = verify(forged, SIGNING.public, remembered=remembered).faults[0]
    assert fault.reason is Reason.ROLLED_BACK
    fill(original, [3])
    assert verify(original, SIGNING.public, remembered=remembered).intact


def test_entries_behind_the_checkpoint_are_told(tmp_path: Path) -> None:
    log = open_writer(tmp_path)
    write(log, 3)
    report = verify(tmp_path, SIGNING.public)
    assert (report.intact, report.size, report.uncovered) == (True, 3, 3)
    log.close()


def test_erased_payloads_keep_their_proofs(copy: Path) -> None:
    before = parse_checkpoint((copy / "checkpoint").read_text(), SIGNING.public)
    lost = record(copy, 5)
    erase(copy, [5, 6, 20], signing=SIGNING)
    erase(copy, [7], signing=SIGNING)
    report = verify(copy, SIGNING.public, remembered=before)
    assert (report.intact, report.erased) == (True, 4)
    assert Erasures.read(copy, SIGNING.public).ranges == [(5, 7), (20, 20)]
    found = independent.verify(copy, SIGNING.public.raw, PAYLOAD_KEY)
    assert found["erased"] == [5, 6, 7, 20]
    assert [entry.number for entry in reader(copy).read(4)][:3] == [4, 8, 9]
    raw = segment_of(copy, 5).payloads.read_bytes()
    assert not any(raw[lost.start : lost.start + lost.length])
    with open_writer(copy, segment=12) as log:
        write(log, 1)
    assert verify(copy, SIGNING.public).size == SIZE + 1


def test_a_loss_without_a_marker_is_missing(copy: Path) -> None:
    erase(copy, [5], signing=SIGNING)
    marker = (copy / "erasures").read_text()
    (copy / "erasures").unlink()
    assert first_fault(copy) == (5, Reason.MISSING)
    (copy / "erasures").write_text(marker.replace("5 5", "5 9"))
    faults = verify(copy, SIGNING.public).faults
    assert {(fault.index, fault.reason) for fault in faults} == {
        (0, Reason.FORGED),
        (5, Reason.MISSING),
    }


def test_an_erased_record_stays_covered(copy: Path) -> None:
    erase(copy, [5], signing=SIGNING)
    old = record(copy, 5)
    put_record(copy, 5, old._replace(commitment=bytes(32)))
    assert first_fault(copy)[1] is Reason.REWRITTEN


def test_only_entries_under_the_checkpoint_are_erased(copy: Path) -> None:
    for indices in ([SIZE], [-1], [0, SIZE]):
        with pytest.raises(NotFoundError):
            erase(copy, indices, signing=SIGNING)
    assert not Erasures.read(copy, SIGNING.public)


def test_the_golden_log(tmp_path: Path) -> None:
    vector = json.loads((TESTS / "vectors" / "audit-log.json").read_text())
    for name, content in vector["files"].items():
        (tmp_path / name).write_bytes(base64.b64decode(content))
    public, payload_key = bytes.fromhex(vector["public_key"]), bytes.fromhex(vector["payload_key"])
    report = verify(tmp_path, VerifyKey(public))
    assert (report.intact, report.size, report.erased) == (True, 11, len(vector["erased"]))
    kept = [n for n in range(11) if n not in vector["erased"]]
    entries = list(LogReader(tmp_path, payload_key, VerifyKey(public)).read())
    assert [entry.number for entry in entries] == kept
    assert [entry.event.actor_id for entry in entries] == [vector["actors"][n] for n in kept]
    found = independent.verify(tmp_path, public, payload_key)
    actors_found = [entry["event"]["actor_id"] for entry in found["entries"] if entry]
    assert actors_found == [entry.event.actor_id for entry in entries]


def test_the_independent_verifier_runs_by_itself(copy: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(copy), SIGNING.public.raw.hex()]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout.split()[0]) == (0, str(SIZE))
    edit(copy / FIRST, lambda raw: raw.__setitem__(70, raw[70] ^ 1))
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout.split()[:2]) == (1, ["entry", "1:"])
