# SPDX-License-Identifier: Apache-2.0
"""What runs in an ingest thread: each request gets one answer, whatever the store does."""

from collections.abc import Iterator

import pytest

from radkeep.dimse.buffers import Segment, SegmentPool
from radkeep.dimse.store_scp import Answer, Intake, Mark, Note, Ready, Step, StoreRequest
from radkeep.dimse.wire.commands import Command, CommandField, Element
from radkeep.dimse.wire.negotiation import Context
from radkeep.domain.errors import AuditUnavailableError, TooLargeError
from radkeep.testing.dimse import FakeStore, device

CT, IMPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"


def _request(uid: str = "1.2.3") -> StoreRequest:
    command = Command(
        {Element.COMMAND_FIELD: CommandField.C_STORE, Element.MESSAGE_ID: 1},
        {Element.AFFECTED_SOP_CLASS: CT, Element.AFFECTED_SOP_INSTANCE: uid},
    )
    return StoreRequest(Context(1, CT, IMPLICIT), command)


class Desk:
    def __init__(self) -> None:
        self.store, self.pool = FakeStore(), SegmentPool()
        self.notes: list[Note] = []
        self.intake = Intake(self.store, device(), session="s", post=self.notes.append, drained=10)

    def run(self, *steps: Step) -> list[int]:
        self.intake.run(steps, self.pool)
        self.store.writer.submit(int).result()  # all before it is done
        return [note.status for note in self.notes if isinstance(note, Answer)]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.store.close()


def test_a_segment_comes_back_after_its_slices(desk: Desk) -> None:
    segment = Segment()
    desk.run(_request(), segment.view[:10], segment)
    assert desk.pool.take() is segment
    assert desk.intake.taken == 10


def test_a_waiting_loop_is_told_once_the_queue_is_short(desk: Desk) -> None:
    desk.intake.sent, desk.intake.paused = 30, True
    desk.run(_request(), memoryview(bytes(19)))
    assert desk.notes == []
    desk.run(memoryview(bytes(1)))
    assert desk.notes == [Ready.READY]


def test_one_answer_for_each_request(desk: Desk) -> None:
    desk.store.feed_error = TooLargeError("too large")
    piece = memoryview(bytes(10))
    assert desk.run(_request(), piece, piece, Mark.END) == [0xA700]
    desk.store.feed_error = None
    assert desk.run(_request(), piece, Mark.END) == [0xA700, 0xC000]  # no UIDs in it
    assert desk.run(_request(uid=".."), piece, Mark.END) == [0xA700, 0xC000, 0xC001]


def test_a_store_that_cannot_begin_refuses_each(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AuditUnavailableError("no audit log")

    monkeypatch.setattr(desk.store, "transfer", refuse)
    assert desk.run(_request(), Mark.END, _request(), Mark.END) == [0x0110, 0x0110]


@pytest.mark.parametrize("mark", [Mark.ABANDON, Mark.CLOSE])
def test_what_does_not_end_is_abandoned(desk: Desk, mark: Mark) -> None:
    assert desk.run(_request(), memoryview(bytes(10)), mark) == []
    assert [reception.ended for reception in desk.store.receptions] == ["abandoned"]
    assert desk.store.transfers[0].closed == (mark is Mark.CLOSE)
    desk.run(Mark.CLOSE)
    assert desk.store.transfers[0].closed == 1


def test_a_bug_in_the_store_harms_one_request(desk: Desk) -> None:
    desk.store.feed_error = ZeroDivisionError()  # type: ignore[assignment] - on purpose
    assert desk.run(_request(), memoryview(bytes(10)), Mark.END) == [0x0110]
