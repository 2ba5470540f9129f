# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radkeep.domain.errors import IntegrityError
from radkeep.web.kit import streaming
from radkeep.web.kit.streaming import Pieces
from radkeep.web.kit.threads import Threads

SCOPE = {"type": "http", "method": "GET"}


def play(
    response: Pieces, *, leave_after: int | None = None, head: bool = False
) -> tuple[list[dict[str, Any]], Threads]:
    """Send ``response`` to a client that goes away after ``leave_after`` messages."""
    threads = Threads(workers=2)
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(dict(message))
            if leave_after is not None and len(sent) >= leave_after:
                gone.set()
            await asyncio.sleep(0)

        await threads.run(response.prefetch, threads, head=head)
        await response(SCOPE, receive, send)  # type: ignore[arg-type]

    asyncio.run(run())
    threads.close()
    return sent, threads


def body(sent: list[dict[str, Any]]) -> bytes:
    return b"".join(message.get("body", b"") for message in sent)


@given(st.lists(st.binary(max_size=400), max_size=40), st.integers(1, 600), st.integers(0, 200))
def test_any_pieces_arrive_in_order(pieces: list[bytes], batch: int, joined: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "BATCH", batch)
        patch.setattr(streaming, "JOINED", joined)
        total = sum(map(len, pieces))
        sent, _ = play(Pieces(iter(pieces), length=total, media_type="a/b"))
    assert body(sent) == b"".join(pieces)
    assert sent[0]["status"] == 200
    assert (b"content-length", str(total).encode()) in sent[0]["headers"]
    assert [message.get("more_body", True) for message in sent[1:]] == [
        *[True] * (len(sent) - 2),
        False,
    ]


def test_large_pieces_are_not_copied() -> None:
    large = b"x" * (1 << 20)
    sent, _ = play(Pieces(iter([b"head", large, large]), length=None, media_type="a/b"))
    assert any(message.get("body") is large for message in sent)
    assert all(name != b"content-length" for name, _ in sent[0]["headers"])


class Endless:
    """Pieces without end that know whether they were closed."""

    def __init__(self, fail_at: int = -1) -> None:
        self.made = 0
        self.closed = False
        self._fail_at = fail_at

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.made += 1
        if self.made == self._fail_at:
            raise IntegrityError("damaged")
        return b"x" * (1 << 20)

    def close(self) -> None:
        self.closed = True


def test_memory_is_bounded_and_a_client_that_left_costs_nothing_more() -> None:
    pieces = Endless()
    sent, _ = play(Pieces(pieces, length=None, media_type="a/b"), leave_after=8)
    assert pieces.closed
    assert pieces.made <= len(sent) + 2 * streaming.BATCH // (1 << 20) + 2
    assert sent[-1]["more_body"]


def test_an_early_error_is_raised_before_the_status() -> None:
    with pytest.raises(IntegrityError):
        play(Pieces(Endless(fail_at=1), length=None, media_type="a/b"))


def test_a_late_error_leaves_the_body_short() -> None:
    sent, _ = play(Pieces(Endless(fail_at=6), length=6 << 20, media_type="a/b"))
    assert len(body(sent)) < 6 << 20
    assert sent[-1]["more_body"]


def test_head_pulls_nothing() -> None:
    pieces = Endless()
    sent, _ = play(Pieces(pieces, length=7, media_type="a/b"), head=True)
    assert pieces.made == 0
    assert pieces.closed
    assert body(sent) == b""
    assert (b"content-length", b"7") in sent[0]["headers"]
