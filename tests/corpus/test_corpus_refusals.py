# SPDX-License-Identifier: Apache-2.0
"""All real files into one store: refusals as docs/refusals.md lists them, and the quarantine."""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from corpus_files import UNCOMPRESSED, UNREADABLE, Real, differences, parsed, quiet
from corpus_house import House, failures

import radkeep
from radkeep.dicom.status import INSTANCE_CONFLICT, store_status
from radkeep.domain.errors import RadkeepError
from radkeep.identity.devices import TrueReason
from radkeep.web.kit.problems import problem

# Ten spaces more at the end of the institution's name: for us another value, for pydicom none.
LONGER_PADDING = "encodings/pydicom-data__gdcm-US-ALOKA-16_big.dcm"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "refusals.md"


def _rows(heading: str) -> Iterator[Sequence[str]]:
    """Yield the rows of the first table below ``heading``."""
    _, _, below = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    lines = re.search(r"^\|---.*\n((?:\|.*\n)+)", below, re.MULTILINE)
    assert lines, heading
    for line in lines[1].splitlines():
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def _errors(base: type[RadkeepError]) -> Iterator[type[RadkeepError]]:
    for each in base.__subclasses__():
        if each.__module__.startswith("radkeep."):
            yield each
            yield from _errors(each)


def test_every_error_is_in_the_table_as_the_code_has_it() -> None:
    for module in pkgutil.walk_packages(radkeep.__path__, "radkeep."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    expected = {}
    for error in _errors(RadkeepError):
        made = error.__new__(error)  # some want arguments; none of them decides
        status, told = store_status(made), problem(made)
        kind = error.kind.name.lower()
        expected[error.code] = [kind, f"0x{status:04X}", str(int(told.status))]
    assert {row[0]: list(row[1:4]) for row in _rows("Errors")} == expected


def test_every_reason_of_a_rejection_is_in_the_table() -> None:
    told = {row[1]: row[0] for row in _rows("Associations")}
    assert {told[reason] for reason in TrueReason} == {"1/1/3"}


@pytest.fixture(scope="module")
def answers(house: House, reals: Sequence[Real]) -> Mapping[str, int]:
    """Post every file into one store; return the Failure Reason, 0 for success, by file."""
    told = {}
    with house.empty() as store:
        for real in reals:
            status, answer = store.stow(real.content)
            reasons = failures(answer)
            assert (status, len(reasons)) in {(200, 0), (409, 1)}, real.name
            told[real.name] = reasons[0] if reasons else 0
        events = store.installation.json("audit", "tail", "--count", "1000")
        verdict = store.installation.json("verify", "--full")
    told["quarantined"] = sum(event.get("type") == "radkeep:quarantined" for event in events)
    told["refused"] = sum(event.get("type") == "radkeep:refused" for event in events)
    told["damaged"] = verdict["damaged"]
    return told


def test_refused_files_are_those_of_the_table(
    answers: Mapping[str, int], reals: Sequence[Real]
) -> None:
    table = {row[0]: int(row[1], 16) for row in _rows("Files of the corpus")}
    refused = {
        real.name: answers[real.name]
        for real in reals
        if answers[real.name] not in {0, INSTANCE_CONFLICT}
    }
    assert refused == table
    assert answers["refused"] == len(table)
    taken = {real.name for real in reals} - table.keys()
    assert taken == {real.name for real in reals if real.storable} | {UNREADABLE}


def test_the_quarantine_holds_what_differs_under_a_taken_uid(
    answers: Mapping[str, int], reals: Sequence[Real]
) -> None:
    first: dict[str, Real] = {}
    conflicts = {LONGER_PADDING}
    for real in reals:
        if real.storable and not _same(first.setdefault(real.sop_instance, real), real):
            conflicts.add(real.name)
    assert len(conflicts) > 50
    told = {real.name for real in reals if answers[real.name] == INSTANCE_CONFLICT}
    assert told == conflicts
    assert answers["quarantined"] == len(conflicts)
    assert answers["damaged"] == 0


def _same(one: Real, other: Real) -> bool:
    if one.data_set == other.data_set:
        return True
    if not {one.transfer_syntax, other.transfer_syntax} <= UNCOMPRESSED:
        return False
    with quiet():
        return not differences(parsed(one.content), parsed(other.content))
