# SPDX-License-Identifier: Apache-2.0
"""Delays that grow, end, and cost bounded memory."""

from datetime import timedelta

import pytest

from radkeep.identity.throttle import Limit, Occasions, Throttle, TooManyAttemptsError
from radkeep.testing.identity import FakeClock

LIMIT = Limit("test", 3, timedelta(minutes=15), timedelta(hours=1))


def wait(throttle: Throttle, clock: FakeClock, name: str = "a") -> int:
    """Return how long the next attempt must wait; try it if it need not."""
    try:
        throttle.enter([(LIMIT, name)], clock.now())
    except TooManyAttemptsError as error:
        return error.retry_after
    return 0


def test_delays_double_up_to_the_longest() -> None:
    throttle, clock, waits = Throttle(), FakeClock(), list[int]()
    for _ in range(20):
        while seconds := wait(throttle, clock):
            waits.append(seconds)
            clock.pass_(seconds=seconds)
    assert waits[:6] == [2, 3, 5, 9, 17, 33]
    assert max(waits) == waits[-1] == 901


def test_parallel_attempts_count_before_they_fail() -> None:
    throttle, clock = Throttle(), FakeClock()
    assert [wait(throttle, clock) > 0 for _ in range(6)] == [False] * 4 + [True] * 2


def test_success_forgets_and_refund_gives_back_one() -> None:
    throttle, clock = Throttle(), FakeClock()
    for _ in range(4):
        wait(throttle, clock)
    throttle.succeeded([], [(LIMIT, "a")])
    assert wait(throttle, clock) == 0
    assert wait(throttle, clock) > 0
    throttle.succeeded([(LIMIT, "a")])
    assert [wait(throttle, clock) for _ in range(4)] == [0, 0, 0, 0]


def test_failures_are_forgotten_in_time() -> None:
    throttle, clock = Throttle(), FakeClock()
    for _ in range(4):
        wait(throttle, clock)
    clock.pass_(hours=1, seconds=1)
    assert [wait(throttle, clock) for _ in range(4)] == [0, 0, 0, 0]


def test_an_attempt_that_must_wait_is_not_counted() -> None:
    throttle, clock = Throttle(), FakeClock()
    for _ in range(4):
        wait(throttle, clock)
    for _ in range(50):
        with pytest.raises(TooManyAttemptsError):
            throttle.enter([(LIMIT, "b"), (LIMIT, "a")], clock.now())
    assert wait(throttle, clock, "b") == 0


def test_memory_is_bounded_and_the_oldest_goes() -> None:
    throttle, clock = Throttle(capacity=10), FakeClock()
    for number in range(500):
        wait(throttle, clock, str(number))
    assert len(throttle._counts) == 10
    assert ("test", "499") in throttle._counts


def test_an_occasion_comes_once_in_its_time() -> None:
    clock, occasions = FakeClock(), Occasions(timedelta(minutes=1), capacity=5)
    assert occasions.due("a", clock.now())
    assert not occasions.due("a", clock.now())
    clock.pass_(minutes=1)
    assert occasions.due("a", clock.now())
    assert all(occasions.due(str(number), clock.now()) for number in range(50))
    assert len(occasions._last) == 5
