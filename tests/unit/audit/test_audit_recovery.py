# SPDX-License-Identifier: Apache-2.0
"""After a crash no acknowledged entry is lost and no half group is left; damage is not a crash."""

import hashlib
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from audit_logs import (
    SIGNING,
    PowerCutError,
    PowerDisk,
    Ticks,
    actors,
    expected,
    fill,
    open_writer,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from radkeep.audit.verify import verify
from radkeep.domain.errors import IntegrityError

GROUPS = (1, 3, 2, 1, 4, 1)


def dice(seed: int) -> Callable[[int], int]:
    """Return a function that throws an n-sided die, always the same way for a seed."""
    throws = count()

    def throw(sides: int) -> int:
        digest = hashlib.sha256(f"{seed} {next(throws)}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % sides

    return throw


@given(cut=st.integers(0, 70), seed=st.integers(0, 1 << 32), signed=st.booleans())
@settings(max_examples=120, deadline=None)
def test_power_cuts_lose_nothing_acknowledged(cut: int, seed: int, *, signed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        disk, ticks, acknowledged, tried = PowerDisk(cut), Ticks(), 0, 0
        try:
            log = open_writer(source, disk=disk, segment=4, monotonic=ticks)
            for entries in GROUPS:
                ticks.now += 1_000_000_000 if signed else 0
                tried = log.size + entries
                write(log, entries)
                acknowledged = log.size
            log.close()
            acknowledged = log.size
        except PowerCutError:
            pass
        source.mkdir(exist_ok=True)
        disk.wreck(source, target, dice(seed))
        with open_writer(target, segment=4) as log:
            assert log.size in {acknowledged, tried}
            write(log, 2)
            size = log.size
        assert actors(target) == expected(size)
        report = verify(target, SIGNING.public)
        assert report.intact
        assert report.size == report.checkpoint.size == size


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_torn_end_of_the_last_group_is_cut(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "log"
        log = open_writer(directory)
        write(log, 2)
        tree, payloads = (next(directory.glob(f"*.{kind}")) for kind in ("tree", "payloads"))
        before = len(tree.read_bytes()), len(payloads.read_bytes())
        write(log, 3)
        whole = tree.read_bytes()
        cut = data.draw(st.integers(before[0], len(whole) - 1))
        garbage = data.draw(st.sampled_from([b"", bytes(len(whole) - cut)]))
        tree.write_bytes(whole[:cut] + garbage)
        log = open_writer(directory)
        assert log.size == 2
        assert log.cut == 0 if cut == before[0] and not garbage else log.cut > 0
        assert (len(tree.read_bytes()), len(payloads.read_bytes())) == before
        write(log, 1)
        log.close()
        assert actors(directory) == expected(3)


def test_a_whole_group_that_nobody_was_told_of_is_kept(tmp_path: Path) -> None:
    log = open_writer(tmp_path)
    write(log, 3)
    payloads = next(tmp_path.glob("*.payloads"))
    payloads.write_bytes(payloads.read_bytes() + b"half a payload")
    with open_writer(tmp_path) as again:
        assert (again.size, again.cut) == (3, 0)
        write(again, 1)
    assert actors(tmp_path) == expected(4)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damage_before_the_last_group_is_never_cut(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "log"
        log = open_writer(directory)
        for entries in (2, 1, 3, 1):
            write(log, entries)
        kind = data.draw(st.sampled_from(["tree", "payloads"]))
        path = next(directory.glob(f"*.{kind}"))
        raw = bytearray(path.read_bytes())
        last = 48 if kind == "tree" else len(raw) // 7  # the last group is one entry
        place = data.draw(st.integers(16, len(raw) - last - 1))
        raw[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(raw)
        with pytest.raises(IntegrityError):
            open_writer(directory)
        assert path.read_bytes() == raw


def test_damage_below_the_checkpoint_is_never_cut(tmp_path: Path) -> None:
    fill(tmp_path, [1, 1, 2])
    tree = next(tmp_path.glob("*.tree"))
    whole = tree.read_bytes()
    tree.write_bytes(whole[:-1])
    with pytest.raises(IntegrityError, match="last entries"):
        open_writer(tmp_path)
    assert tree.read_bytes() == whole[:-1]


def test_damage_in_an_older_segment_is_reported(tmp_path: Path) -> None:
    log = open_writer(tmp_path, segment=2)
    for entries in (2, 2):
        write(log, entries)
    first = tmp_path / "0000000000000000.payloads"
    first.write_bytes(first.read_bytes()[:-1] + b"\0")
    with pytest.raises(IntegrityError, match="damaged"):
        open_writer(tmp_path, segment=2)


@pytest.mark.parametrize("kind", ["tree", "payloads"])
def test_a_false_header_is_no_log(tmp_path: Path, kind: str) -> None:
    fill(tmp_path, [2])
    path = next(tmp_path.glob(f"*.{kind}"))
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(IntegrityError):
        open_writer(tmp_path)


@pytest.mark.parametrize("content", [b"", b"RKAUDT1\n", b"RKAUDT1\n" + bytes(20)])
def test_a_segment_cut_off_while_it_was_made_is_made_again(tmp_path: Path, content: bytes) -> None:
    log = open_writer(tmp_path, segment=2)
    write(log, 2)
    (tmp_path / "0000000000000002.tree").write_bytes(content)
    with open_writer(tmp_path, segment=2) as again:
        assert write(again, 1) == (2,)
    assert actors(tmp_path) == expected(3)


def test_a_record_that_stands_twice_is_cut(tmp_path: Path) -> None:
    log = open_writer(tmp_path)
    write(log, 2)
    write(log, 1)
    tree = next(tmp_path.glob("*.tree"))
    tree.write_bytes(tree.read_bytes() + tree.read_bytes()[-48:])
    with open_writer(tmp_path) as again:
        assert (again.size, again.cut) == (3, 1)
        write(again, 1)
    assert actors(tmp_path) == expected(4)
