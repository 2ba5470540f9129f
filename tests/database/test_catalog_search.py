# SPDX-License-Identifier: Apache-2.0
"""Searches find what they should, in pages, newest first, and by an index."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from radkeep.database.catalog import search as searching
from radkeep.database.catalog.catalog import Catalog
from radkeep.database.catalog.plan import plan
from radkeep.database.catalog.search import matchable
from radkeep.database.catalog.where import Shape, condition
from radkeep.dicom.query import ALL, Level, Match, MatchKind, Order, Query
from radkeep.domain.errors import InvalidRequestError
from radkeep.domain.uid import Uid
from radkeep.testing.arrivals import ROOT, all_rows, arrival, facts

STUDY, SERIES, INSTANCE = Level.STUDY, Level.SERIES, Level.INSTANCE
PEOPLE = {
    1: {0x00100010: "Müller^Zoë", 0x00080020: "20260105", 0x00080030: "101500"},
    2: {0x00100010: "MULLER^ANNA", 0x00080020: "20260107", 0x00080030: "111500"},
    3: {0x00100010: "Mullins^Ed", 0x00080020: "20260106", 0x00081030: "Chest [portable]"},
    4: {0x00100010: "Smith^Jo", 0x00080020: "", 0x00080050: "A*1"},
    5: {
        0x00100010: "Yamada^Tarou=山田^太郎=やまだ^たろう",
        0x00080020: "20260107",
        0x00100040: "M",
    },
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path_factory.mktemp("catalog") / "catalog.db", bytes(32))
    made = []
    for study, texts in PEOPLE.items():
        made += [facts(study, 1, number, texts=texts) for number in (1, 2)]
        made.append(facts(study, 2, 1, texts=texts | {0x00080060: "MR" if study == 3 else "SR"}))
    opened.commit("a" * 32, 1, [arrival(one, offset=at) for at, one in enumerate(made)])
    hidden = facts(1, 1, 1, texts={0x00100010: "Müller^Hidden", 0x0020000D: f"{ROOT}.66"})
    opened.commit("b" * 32, 1, [arrival(hidden, organization="other", volume="b" * 32)])
    yield opened
    opened.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path / "catalog.db", bytes(32))
    yield opened
    opened.close()


def find(catalog: Catalog, level: Level = STUDY, **keys: str) -> list[str]:
    """Return the last parts of the UIDs found; keys are tags written tXXXXXXXX."""
    filters = tuple(Match.parse([int(tag[1:], 16)], text) for tag, text in keys.items())
    tag = {STUDY: "0020000D", SERIES: "0020000E", INSTANCE: "00080018"}[level]
    rows = all_rows(catalog, "clinic", level, Query(filters=filters))
    return [msgspec.json.decode(row)[tag]["Value"][0].removeprefix(f"{ROOT}.") for row in rows]


def test_newest_first_and_undated_last(catalog: Catalog) -> None:
    assert find(catalog) == ["5", "2", "3", "1", "4"]


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("t00100010", "muller*", ["2", "1"]),
        ("t00100010", "MÜLLER^zoe", ["1"]),
        ("t00100010", "m*", ["2", "3", "1"]),
        ("t00100010", "mu*^e?", ["3"]),
        ("t00100010", "*^jo", ["4"]),
        ("t00100010", "?mith^Jo", ["4"]),
        ("t00100010", "muller", []),
        ("t00100010", "山田*", ["5"]),
        ("t00100020", "PID0000003", ["3"]),
        ("t00100020", "pid0000003", []),
        ("t00100020", "PID*3", ["3"]),
        ("t00100020", "*4", ["4"]),
        ("t00080050", "A*1", ["1", "4"]),
        ("t00080050", "ACC0000000?", ["5", "2", "3", "1"]),
        ("t00080050", "*", ["5", "2", "3", "1", "4"]),
        ("t00080020", "20260107", ["5", "2"]),
        ("t00080020", "20260106-", ["5", "2", "3"]),
        ("t00080020", "-20260106", ["3", "1"]),
        ("t00080080", "Nowhere*", []),
        ("t00080020", "20260105-20260106", ["3", "1"]),
        ("t00080061", "MR", ["3"]),
        ("t00080061", "SR", ["5", "2", "1", "4"]),
        ("t00080061", "?R", ["5", "2", "3", "1", "4"]),
        ("t00081030", "*[portable]", ["3"]),
        ("t00081030", "Chest [portable]", ["3"]),
        ("t00100040", "M", ["5"]),
        ("t00100030", "19700101", ["5", "2", "3", "1", "4"]),
        ("t00080090", "referring^r*", ["5", "2", "3", "1", "4"]),
        ("t00200010", "S2", ["2"]),
        ("t00080030", "10", ["1"]),
        ("t00080030", "1000-1030", ["1"]),
        ("t00080030", "1015-11", ["2", "1"]),
        ("t00100010", "yamada*", ["5"]),
        ("t00100010", "やま*", ["5"]),
        ("t00100010", "*太郎", ["5"]),
        ("t0020000D", f"{ROOT}.4", ["4"]),
        ("t0020000D", f"{ROOT}.4\\{ROOT}.5\\{ROOT}.66", ["5", "4"]),
        ("t00080060", "MR", ["3"]),  # of a series of the study
        ("t0020000E", f"{ROOT}.3.2", ["3"]),
        ("t00080018", f"{ROOT}.3.2.1", ["3"]),
        ("t00080080", "Nowhere", []),  # Institution Name: no column
    ],
)
def test_studies_by_one_key(catalog: Catalog, key: str, text: str, expected: list[str]) -> None:
    assert find(catalog, STUDY, **{key: text}) == expected


def test_a_study_whose_names_all_match_is_found_once(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.db", bytes(32))
    texts = {0x00100010: "Abel^A=abel^b=ABEL^C\\Abel^D", 0x00080090: "Abel^X=Abel^Y"}
    catalog.commit("a" * 32, 1, [arrival(facts(1, 1, 1, texts=texts))])
    for text in ("a*", "ab*", "abel*", "*", "*a", "abel^[bc]*", "a?el^b", "abel^d"):
        for tag in ("t00100010", "t00080090"):
            wanted = ["1"] if tag == "t00100010" or text in ("a*", "ab*", "abel*", "*") else []
            expected = [] if "[" in text else wanted
            assert find(catalog, STUDY, **{tag: text}) == expected
    catalog.close()


def test_keys_of_a_lower_level_must_meet_in_one_series(catalog: Catalog) -> None:
    assert find(catalog, t00080060="MR", t00200011="2") == ["3"]
    assert find(catalog, t00080060="MR", t00200011="1") == []


def test_all_keys_must_match(catalog: Catalog) -> None:
    assert find(catalog, t00100010="m*", t00080061="SR", t00080020="20260106-") == ["2"]
    assert find(catalog, t00080061="CT", t00080020="20260107-20260107") == ["5", "2"]


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        (SERIES, {"t0020000D": f"{ROOT}.3"}, ["3.1", "3.2"]),
        (SERIES, {"t00080060": "MR"}, ["3.2"]),
        (SERIES, {"t00100020": "PID0000001"}, ["1.1", "1.2"]),
        (SERIES, {"t0020000E": f"{ROOT}.2.2"}, ["2.2"]),
        (SERIES, {"t00200011": "02", "t00100010": "mull*"}, ["2.2", "3.2", "1.2"]),
        (SERIES, {"t00080018": f"{ROOT}.3.2.1"}, ["3.2"]),
        (SERIES, {"t00200011": "two"}, []),
        (SERIES, {"t00200011": "9" * 30}, []),
        (SERIES, {"t00200011": "nan"}, []),
        (SERIES, {"t0008103E": "Axial 1*", "t00180015": "HEAD", "t00100040": "M"}, ["5.1"]),
        (INSTANCE, {"t0020000E": f"{ROOT}.1.1"}, ["1.1.1", "1.1.2"]),
        (INSTANCE, {"t0020000D": f"{ROOT}.1", "t00200013": "1"}, ["1.1.1", "1.2.1"]),
        (INSTANCE, {"t00080018": f"{ROOT}.4.1.2"}, ["4.1.2"]),
        (INSTANCE, {"t00080018": f"{ROOT}.4.1.2", "t0020000D": f"{ROOT}.1"}, []),
        (INSTANCE, {"t00080060": "MR"}, ["3.2.1"]),
        (INSTANCE, {"t00080016": "1.2.3"}, []),
    ],
)
def test_series_and_instances(
    catalog: Catalog, level: Level, keys: dict[str, str], expected: list[str]
) -> None:
    assert find(catalog, level, **keys) == expected


def test_pages_join_without_gap_or_repetition(catalog: Catalog) -> None:
    for level in (STUDY, SERIES, INSTANCE):
        whole = catalog.search("clinic", level, Query(limit=100))
        assert not whole.more
        pieces: list[bytes] = []
        for offset in range(len(whole.rows)):
            page = catalog.search("clinic", level, Query(limit=1, offset=offset))
            assert page.more == (offset + 1 < len(whole.rows))
            pieces += page.rows
        assert pieces == whole.rows
        assert catalog.search("clinic", level, Query(limit=0)).rows == []
        assert catalog.search("clinic", level, Query(offset=100)).rows == []


def test_an_order_can_be_asked_for(catalog: Catalog) -> None:
    def order(*keys: Order) -> list[str]:
        rows = catalog.search("clinic", STUDY, Query(order=keys)).rows
        return [msgspec.json.decode(row)["0020000D"]["Value"][0][-1] for row in rows]

    assert order(Order(0x00100010)) == ["2", "1", "3", "4", "5"]
    assert order(Order(0x00100020, descending=True)) == ["5", "4", "3", "2", "1"]
    assert order(Order(0x00100040), Order(0x00080020)) == ["4", "1", "3", "2", "5"]
    with pytest.raises(InvalidRequestError):
        order(Order(0x00200013))
    with pytest.raises(InvalidRequestError):
        order(*[Order(0x00100020)] * 9)


def test_a_study_row_has_what_the_standard_requires(catalog: Catalog) -> None:
    query = Query(filters=(Match.parse([0x00100020], "PID0000004"),))
    (raw,) = catalog.search("clinic", STUDY, query).rows
    row = msgspec.json.decode(raw)
    assert list(row) == sorted(row)
    assert row["00080020"] == {"vr": "DA"}
    assert row["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}
    assert row["00080061"] == {"vr": "CS", "Value": ["CT", "SR"]}
    assert row["00201206"] == {"vr": "IS", "Value": [2]}
    assert row["00201208"] == {"vr": "IS", "Value": [3]}
    assert "00080005" not in row  # all ASCII
    names = "00080030 00080050 00080090 00100010 00100020 00100030 00100040 0020000D 00200010"
    assert set(names.split()) <= set(row)


def test_text_is_utf8_and_says_so(catalog: Catalog) -> None:
    query = Query(filters=(Match.parse([0x00100020], "PID0000005"),))
    (raw,) = catalog.search("clinic", STUDY, query).rows
    row = msgspec.json.decode(raw)
    assert row["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert row["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    ]


def test_upper_levels_come_when_the_query_is_not_confined_or_asks(catalog: Catalog) -> None:
    study, series = Uid(f"{ROOT}.1"), Uid(f"{ROOT}.1.2")

    def tags(level: Level, **more: object) -> dict[str, dict[str, object]]:
        rows = catalog.search("clinic", level, Query(**more)).rows  # type: ignore[arg-type] # mixed
        decoded: dict[str, dict[str, object]] = msgspec.json.decode(rows[0])
        return decoded

    free = tags(INSTANCE)
    assert {"00100010", "00080060", "00080018", "0020000E", "0020000D"} <= set(free)
    confined = tags(INSTANCE, study=study, series=series)
    assert {"00100010", "00080060"}.isdisjoint(confined)
    assert confined["00080018"]["Value"] == [f"{ROOT}.1.2.1"]
    assert confined["00280010"] == {"vr": "US", "Value": [512]}
    asked = tags(INSTANCE, study=study, series=series, include=(0x00100010, 0x00080060))
    assert {"00100010", "00080060"} <= set(asked)
    assert "00100020" not in asked
    everything = tags(INSTANCE, study=study, series=series, include=ALL)
    assert {"00100010", "00080060", "00201206", "00201209"} <= set(everything)
    assert "00100010" not in tags(SERIES, study=study)
    assert "00201209" in tags(SERIES, study=study)


def test_an_attribute_without_column_is_looked_at_row_by_row(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = "t00080070", "Radkeep Phantoms"  # Manufacturer
    assert find(catalog, SERIES, **dict([made]), t0020000D=f"{ROOT}.1") == ["1.1", "1.2"]
    assert find(catalog, SERIES, t00080070="Others") == []
    monkeypatch.setattr(searching, "MAX_EXAMINED", 3)
    with pytest.raises(InvalidRequestError, match="too many candidates"):
        find(catalog, SERIES, t00080070="Others")


def test_what_cannot_be_matched_is_refused(catalog: Catalog) -> None:
    for level, key, text in [
        (STUDY, 0x00400280, "comment"),
        (STUDY, 0x00080070, "of a series"),
    ]:
        with pytest.raises(InvalidRequestError):
            catalog.search("clinic", level, Query(filters=(Match.parse([key], text),)))
    nested = Match.parse([0x00400275, 0x00400009], "step")
    assert not matchable(STUDY, nested)
    assert not matchable(STUDY, Match.parse([0x00080070], "of a series"))
    assert matchable(SERIES, Match.parse([0x00080070], "of a series"))
    assert matchable(STUDY, Match.parse([0x00400280], ""))


def test_patients_are_what_their_studies_say(empty: Catalog) -> None:
    nameless = {0x00100020: "", 0x00100030: "19600202"}
    made = [
        facts(1, texts={0x00100020: "A"}),
        facts(2, texts={0x00100020: "A", 0x00100010: "Phantom^Patient1"}),
        facts(2, 2, texts={0x00100020: "A", 0x00100010: "Phantom^Patient1"}),
        facts(3, texts={0x00100020: "B"}),
        facts(4, texts=nameless),
        facts(5, texts=nameless),
    ]
    empty.commit("a" * 32, 1, [arrival(one, offset=at) for at, one in enumerate(made)])
    counts = (0x00201200, 0x00201202, 0x00201204)

    def found(**keys: object) -> list[list[object]]:
        page = empty.search("clinic", Level.PATIENT, Query(include=counts, **keys))
        rows = [msgspec.json.decode(row) for row in page.rows]
        tags = ("00100020", "00201200", "00201202", "00201204")
        return [[row[tag].get("Value", [""])[0] for tag in tags] for row in rows]

    known, strangers = [["A", 2, 3, 3], ["B", 1, 1, 1]], [["", 1, 1, 1]] * 2
    assert sorted(found(), key=str) == sorted(known + strangers, key=str)
    assert found(filters=(Match.parse([0x00100020], "A"),)) == [["A", 2, 3, 3]]
    assert found(filters=(Match.parse([0x00100010], "PHANTOM^patient3"),)) == [["B", 1, 1, 1]]
    pages = [found(limit=1, offset=at) for at in range(4)]
    assert [row for page in pages for row in page] == found()
    page = empty.search("clinic", STUDY, Query(include=counts))
    assert {msgspec.json.decode(row)["00201204"]["Value"][0] for row in page.rows} == {1, 3}
    assert empty.search("other", Level.PATIENT, Query()).rows == []


def test_a_date_and_a_time_match_as_one(empty: Catalog) -> None:
    moments = [("20260101", "120000"), ("20260102", "0800"), ("20260102", "180000.5"), ("", "")]
    made = [
        facts(at, texts={0x00080020: day, 0x00080030: time, 0x00080021: day, 0x00080031: time})
        for at, (day, time) in enumerate(moments)
    ]
    empty.commit("a" * 32, 1, [arrival(one, offset=at) for at, one in enumerate(made)])
    for level, tag in ((STUDY, 0x00080020), (SERIES, 0x00080020), (SERIES, 0x00080021)):
        for values, expected in (
            (("20260101", "13", "20260102", "0759"), 0),
            (("20260101", "12", "20260102", "0800"), 2),
            (("20260102", "", "", ""), 2),
            (("", "", "20260102", "1800"), 3),
            (("20260101", "1200", "20260101", "1200"), 1),
        ):
            match = Match((tag,), MatchKind.MOMENT, values)
            assert len(empty.search("clinic", level, Query(filters=(match,))).rows) == expected


def test_text_of_a_key_never_becomes_sql(catalog: Catalog) -> None:
    for evil in ("' OR 1=1 --", "PID'; DROP TABLE study; --", "{0}", "%", "_", '"', "[a-z]*", "?1"):
        for tag in (0x00100020, 0x00081030, 0x00080061, 0x00100010):
            rows = catalog.search("clinic", STUDY, Query(filters=(Match.parse([tag], evil),))).rows
            assert rows == []
    assert len(find(catalog)) == 5


INDEXED = [
    (STUDY, "", "study_date"),
    (STUDY, "00080020=20260101-20260107", "study_date"),
    (STUDY, "00081030=*chest*", "study_date"),
    (STUDY, "0020000D=1.2", "study_uid"),
    (STUDY, "0020000D=1.2\\1.3", "study_uid"),
    (STUDY, "00100020=P1", "study_patient"),
    (STUDY, "00100020=P1 00080020=20260101-", "study_patient"),
    (STUDY, "00100020=P12*", "study_patient"),
    (STUDY, "00080050=A1", "study_accession"),
    (STUDY, "00200010=S1", "study_study_id"),
    (STUDY, "00100030=19700101", "study_birth_date"),
    (STUDY, "00100010=a*", "PRIMARY KEY"),
    (STUDY, "00100010=abc^d", "PRIMARY KEY"),
    (STUDY, "00100010=*bc", "study_name_date"),
    (STUDY, "00080090=abc^d", "PRIMARY KEY"),
    (STUDY, "00100010=abc* 00080020=20260101-", "PRIMARY KEY"),
    (STUDY, "00080061=CT", "PRIMARY KEY"),
    (STUDY, "00080061=CT 00080020=20260101-20260107", "PRIMARY KEY"),
    (STUDY, "00080060=CT", "PRIMARY KEY"),
    (SERIES, "0020000D=1.2", "study_uid"),
    (SERIES, "0020000E=1.2.3", "series_uid"),
    (SERIES, "", "study_date"),
    (INSTANCE, "00080018=1.2.3", "instance_uid"),
    (INSTANCE, "0020000D=1.2 0020000E=1.2.3", "series_uid"),
    (INSTANCE, "0020000D=1.2", "study_uid"),
    (INSTANCE, "", "study_date"),
]
CROWDED = [
    (STUDY, "00100010=a*", "study_name_date"),
    (STUDY, "00100010=ab*", "study_name_two"),
    (STUDY, "00100010=abc^d* 00080020=20260101-", "study_name_two"),
    (STUDY, "00080090=abcde*", "study_name_two"),
    (STUDY, "00100020=P*", "study_date"),
    (SERIES, "00100020=P* 00100010=ab*", "study_name_two"),
]
FEW = {"study_uid", "series_uid", "instance_uid"}  # that are found, so they may be sorted


def explain(catalog: Catalog, level: Level, keys: str, *, crowded: bool) -> tuple[list[str], bool]:
    """Return the steps of the plan, and whether a key is a prefix."""
    filters = [
        Match.parse([int(tag, 16)], text) for tag, text in (key.split("=") for key in keys.split())
    ]
    conditions = [one for one in map(condition, filters) if one]
    tags = [one.tag for one in conditions] if crowded else []
    statement = plan(level, 1, conditions, (), tags)
    with catalog.database.read() as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.values)
        steps = [str(row[3]) for row in rows]
    return steps, any(one.shape is Shape.PREFIX for one in conditions)


@pytest.mark.parametrize(
    ("level", "keys", "index", "crowded"),
    [(*case, False) for case in INDEXED] + [(*case, True) for case in CROWDED],
)
def test_a_selective_search_uses_its_index(
    catalog: Catalog, level: Level, keys: str, index: str, *, crowded: bool
) -> None:
    steps, prefix = explain(catalog, level, keys, crowded=crowded)
    assert not [step for step in steps if step.startswith("SCAN")]
    assert f" {index} (organization=?" in steps[0]
    few = index in FEW or (prefix and not crowded)
    if index in FEW or index == "PRIMARY KEY":
        assert " AND " in steps[0]
    sorting = [step for step in steps if step.startswith("USE TEMP B-TREE FOR ORDER BY")]
    assert few or not sorting


def test_a_date_narrows_a_walk_by_modality_name_or_patient(catalog: Catalog) -> None:
    for key in ("00080061=CT", "00100010=abc^d", "00100020=P1"):
        for crowded in (False, True):
            steps, _ = explain(catalog, STUDY, f"{key} 00080020=20260101-", crowded=crowded)
            assert "date>?" in steps[0]
    steps, _ = explain(catalog, STUDY, "00100010=abc* 00080020=20260101-", crowded=False)
    assert "key>? AND key<?" in steps[0]


@pytest.mark.parametrize("many", [1, 3, 1000])
def test_crowded_keys_find_the_same(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr("radkeep.database.catalog.plan.MAX_SORTED", many)
    monkeypatch.setattr("radkeep.database.catalog.search.MAX_SORTED", many)
    assert find(catalog, t00100010="mull*") == ["2", "3", "1"]
    assert find(catalog, t00100010="m*") == ["2", "3", "1"]
    assert find(catalog, t00100020="PID*") == ["5", "2", "3", "1", "4"]
    assert find(catalog, t00100010="m*", t00100020="PID*2", t00080090="ref*") == ["2"]
