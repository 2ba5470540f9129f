# SPDX-License-Identifier: Apache-2.0
"""Tables that people read: nothing cut, codes as words, moments to the second."""

import io
import os
from contextlib import redirect_stderr, redirect_stdout

import pytest

from radkeep.app.layout import Layout
from radkeep.audit.events import EventId, EventType
from radkeep.cli import audit_words
from radkeep.cli.options import Context

UID = "1.2.826.0.1.3680043.8.498.50575927571470071430017031561417872141456"
WIDTHS = (40, 80, 200)


def printed(rows: list[dict[str, object]], *columns: str) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        Context(Layout.at("unused"), None, as_json=False).show(rows, columns=columns)
    return said.getvalue()


def test_every_code_that_is_audited_has_a_word() -> None:
    for event in EventId:
        what = audit_words.row({"event": event})["what"]
        assert what
        assert not any(letter.isdigit() for letter in str(what)), event
    for kind in EventType:
        what = str(audit_words.row({"event": EventId.QUERY, "type": kind})["what"])
        assert not any(letter.isdigit() for letter in what), kind
        assert "radkeep:" not in what


def test_a_refusal_says_what_was_refused_and_why() -> None:
    row = audit_words.row(
        {
            "index": 7,
            "event": EventId.INSTANCES_TRANSFERRED,
            "type": EventType.REFUSED,
            "outcome": 4,
            "actor_name": "CT1",
            "study": UID,
            "detail": {"reason": "undecodable", "protocol": "c-store"},
        }
    )
    assert row["who"] == "CT1"
    assert row["what"] == "refused: objects transferred"
    assert row["about"] == f"undecodable, study {UID}"


@pytest.mark.parametrize(
    ("detail", "outcome", "what"),
    [
        ({"phase": "intent"}, 0, "account settings, intent"),
        ({"phase": "outcome"}, 0, "account settings"),
        ({"phase": "outcome"}, 4, "account settings, failed"),
    ],
)
def test_intent_and_failure_can_be_told_apart(
    detail: dict[str, str], outcome: int, what: str
) -> None:
    kind = EventType.USER_SECURITY_ATTRIBUTES_CHANGED
    entry = {"event": EventId.SECURITY_ALERT, "type": kind, "outcome": outcome, "detail": detail}
    assert audit_words.row(entry)["what"] == what


def test_an_unknown_code_stays() -> None:
    assert audit_words.row({"event": "110199"})["what"] == "110199"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_cuts_nothing(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    told = printed([{"name": UID, "email": "technologist@a-long-name.example"}], "name", "email")
    lines = told.splitlines()
    assert max(map(len, lines)) <= width
    for letter in set(UID + "technologist"):
        wanted = UID.count(letter) + "technologist@a-long-name.example".count(letter)
        assert "".join(lines[1:]).count(letter) == wanted


def test_a_pipe_gets_one_line_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", io.StringIO())  # no terminal to ask for its width
    assert UID * 4 in printed([{"name": UID * 4}], "name")


def test_moments_and_answers_are_for_people() -> None:
    row: dict[str, object] = {"last": "2026-11-24T09:26:10.285267Z", "plaintext": True}
    line = printed([row], "last", "plaintext").splitlines()[1]
    assert line.split() == ["2026-11-24", "09:26:10Z", "yes"]


def test_an_empty_table_says_so() -> None:
    said = io.StringIO()
    with redirect_stderr(said):
        assert not printed([], "name")
    assert said.getvalue() == "none" + os.linesep
