# SPDX-License-Identifier: Apache-2.0
import secrets
from pathlib import Path

import pytest

from radkeep.archive.keylog import Entry
from radkeep.archive.keyring import FILE, ROOT, KeyMissingError, Keyring, KeyringWriter, new_key
from radkeep.domain.errors import ArchiveFullError, IntegrityError, UnavailableError
from radkeep.testing.disk import RecordingDisk
from radkeep.testing.records import FixedClock

RING, MIRROR = Path("/ring"), Path("/mirror")
ROOT_KEY = secrets.token_bytes(32)


def organization(name: str = "org-1") -> tuple[Entry, bytes]:
    return new_key((ROOT, ROOT_KEY), label="organization", organization=name, clock=FixedClock())


def filled(disk: RecordingDisk, frames: int = 3) -> list[tuple[Entry, bytes]]:
    writer = KeyringWriter(RING, MIRROR, disk=disk)
    made = [organization(f"org-{number}") for number in range(frames)]
    for entry, _ in made:
        writer.append([entry])
    writer.close()
    return made


def opened(disk: RecordingDisk, root: bytes | None = ROOT_KEY, **known: object) -> Keyring:
    return Keyring.open(RING, MIRROR, root, disk=disk)


def test_keys_come_back_through_their_parents() -> None:
    disk = RecordingDisk()
    writer = KeyringWriter(RING, MIRROR, disk=disk)
    parent, parent_key = organization()
    child, child_key = new_key(
        (parent.id, parent_key), label="study", organization="org-1", clock=FixedClock()
    )
    writer.append([parent])
    ring = opened(disk)
    writer.append([child])  # seen without opening again
    assert ring.key(child.id) == child_key
    assert ring.organization(child.id) == "org-1"
    assert ring.find("organization", "org-1") == parent.id
    assert ring.find("study", "org-1") is None
    assert ring.organizations() == ["org-1"]
    apart = Keyring.open(RING, MIRROR, known={parent.id: parent_key}, disk=disk)
    assert apart.key(child.id) == child_key  # a process without the root


def test_what_is_not_there_or_not_ours_is_refused() -> None:
    disk = RecordingDisk()
    entry, _ = filled(disk)[0]
    with pytest.raises(KeyMissingError):
        opened(disk).key(bytes(15) + b"\1")
    with pytest.raises(IntegrityError):
        Keyring.open(RING, MIRROR, secrets.token_bytes(32), disk=disk).key(entry.id)
    with pytest.raises(IntegrityError, match="parent"):
        Keyring.open(RING, MIRROR, disk=disk).key(entry.id)
    with pytest.raises(IntegrityError, match="no keyring"):
        Keyring.open(Path("/x"), Path("/y"), disk=disk)


def test_an_entry_cannot_be_given_to_another_organization() -> None:
    disk = RecordingDisk()
    entry, _ = organization()
    writer = KeyringWriter(RING, MIRROR, disk=disk)
    moved = Entry(entry.id, entry.label, entry.parent, "org-2", entry.wrapped, entry.created)
    writer.append([moved])
    with pytest.raises(IntegrityError):
        opened(disk).key(entry.id)


def test_append_is_durable_in_both_when_it_returns() -> None:
    disk = RecordingDisk()
    disk.recording = True
    entry, _ = filled(disk)[-1]
    image = disk.moments[-1].image(lambda _number, _write: None, names=False)
    for left in (RING, MIRROR):
        alone = RecordingDisk({left / FILE: image[left / FILE]})
        assert Keyring.open(RING, MIRROR, ROOT_KEY, disk=alone).entry(entry.id) == entry


@pytest.mark.parametrize("lost", [RING, MIRROR])
def test_a_missing_file_is_made_again_from_the_other(lost: Path) -> None:
    disk = RecordingDisk()
    entry, key = filled(disk)[1]
    disk.unlink(lost / FILE)
    assert opened(disk).key(entry.id) == key
    KeyringWriter(RING, MIRROR, disk=disk).close()
    assert disk.files()[RING / FILE] == disk.files()[MIRROR / FILE]


@pytest.mark.parametrize("hurt", [RING, MIRROR])
@pytest.mark.parametrize("at", [3, 40, 600, -10, -500])
def test_a_damaged_file_is_repaired_from_the_other(hurt: Path, at: int) -> None:
    disk = RecordingDisk()
    made = filled(disk)
    files = disk.files()
    whole = files[hurt / FILE]
    broken = bytearray(whole)
    broken[at] ^= 1
    disk = RecordingDisk({**files, hurt / FILE: bytes(broken)})
    ring = opened(disk)
    assert all(ring.key(entry.id) == key for entry, key in made)
    KeyringWriter(RING, MIRROR, disk=disk).close()
    assert all(len(file) == len(whole) for file in disk.files().values())
    for left in (RING, MIRROR):
        alone = RecordingDisk({left / FILE: disk.files()[left / FILE]})
        assert len(Keyring.open(RING, MIRROR, ROOT_KEY, disk=alone)) == len(made)


def test_damage_in_both_is_told_and_nothing_is_cut() -> None:
    disk = RecordingDisk()
    filled(disk)
    files = {path: data[:50] + b"\0" * 8 + data[58:] for path, data in disk.files().items()}
    disk = RecordingDisk(files)
    with pytest.raises(IntegrityError, match="damaged"):
        opened(disk)
    with pytest.raises(IntegrityError, match="damaged"):
        KeyringWriter(RING, MIRROR, disk=disk)
    assert disk.files() == files


def test_a_torn_tail_is_cut() -> None:
    disk = RecordingDisk()
    made = filled(disk)
    files = disk.files()
    torn = {path: data[:-300] + bytes(300 - len(path.name)) for path, data in files.items()}
    disk = RecordingDisk(torn)
    assert len(opened(disk)) == len(made) - 1
    writer = KeyringWriter(RING, MIRROR, disk=disk)
    entry, key = organization("org-9")
    writer.append([entry])
    assert opened(disk).key(entry.id) == key


def test_file_and_mirror_that_disagree_are_refused() -> None:
    disk, other = RecordingDisk(), RecordingDisk()
    filled(disk)
    filled(other)
    mixed = {RING / FILE: disk.files()[RING / FILE], MIRROR / FILE: other.files()[MIRROR / FILE]}
    with pytest.raises(IntegrityError, match="disagree"):
        opened(RecordingDisk(mixed))
    with pytest.raises(IntegrityError, match="disagree"):
        KeyringWriter(RING, MIRROR, disk=RecordingDisk(mixed))


def test_there_is_one_writer() -> None:
    disk = RecordingDisk()
    first = KeyringWriter(RING, MIRROR, disk=disk)
    with pytest.raises(UnavailableError):
        KeyringWriter(RING, MIRROR, disk=disk)
    first.close()
    KeyringWriter(RING, MIRROR, disk=disk).close()


def test_a_full_disk_appends_nothing_and_recovers() -> None:
    disk = RecordingDisk(room=1500)
    writer = KeyringWriter(RING, MIRROR, disk=disk)
    first, key = organization()
    writer.append([first])
    with pytest.raises(ArchiveFullError):
        writer.append([organization("org-2")[0]])
    ring = opened(disk)
    assert len(ring) == 1
    disk.room = 5000
    third, _ = organization("org-3")
    writer.append([third])
    assert ring.key(first.id) == key
    assert len(opened(disk)) == 2


def test_after_a_failed_sync_the_writer_is_over() -> None:
    disk = RecordingDisk()
    writer = KeyringWriter(RING, MIRROR, disk=disk)
    disk.failing.add("sync")
    with pytest.raises(IntegrityError):
        writer.append([organization()[0]])
    disk.failing.clear()
    with pytest.raises(IntegrityError):
        writer.append([organization()[0]])


def test_it_works_on_a_real_disk(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    writer = KeyringWriter(tmp_path, mirror)
    entry, key = organization()
    writer.append([entry])
    assert Keyring.open(tmp_path, mirror, ROOT_KEY).key(entry.id) == key
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert key not in (tmp_path / FILE).read_bytes()
    with pytest.raises(UnavailableError):
        KeyringWriter(tmp_path, mirror)
    writer.close()
