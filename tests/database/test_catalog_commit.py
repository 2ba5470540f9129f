# SPDX-License-Identifier: Apache-2.0
"""The catalog enters each instance once, whatever comes twice, late, or under a taken UID."""

from pathlib import Path

import msgspec
import pytest

from radkeep.database.catalog.catalog import Catalog
from radkeep.database.catalog.statistics import Statistics
from radkeep.dicom.query import Level, Query
from radkeep.domain.errors import IntegrityError
from radkeep.domain.uid import Uid
from radkeep.ingest.ports import Clash, Verdict
from radkeep.testing.arrivals import ROOT, all_rows, arrival, ct_series, facts, snapshot

STORED, SAME, CONFLICT = Verdict.STORED, Verdict.SAME, Verdict.CONFLICT
V, W = "a" * 32, "b" * 32
KEY = bytes(range(32))


def study_row(catalog: Catalog, organization: str = "clinic") -> dict[str, dict[str, list[object]]]:
    (row,) = catalog.search(organization, Level.STUDY, Query()).rows
    decoded: dict[str, dict[str, list[object]]] = msgspec.json.decode(row)
    return decoded


def test_a_new_group_is_stored_counted_and_found(catalog: Catalog) -> None:
    assert catalog.commit(V, 900, ct_series(1, 1, 3)) == [STORED] * 3
    assert catalog.commit(V, 950, ct_series(1, 2, 2)) == [STORED] * 2
    row = study_row(catalog)
    assert row["00201206"]["Value"] == [2]
    assert row["00201208"]["Value"] == [5]
    assert row["00080061"]["Value"] == ["CT"]
    assert catalog.position(V) == 950
    assert catalog.positions() == {V: 950}
    found = catalog.instances("clinic", Uid(f"{ROOT}.1"))
    assert [(one.series, one.number) for one in found] == [
        (f"{ROOT}.1.1", 1),
        (f"{ROOT}.1.1", 2),
        (f"{ROOT}.1.1", 3),
        (f"{ROOT}.1.2", 1),
        (f"{ROOT}.1.2", 2),
    ]
    assert {(one.frames, one.patient) for one in found} == {(1, "PID0000001")}


def test_a_replay_is_stored_again_and_changes_nothing(catalog: Catalog) -> None:
    group = [*ct_series(1, 1, 3), *ct_series(2, 1, 1)]
    catalog.commit(V, 100, group)
    before = snapshot(catalog, ["clinic"]), catalog.statistics("clinic")
    assert catalog.commit(V, 100, group) == [STORED] * 4
    assert catalog.commit(V, 40, group[:1]) == [STORED]  # a replay from further back
    assert (snapshot(catalog, ["clinic"]), catalog.statistics("clinic")) == before
    assert catalog.position(V) == 100


def test_equal_bytes_elsewhere_are_the_same(catalog: Catalog) -> None:
    first = arrival(facts(), offset=0, second=1)
    again = arrival(facts(), volume=W, offset=7, second=2)
    assert catalog.commit(V, 1, [first]) == [STORED]
    assert catalog.commit(W, 8, [again]) == [SAME]
    assert catalog.commit(W, 8, [again]) == [SAME]
    (found,) = catalog.instances("clinic", Uid(f"{ROOT}.1"))
    assert found.placement == first.placement
    assert catalog.statistics("clinic").instances == 1


def test_other_bytes_in_the_same_group_and_in_another_clash(catalog: Catalog) -> None:
    first = arrival(facts())
    other = arrival(facts(), content="other", offset=1)
    third = arrival(facts(), content="third", volume=W)
    stored, clash = catalog.commit(V, 2, [first, other])
    assert stored is STORED
    assert clash == Clash(
        original=first.placement,
        transfer_syntax=first.facts.transfer_syntax,
        data_set_length=first.data_set_length,
    )
    (later,) = catalog.commit(W, 1, [third])
    assert isinstance(later, Clash)
    assert later.original == first.placement


def test_a_conflict_goes_to_quarantine_once_and_leaves_the_original(catalog: Catalog) -> None:
    catalog.commit(V, 1, [arrival(facts())])
    before = snapshot(catalog, ["clinic"])
    other = arrival(facts(texts={0x00081030: "Forged"}), content="other", offset=1, source="EVIL")
    catalog.commit(V, 2, [other])
    for _ in range(2):
        catalog.judged(V, 3, [(other, CONFLICT)])
    (held,) = catalog.quarantined("clinic")
    assert (held.sop_instance, held.digest) == (other.facts.sop_instance, other.digest)
    assert (held.placement, held.source) == (other.placement, "EVIL")
    assert catalog.position(V) == 3
    assert snapshot(catalog, ["clinic"]) == before
    assert catalog.statistics("clinic").quarantined == 1
    assert catalog.quarantined("elsewhere") == []


def test_a_clash_that_is_judged_the_same_leaves_no_row(catalog: Catalog) -> None:
    catalog.commit(V, 1, [arrival(facts())])
    other = arrival(facts(), content="re-encoded", offset=1)
    catalog.commit(V, 2, [other])
    catalog.judged(V, 3, [(other, SAME)])
    assert catalog.quarantined("clinic") == []


def test_a_clash_makes_no_study(catalog: Catalog) -> None:
    catalog.commit(V, 1, [arrival(facts())])
    stray = facts(study=2, texts={0x00080018: f"{ROOT}.1.1.1"})
    (clash,) = catalog.commit(V, 2, [arrival(stray, content="other", offset=1)])
    assert isinstance(clash, Clash)
    assert catalog.statistics("clinic").studies == 1
    assert len(list(all_rows(catalog, "clinic", Level.STUDY))) == 1


def test_organizations_share_nothing(catalog: Catalog) -> None:
    here = arrival(facts())
    there = arrival(
        facts(texts={0x00100020: "THEIRS"}), organization="other", content="x", offset=1
    )
    assert catalog.commit(V, 2, [here, there]) == [STORED, STORED]
    assert study_row(catalog)["00100020"]["Value"] == ["PID0000001"]
    assert study_row(catalog, "other")["00100020"]["Value"] == ["THEIRS"]
    assert catalog.search("nobody", Level.STUDY, Query()).rows == []
    for organization, one in (("clinic", here), ("other", there)):
        (found,) = catalog.instances(organization, one.facts.study)
        assert found.placement == one.placement
    assert catalog.instances("nobody", here.facts.study) == []


def test_later_instances_fill_what_is_empty_and_blank_or_change_nothing(catalog: Catalog) -> None:
    first = facts(1, 1, 1, texts={0x00081030: "", 0x00100040: "", 0x00080020: ""})
    report = facts(
        1, 2, 1, texts={0x00081030: "CT head", 0x00100010: "", 0x00100020: "X", 0x00080060: "SR"}
    )
    last = facts(1, 3, 1, texts={0x00081030: "Another", 0x00080060: "MR"})
    for offset, one in enumerate((first, report, last)):
        catalog.commit(V, offset, [arrival(one, offset=offset, second=offset)])
    row = study_row(catalog)
    assert row["00081030"]["Value"] == ["CT head"]
    assert row["00100010"]["Value"] == [{"Alphabetic": "Phantom^Patient1"}]
    assert row["00100020"]["Value"] == ["PID0000001"]
    assert row["00080020"]["Value"] == ["20260202"]  # from the report: the first to say it
    assert row["00100040"]["Value"] == ["F"]
    assert row["00080061"]["Value"] == ["CT", "MR", "SR"]


def test_a_study_without_modality_still_has_a_value_array(catalog: Catalog) -> None:
    catalog.commit(V, 1, [arrival(facts(texts={0x00080060: ""}))])
    assert study_row(catalog)["00080061"] == {"vr": "CS", "Value": []}
    filled = facts(1, 1, 2)
    catalog.commit(V, 2, [arrival(filled, offset=1, second=5)])
    assert study_row(catalog)["00080061"]["Value"] == ["CT"]


def test_one_series_uid_in_two_studies_is_two_series(catalog: Catalog) -> None:
    shared = {0x0020000E: f"{ROOT}.9.9"}
    catalog.commit(
        V,
        1,
        [arrival(facts(1, 1, 1, texts=shared)), arrival(facts(2, 1, 1, texts=shared), offset=1)],
    )
    assert catalog.statistics("clinic").series == 2
    for study in (1, 2):
        (found,) = catalog.instances("clinic", Uid(f"{ROOT}.{study}"), Uid(f"{ROOT}.9.9"))
        assert found.sop_instance == f"{ROOT}.{study}.1.1"


def test_instances_narrows_to_series_and_instance(catalog: Catalog) -> None:
    catalog.commit(V, 1, [*ct_series(1, 1, 2), *ct_series(1, 2, 2)])
    study, series = Uid(f"{ROOT}.1"), Uid(f"{ROOT}.1.2")
    one = Uid(f"{ROOT}.1.2.1")
    assert len(catalog.instances("clinic", study)) == 4
    assert len(catalog.instances("clinic", study, series)) == 2
    assert [found.sop_instance for found in catalog.instances("clinic", study, series, one)] == [
        one
    ]
    assert [found.series for found in catalog.instances("clinic", study, None, one)] == [series]
    assert catalog.instances("clinic", study, Uid(f"{ROOT}.1.1"), one) == []
    assert catalog.instances("clinic", Uid(f"{ROOT}.2"), None, one) == []


def test_what_has_no_pixels_has_no_frames(catalog: Catalog) -> None:
    report = facts(1, 1, 1)
    raw = {tag: value for tag, value in report.raw.items() if tag not in (0x00280010, 0x00280011)}
    movie = facts(1, 1, 2, texts={0x00280008: "30"})
    odd = facts(1, 1, 3, texts={0x00280008: "-4"})
    pieces = [type(report).of(raw, report.transfer_syntax), movie, odd]
    catalog.commit(V, 1, [arrival(one, offset=at) for at, one in enumerate(pieces)])
    assert [one.frames for one in catalog.instances("clinic", report.study)] == [0, 30, 1]


def test_statistics_are_what_a_count_would_say(catalog: Catalog) -> None:
    assert catalog.statistics("clinic") == Statistics()
    catalog.commit(V, 1, [*ct_series(1, 1, 3), *ct_series(1, 2, 2), *ct_series(2, 1, 4)])
    catalog.commit(V, 2, ct_series(2, 1, 4))
    assert catalog.statistics("clinic") == Statistics(
        studies=2,
        series=3,
        instances=9,
        bytes=9 * 525_000,
        received="2026-03-01T12:00:03.000+00:00",
    )
    with catalog.database.read() as connection:
        counted = connection.execute(
            "SELECT y.series, y.instances, (SELECT count(*) FROM series WHERE study = y.id),"
            " (SELECT count(*) FROM series s JOIN instance i ON i.series = s.id"
            "  WHERE s.study = y.id) FROM study y"
        ).fetchall()
    assert counted == [(2, 5, 2, 5), (1, 4, 1, 4)]


def test_a_failed_group_leaves_nothing_and_is_forgotten(catalog: Catalog) -> None:
    good, bad = ct_series(1, 1, 2)
    broken = arrival(bad.facts, offset=-(2**70))  # no integer of SQL
    with pytest.raises(OverflowError):
        catalog.commit(V, 5, [good, broken])
    assert catalog.statistics("clinic") == Statistics()
    assert catalog.position(V) == 0
    assert catalog.commit(V, 5, [good, bad]) == [STORED, STORED]
    assert catalog.statistics("clinic").studies == 1


def test_what_another_process_deleted_is_made_again(catalog: Catalog, tmp_path: Path) -> None:
    catalog.commit(V, 1, ct_series(1, 1, 2))
    other = Catalog.open(tmp_path / "catalog.db", KEY)
    with other.database.write() as connection:
        connection.execute("DELETE FROM study")
    other.commit(V, 2, ct_series(2, 1, 1))
    other.close()
    assert catalog.commit(V, 3, [arrival(facts(1, 1, 3), offset=9)]) == [STORED]
    (found,) = catalog.instances("clinic", Uid(f"{ROOT}.1"))
    assert found.number == 3


def test_the_memory_of_studies_is_bounded(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radkeep.database.catalog.known.MAX_STUDIES", 3)
    for study in range(1, 9):
        catalog.commit(V, study, ct_series(study, 1, 2))
    assert len(catalog._writer._known.studies) == 3
    catalog.commit(V, 9, [arrival(facts(1, 1, 3), offset=99)])
    assert len(catalog.instances("clinic", Uid(f"{ROOT}.1"))) == 3


def test_nobody_sees_a_row_before_its_record_is_durable(catalog: Catalog) -> None:
    seen: list[int] = []

    def durable() -> None:
        seen.append(len(catalog.search("clinic", Level.INSTANCE, Query()).rows))

    assert catalog.commit(V, 900, ct_series(1, 1, 3), durable=durable) == [STORED] * 3
    assert seen == [0]
    assert len(catalog.search("clinic", Level.INSTANCE, Query()).rows) == 3


def test_what_did_not_become_durable_is_not_entered(catalog: Catalog) -> None:
    def fails() -> None:
        raise IntegrityError("the disk failed")

    with pytest.raises(IntegrityError):
        catalog.commit(V, 900, ct_series(1, 1, 3), durable=fails)
    assert catalog.positions() == {}
    assert catalog.commit(V, 900, ct_series(1, 1, 3)) == [STORED] * 3
