# SPDX-License-Identifier: Apache-2.0
"""What is deleted is not there, in rows and in counts, whatever the order of things."""

from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radkeep.database.catalog.catalog import Catalog
from radkeep.ingest.ports import Arrival, Verdict
from radkeep.retrieval.ports import HiddenChange
from radkeep.testing.arrivals import arrival, facts, snapshot

KEY = bytes(range(32))
VOLUME = "a" * 32
ORGANIZATIONS = ["clinic", "other"]
MODALITIES = ["CT", "MR", ""]
names = st.tuples(
    st.sampled_from(ORGANIZATIONS), st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)
)
deeds = st.lists(st.tuples(st.sampled_from(["enter", "hide", "show"]), names), max_size=25)


def made(name: tuple[str, int, int, int], offset: int) -> Arrival:
    organization, study, series, number = name
    # One content and one time for a name, and study attributes that all instances share.
    texts = {0x00080060: MODALITIES[(study + series) % 3], 0x00100010: f"Name{study}"}
    return arrival(
        facts(study, series, number, texts=texts),
        organization=organization,
        volume=VOLUME,
        offset=offset,
        second=1,
    )


class Told:
    """The registry, as short as can be."""

    def __init__(self) -> None:
        self.version = 0
        self.hidden: dict[tuple[str, str], tuple[int, bool]] = {}

    def change(self, name: tuple[str, str], *, deleted: bool) -> None:
        self.version += 1
        self.hidden[name] = (self.version, deleted)

    def __call__(self, since: int) -> tuple[int, Sequence[HiddenChange]]:
        rows = [(*name, on) for name, (at, on) in self.hidden.items() if at > since]
        return self.version, rows


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=deeds, late=st.booleans())
def test_it_looks_as_if_the_deleted_had_never_come(
    tmp_path: Path, *, steps: list[tuple[str, tuple[str, int, int, int]]], late: bool
) -> None:
    for file in tmp_path.glob("*.db*"):
        file.unlink()
    catalog, told = Catalog.open(tmp_path / "all.db", KEY), Told()
    entered: dict[tuple[str, str], Arrival] = {}
    for offset, (deed, name) in enumerate(steps):
        new = made(name, offset)
        key = (new.organization, str(new.facts.sop_instance))
        hidden = told.hidden.get(key, (0, False))[1] and key in entered
        if deed == "enter":
            (answer,) = catalog.commit(VOLUME, offset, [entered.get(key, new)])
            if key in entered and hidden:
                assert answer in {Verdict.STORED, Verdict.DELETED}
            entered.setdefault(key, new)
        elif key in entered:
            told.change(key, deleted=deed == "hide")
            if not late:
                assert catalog.overlay(told) == told.version
    catalog.overlay(told, anew=late)
    assert catalog.overlaid() == told.version
    left = Catalog.open(tmp_path / "left.db", KEY)
    shown = [a for key, a in entered.items() if not told.hidden.get(key, (0, False))[1]]
    left.commit(VOLUME, len(steps), shown)
    assert snapshot(catalog, ORGANIZATIONS) == snapshot(left, ORGANIZATIONS)
    for organization in ORGANIZATIONS:
        one, two = catalog.statistics(organization), left.statistics(organization)
        counts = ("studies", "series", "instances", "bytes")
        assert [getattr(one, c) for c in counts] == [getattr(two, c) for c in counts]
    assert catalog.integrity() == []
    catalog.close()
    left.close()


def test_an_equal_one_of_a_deleted_is_told_so(catalog: Catalog) -> None:
    first, again = made(("clinic", 1, 1, 1), 0), made(("clinic", 1, 1, 1), 5)
    told = Told()
    assert catalog.commit(VOLUME, 1, [first]) == [Verdict.STORED]
    told.change(("clinic", str(first.facts.sop_instance)), deleted=True)
    catalog.overlay(told)
    assert catalog.commit(VOLUME, 2, [again]) == [Verdict.DELETED]
    assert catalog.commit(VOLUME, 2, [first]) == [Verdict.STORED]  # a replay
    assert catalog.instances("clinic", first.facts.study) == []


def test_an_older_registry_that_was_put_back_holds(catalog: Catalog) -> None:
    one, two = made(("clinic", 1, 1, 1), 0), made(("clinic", 1, 1, 2), 1)
    catalog.commit(VOLUME, 1, [one, two])
    older, newer = Told(), Told()
    older.change(("clinic", str(one.facts.sop_instance)), deleted=True)
    newer.change(("clinic", str(two.facts.sop_instance)), deleted=True)
    newer.change(("clinic", str(one.facts.sop_instance)), deleted=False)
    catalog.overlay(newer)
    assert catalog.overlay(older) == 1
    (left,) = catalog.instances("clinic", one.facts.study)
    assert left.sop_instance == two.facts.sop_instance
