# SPDX-License-Identifier: Apache-2.0
"""What an exception carries does not reach the log; where it happened does."""

import json
import subprocess
import sys

import pytest

from radkeep.testing.server import environment

LOG = """
import structlog
from radkeep.app.logs import configure_logs
from radkeep.domain.errors import InvalidRequestError
configure_logs("test")
log = structlog.get_logger()
canary = "ZZQX^CANARY"
try:
    try:
        int(canary)
    except ValueError as error:
        raise InvalidRequestError("our words") from error
except InvalidRequestError as error:
    log.exception("by-hand")
    log.error("given", exc_info=error)
    log.error("tuple", exc_info=(type(error), error, error.__traceback__))
log.info("none", text="line\\n{\\"forged\\": 1}")
"""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", LOG],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=30,
        check=True,
    )
    return ran.stderr.splitlines()


def test_words_of_foreign_exceptions_are_left_out(lines: list[str]) -> None:
    assert "CANARY" not in "".join(lines)


def test_type_place_and_our_own_words_stay(lines: list[str]) -> None:
    for line in lines[:3]:
        ours, cause = json.loads(line)["exception"]
        assert (ours["error"], ours["message"]) == ("InvalidRequestError", "our words")
        assert cause["error"] == "ValueError"
        assert cause["at"]


def test_one_event_is_one_line(lines: list[str]) -> None:
    assert [json.loads(line)["event"] for line in lines] == ["by-hand", "given", "tuple", "none"]
    assert "exception" not in json.loads(lines[3])
