# SPDX-License-Identifier: Apache-2.0
"""The list of studies and a study's page, over a real catalog."""

import re
from pathlib import Path

import pytest
from portal_house import OWNER, House, build, words

from radkeep.audit.events import EventId
from radkeep.identity import actors
from radkeep.testing.arrivals import arrival, ct_series, facts


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(tmp_path)


def fill(house: House, studies: int) -> None:
    for number in range(1, studies + 1):
        house.catalog.commit(
            "a" * 32, number, ct_series(number, 1, 1, organization=house.organization)
        )


def test_the_list_pages_newest_first(house: House) -> None:
    house.ready()
    fill(house, 60)
    first = house.get("/studies")
    dates = re.findall(r'data-label="Study date">([0-9-]{10})', first.text)
    assert len(dates) == 50
    assert dates == sorted(dates, reverse=True)
    assert 'href="/studies?page=2"' in first.text
    second = house.get("/studies?page=2")
    assert "51 to 60" in words(second)
    assert house.get("/studies?page=3").status_code == 200
    for number in ("0", "x", "99999", "-1"):
        assert house.get(f"/studies?page={number}").status_code == 400


def test_a_search_is_found_again_without_naming_its_keys(house: House) -> None:
    house.ready()
    fill(house, 12)
    sent = house.post("/studies", name="patient7")
    address = sent.headers["location"]
    assert sent.status_code == 303
    assert "patient7" not in address
    page = house.get(address)
    assert re.findall(r'<th scope="row"[^>]*><a [^>]*>([^<]+)', page.text) == ["Phantom, Patient7"]
    assert 'value="patient7"' in page.text
    nothing = house.get(house.post("/studies", patient_id="nobody").headers["location"])
    assert "No study matches" in words(nothing)
    assert "no longer kept" in words(house.get("/studies?view=unknown"))
    query = house.audit.of(EventId.QUERY)[-1]
    assert "nobody" not in str(query)


def test_wrong_input_is_kept_and_marked(house: House) -> None:
    house.ready()
    page = house.post("/studies", name="doe", date_from="2026-02-02", date_to="2026-01-01")
    assert page.status_code == 400
    assert 'value="doe"' in page.text
    assert 'aria-invalid="true"' in page.text
    assert "before the first date" in words(page)


def test_a_study_says_whose_it_is_and_where_it_came_from(house: House) -> None:
    house.ready()
    evil = "<script>alert(1)</script>"
    item = arrival(
        facts(1, texts={0x00100010: evil, 0x0008103E: evil, 0x00081030: evil}),
        organization=house.organization,
    )
    house.catalog.commit("a" * 32, 1, [item])
    uid = str(item.facts.study)
    for path in (f"/studies/{uid}", "/studies"):
        page = house.get(path)
        assert page.status_code == 200
        assert evil not in page.text
        assert f"/viewer/viewer?StudyInstanceUIDs={uid}" in page.text
    text = words(house.get(f"/studies/{uid}"))
    for shown in ("PID0000001", "1970-01-01", "female", "CT1", "10.0.0.7", "C-STORE", uid):
        assert shown in text
    assert house.audit.of(EventId.INSTANCES_ACCESSED)
    assert house.get("/studies/1.2.3").status_code == 404
    assert house.get("/studies/1..2").status_code == 400


def test_who_may_only_list_is_not_led_to_the_viewer(house: House) -> None:
    house.ready()
    fill(house, 1)
    registry_account = house.identity.accounts.find(
        actors.local(0, organization=house.organization), OWNER
    )
    house.identity.accounts.set_roles(
        actors.local(0, organization=house.organization), registry_account.email, ["secretary"]
    )
    page = house.get("/studies")
    assert page.status_code == 200
    assert "/viewer/" not in page.text
    study = re.search(r'href="(/studies/[0-9.]+)"', page.text)
    assert study is not None
    assert "Open in viewer" not in house.get(study[1]).text
    assert house.get("/viewer/viewer?StudyInstanceUIDs=1.2").status_code == 403
