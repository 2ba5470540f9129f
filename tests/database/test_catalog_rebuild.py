# SPDX-License-Identifier: Apache-2.0
"""A catalog that is made anew, in any order of the volumes, gives the same answers."""

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radkeep.database.catalog.catalog import Catalog, rebuilding
from radkeep.domain.errors import IntegrityError
from radkeep.ingest.ports import Arrival, Clash, Verdict
from radkeep.testing.arrivals import arrival, ct_series, facts, snapshot

KEY = bytes(range(32))
ORGANIZATIONS = ["clinic", "other"]
TEXTS = st.dictionaries(
    st.sampled_from([0x00080020, 0x00081030, 0x00100010, 0x00080060, 0x0008103E, 0x00200011]),
    st.sampled_from(["", "1", "20260101", "Müller^Zoë"]),
    max_size=3,
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Draw arrivals of few studies in two volumes; a UID always comes with the same content."""
    seen: dict[tuple[str, int, int, int], dict[int, str]] = {}
    made: list[Arrival] = []
    for offset in range(draw(st.integers(1, 10))):
        organization = draw(st.sampled_from(ORGANIZATIONS))
        study, series, number = (draw(st.integers(1, 2)) for _ in range(3))
        texts = seen.setdefault((organization, study, series, number), draw(TEXTS))
        made.append(
            arrival(
                facts(study, series, number, texts=texts),
                organization=organization,
                volume=draw(st.sampled_from(["a" * 32, "b" * 32])),
                offset=offset,
                second=draw(st.integers(0, 3)),
            )
        )
    return made


def enter(catalog: Catalog, arrivals: list[Arrival], size: int) -> None:
    rest = iter(arrivals)
    while group := list(islice(rest, size)):
        assert not any(isinstance(answer, Clash) for answer in catalog.commit("a" * 32, 1, group))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrivals(), st.randoms(use_true_random=False), st.integers(1, 4), st.integers(1, 4))
def test_the_order_of_entry_does_not_matter(
    tmp_path: Path, made: list[Arrival], shuffler: object, one: int, two: int
) -> None:
    answers = []
    again = list(made)
    shuffler.shuffle(again)  # type: ignore[attr-defined] # typeshed knows random.Random only
    for order, size in ((made, one), (again, two)):
        with rebuilding(tmp_path / "catalog.db", KEY) as catalog:
            enter(catalog, order, size)
            enter(catalog, order[:2], 1)  # and a replay
        catalog = Catalog.open(tmp_path / "catalog.db", KEY)
        numbers = [catalog.statistics(name) for name in ORGANIZATIONS]
        answers.append((snapshot(catalog, ORGANIZATIONS), numbers))
        catalog.close()
    assert answers[0] == answers[1]


def test_a_rebuild_takes_the_place_of_the_old_file(catalog: Catalog, tmp_path: Path) -> None:
    made = [*ct_series(1, 1, 3), *ct_series(2, 1, 2)]
    conflict = arrival(facts(), content="other", offset=5)
    catalog.commit("a" * 32, 10, made)
    catalog.commit("a" * 32, 11, [conflict])
    catalog.judged("a" * 32, 12, [(conflict, Verdict.CONFLICT)])
    before = snapshot(catalog, ["clinic"]), catalog.quarantined("clinic"), catalog.positions()
    catalog.close()
    with rebuilding(tmp_path / "catalog.db", KEY) as fresh:
        fresh.commit("a" * 32, 10, made)
        fresh.judged("a" * 32, 12, [(conflict, Verdict.CONFLICT)])
    assert [file.name for file in tmp_path.iterdir()] == ["catalog.db"]
    again = Catalog.open(tmp_path / "catalog.db", KEY)
    after = snapshot(again, ["clinic"]), again.quarantined("clinic"), again.positions()
    assert after == before
    assert again.integrity() == []
    again.close()


def test_a_rebuild_that_fails_keeps_the_old_file(catalog: Catalog, tmp_path: Path) -> None:
    catalog.commit("a" * 32, 10, ct_series(1, 1, 3))
    before = snapshot(catalog, ["clinic"])
    catalog.close()
    with pytest.raises(ZeroDivisionError):
        _fail(tmp_path / "catalog.db")
    again = Catalog.open(tmp_path / "catalog.db", KEY)
    assert snapshot(again, ["clinic"]) == before
    again.close()
    assert not list(tmp_path.glob("*.rebuild*"))


def _fail(path: Path) -> None:
    with rebuilding(path, KEY) as fresh:
        fresh.commit("a" * 32, 10, ct_series(9, 1, 1))
        raise ZeroDivisionError


def test_a_damaged_catalog_is_refused_and_can_be_rebuilt(catalog: Catalog, tmp_path: Path) -> None:
    catalog.commit("a" * 32, 10, ct_series(1, 1, 3))
    before = snapshot(catalog, ["clinic"])
    catalog.close()
    raw = bytearray((tmp_path / "catalog.db").read_bytes())
    raw[40] ^= 1
    (tmp_path / "catalog.db").write_bytes(raw)
    with pytest.raises(IntegrityError):
        Catalog.open(tmp_path / "catalog.db", KEY)
    with rebuilding(tmp_path / "catalog.db", KEY) as fresh:
        fresh.commit("a" * 32, 10, ct_series(1, 1, 3))
    again = Catalog.open(tmp_path / "catalog.db", KEY)
    assert snapshot(again, ["clinic"]) == before
    again.close()
