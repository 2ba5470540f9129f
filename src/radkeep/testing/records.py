# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what the archive is given: study keys, heads, and a judge.

Invariant: a head says all that is needed to describe its record again.
"""

import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime

import msgspec

from radkeep.dicom.facts import Facts
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid
from radkeep.ingest.ports import Arrival, Clash, OpenRecord, Recorder, Verdict

ORGANIZATION = "org-1"
STUDY = Uid("1.2.826.0.1.1")
RECEIVED = "2026-01-01T00:00:00+00:00"


class FixedClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self.time


class FixedKeys:
    """One key for each study, held in memory: assigns and finds."""

    def __init__(self) -> None:
        self.keys: dict[bytes, tuple[bytes, str]] = {}
        self.assigned: dict[tuple[str, Uid], tuple[bytes, bytes]] = {}

    def assign(self, organization: str, study: Uid) -> tuple[bytes, bytes]:
        """Return id and key."""
        found = self.assigned.get((organization, study))
        if found is None:
            found = (secrets.token_bytes(16), secrets.token_bytes(32))
            self.assigned[organization, study] = found
            self.keys[found[0]] = (found[1], organization)
        return found

    def key(self, key_id: bytes) -> bytes:
        """Return a key by id."""
        return self.keys[key_id][0]

    def organization(self, key_id: bytes) -> str:
        """Return the organization a key belongs to."""
        return self.keys[key_id][1]


class Head(msgspec.Struct, frozen=True):
    """What a record's head must say so that an arrival can be made of it."""

    sop_instance: str
    digest: bytes
    length: int
    transfer: str = "transfer-1"
    organization: str = ORGANIZATION
    study: str = str(STUDY)
    received: str = RECEIVED

    def encode(self) -> bytes:
        """Return the head as bytes."""
        return msgspec.msgpack.encode(self)


def describe(head: bytes, placement: Placement) -> Arrival:
    """Return the arrival that a ``Head`` describes."""
    known = msgspec.msgpack.decode(head, type=Head)
    return Arrival(
        organization=known.organization,
        facts=Facts(
            sop_class=Uid("1.2.840.10008.5.1.4.1.1.2"),
            sop_instance=Uid(known.sop_instance),
            study=Uid(known.study),
            series=Uid(known.study + ".1"),
            transfer_syntax="1.2.840.10008.1.2.1",
            raw={},
        ),
        digest=known.digest,
        data_set_length=known.length,
        placement=placement,
        source="TEST",
        received=known.received,
        transfer=known.transfer,
    )


def send(
    recorder: Recorder,
    sop_instance: str,
    body: bytes,
    *,
    transfer: str = "transfer-1",
    study: Uid = STUDY,
    received: str = RECEIVED,
    piece: int = 100_000,
) -> Future[Verdict]:
    """Send one instance through ``recorder`` in pieces, as a door does."""
    record: OpenRecord = recorder.open(ORGANIZATION, study)
    view = memoryview(body)
    for start in range(0, len(body), piece):
        record.write(view[start : start + piece])
    head = Head(
        sop_instance,
        hashlib.sha256(body).digest(),
        len(body),
        transfer=transfer,
        study=str(study),
        received=received,
    ).encode()
    return record.finish(head, lambda placement: describe(head, placement))


def judge_by(read: Callable[[Placement], bytes]) -> Callable[[Clash, Arrival], Verdict]:
    """Return a judge for whom bodies are the same when they are equal but for case."""

    def judge(clash: Clash, arrival: Arrival) -> Verdict:
        same = read(clash.original).lower() == read(arrival.placement).lower()
        return Verdict.SAME if same else Verdict.CONFLICT

    return judge
