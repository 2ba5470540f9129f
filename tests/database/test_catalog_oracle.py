# SPDX-License-Identifier: Apache-2.0
"""What SQL selects is what the reference matcher selects, whatever the catalog and the query."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radkeep.database.catalog.catalog import Catalog
from radkeep.dicom.dictionary import vr_of
from radkeep.dicom.matching import matches
from radkeep.dicom.query import ALL, Level, Match, Query
from radkeep.testing.arrivals import all_rows, arrival, facts

KEY = bytes(range(32))
NAMES = ["Müller^Zoë", "MULLER^ZOE", "muller", "Smith^J*", "Sm", "S", "山田=やま", "^", "a=b=Ab^"]
TEXTS = ["", "A", "a", "AB", "A*", "A[B]", "Zoë", "A?B", "%", "A_B"]
DATES = ["", "20260101", "20260131", "20260201", "2026", "19991231"]
TIMES = ["", "10", "1015", "101530", "101530.25", "23"]
NUMBERS = ["", "1", "2", "02", "-3", "007"]
CODES = ["", "CT", "MR", "SR", "C"]
VALUES = {
    0x00100010: NAMES,
    0x00080090: NAMES,
    0x00100020: TEXTS,
    0x00080050: TEXTS,
    0x00081030: TEXTS,
    0x00200010: TEXTS,
    0x00080080: TEXTS,  # no column: looked at row by row
    0x00080020: DATES,
    0x00100030: DATES,
    0x00080030: TIMES,
    0x00100040: CODES,
    0x00080060: CODES,
    0x0008103E: TEXTS,
    0x00180015: TEXTS,
    0x00200011: NUMBERS,
    0x00080070: TEXTS,  # no column
    0x00200013: NUMBERS,
    0x00080008: TEXTS,  # no column
}
OF_LEVEL = {
    Level.STUDY: [0x00100010, 0x00080090, 0x00100020, 0x00080050, 0x00081030, 0x00200010,
                  0x00080080, 0x00080020, 0x00100030, 0x00080030, 0x00100040],
    Level.SERIES: [0x00080060, 0x0008103E, 0x00180015, 0x00200011, 0x00080070],
    Level.INSTANCE: [0x00200013, 0x00080008],
}  # fmt: skip
LEVELS = list(OF_LEVEL)
Texts = dict[int, str]
Instances = dict[tuple[int, int, int], Texts]


@st.composite
def catalogs(draw: st.DrawFn) -> Instances:
    """Draw the attributes of a few instances, by study, series and number."""
    places = st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(1, 2))
    tags = st.sampled_from(sorted(VALUES))
    made: Instances = {}
    for place in draw(st.lists(places, min_size=1, max_size=8, unique=True)):
        made[place] = {tag: draw(st.sampled_from(VALUES[tag])) for tag in draw(st.sets(tags))}
    return made


@st.composite
def keys(draw: st.DrawFn, level: Level) -> Match:
    """Draw one key that means something at ``level``."""
    here = [tag for upper in LEVELS[: LEVELS.index(level) + 1] for tag in OF_LEVEL[upper]]
    tag = draw(st.sampled_from([*here, 0x00080061]))
    vr = vr_of(tag)
    value = draw(st.sampled_from(VALUES.get(tag, CODES)))
    if vr in ("DA", "TM"):
        other = draw(
            st.sampled_from([text for text in VALUES[tag] if vr == "TM" or len(text) != 4])
        )
        value = value if vr == "TM" or len(value) != 4 else ""
        shape = draw(st.sampled_from(["{0}", "{0}-", "-{0}", "{0}-{1}"]))
        value = shape.format(value, other) if value and other else value
    elif vr != "IS":
        cut = draw(st.integers(0, len(value)))
        shape = draw(st.sampled_from(["{0}", "{1}*", "*{2}", "{1}?{2}", "{1}*{2}", "?*"]))
        value = shape.format(value, value[:cut], value[cut:])
    return Match.parse([tag], value)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def identities(rows: Sequence[bytes]) -> list[list[str]]:
    wanted = ("0020000D", "0020000E", "00080018")
    decoded = [msgspec.json.decode(row) for row in rows]
    return sorted(
        [value for tag in wanted for value in row.get(tag, {}).get("Value", [])] for row in decoded
    )


@pytest.mark.parametrize("many", [2, 1000])
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(catalogs(), st.data())
def test_sql_selects_what_the_reference_selects(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    many: int,
    instances: Instances,
    data: st.DataObject,
) -> None:
    monkeypatch.setattr("radkeep.database.catalog.plan.MAX_SORTED", many)
    monkeypatch.setattr("radkeep.database.catalog.search.MAX_SORTED", many)
    path = folder / "catalog.db"
    for old in folder.iterdir():
        old.unlink()
    catalog = Catalog.open(path, KEY)
    made = [facts(*place, texts=texts) for place, texts in instances.items()]
    catalog.commit("a" * 32, 1, [arrival(one, offset=at) for at, one in enumerate(made)])
    for level in LEVELS:
        everything = list(all_rows(catalog, "clinic", level, Query(include=ALL)))
        for _ in range(4):
            filters = tuple(data.draw(st.lists(keys(level), min_size=1, max_size=3)))
            found = list(all_rows(catalog, "clinic", level, Query(filters=filters)))
            expected = [row for row in everything if matches(filters, msgspec.json.decode(row))]
            assert identities(found) == identities(expected)
    catalog.close()
