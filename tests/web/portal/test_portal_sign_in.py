# SPDX-License-Identifier: Apache-2.0
"""From an enrolment link to a session and out of it again, and what holds for every page."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from portal_house import OWNER, PASSWORD, House, build, words

from radkeep.identity import actors
from radkeep.web.kit.explanations import EXPLANATIONS
from radkeep.web.kit.problems import Problem, problem_response


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(tmp_path)


def test_from_link_to_studies(house: House) -> None:
    done = house.enrol()
    assert "shown once" in words(done)
    assert len(house.codes) == 10
    again = house.get(f"/enrol?token={house.link}")
    assert again.status_code == 401
    assert "no longer works" in words(again)
    step = house.post("/sign-in", email=OWNER, password=PASSWORD)
    assert step.headers["location"] == "/sign-in/code"
    assert house.get("/studies").status_code == 303  # a password alone opens nothing
    assert house.post("/sign-in/code", code=house.code()).headers["location"] == "/"
    assert house.get("/").headers["location"] == "/studies"
    assert "No studies yet" in words(house.get("/studies"))


def test_each_enrolment_mistake_keeps_the_link(house: House) -> None:
    token = house.link
    for form, says in (
        ({"password": PASSWORD, "again": "other", "code": "1"}, "passwords differ"),
        ({"password": PASSWORD, "again": PASSWORD, "code": "000000"}, "code did not match"),
    ):
        page = house.post("/enrol", token=token, **form)
        assert page.status_code == 400
        assert says in words(page)
        assert PASSWORD not in page.text
    house.enrol()
    assert house.codes


def test_a_weak_password_says_why(house: House) -> None:
    house.secret = house.offered_secret()
    weak = house.post(
        "/enrol", token=house.link, password="short", again="short", code=house.code()
    )
    assert weak.status_code == 400
    assert "at least 12 characters" in words(weak)


def test_a_wrong_password_keeps_the_address_and_not_the_password(house: House) -> None:
    house.enrol()
    page = house.post("/sign-in", email=OWNER, password="not this one", next="/studies/1.2")
    assert page.status_code == 401
    assert "www-authenticate" not in page.headers
    assert f'value="{OWNER}"' in page.text
    assert 'value="/studies/1.2"' in page.text
    assert "not this one" not in page.text


def test_guessing_is_slowed_and_says_how_long(house: House) -> None:
    house.enrol()
    pages = [house.post("/sign-in", email=OWNER, password="wrong") for _ in range(5)]
    assert pages[-1].status_code == 429
    assert int(pages[-1].headers["retry-after"]) >= 1
    assert "Wait" in words(pages[-1])


def test_a_deep_link_survives_signing_in(house: House) -> None:
    house.enrol()
    deep = "/viewer/viewer?StudyInstanceUIDs=1.2.3&hangingProtocolId=mpr"
    sent = house.get(deep)
    assert sent.status_code == 303
    target = parse_qs(urlsplit(sent.headers["location"]).query)["next"][0]
    assert target == deep
    page = house.get(sent.headers["location"])
    assert f'name="next" value="{target}"'.replace("&", "&amp;") in page.text
    assert house.sign_in(target).headers["location"] == deep


@pytest.mark.parametrize("evil", ["//evil.test", "https://evil.test/", "/\\evil.test", "/sign-out"])
def test_nobody_is_sent_to_another_site(house: House, evil: str) -> None:
    house.enrol()
    assert house.sign_in(evil).headers["location"] == "/"
    assert house.get(f"/sign-in?next={evil}").headers["location"] == "/"


def test_a_link_on_another_site_reaches_a_signed_in_person(house: House) -> None:
    arriving = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    page = house.client.get("/studies/1.2?x=1", headers=arriving)  # no cookie: SameSite=Strict
    assert page.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/studies/1.2?x=1">' in page.text


def test_a_recovery_code_signs_in_once(house: House) -> None:
    house.enrol()
    for status in (303, 401):
        house.client.cookies.clear()
        house.post("/sign-in", email=OWNER, password=PASSWORD)
        assert house.post("/sign-in/code", code=house.codes[0]).status_code == status


def test_the_code_page_needs_the_password_first(house: House) -> None:
    assert house.get("/sign-in/code?next=/account").headers["location"] == "/sign-in?next=/account"
    late = house.post("/sign-in/code", code="123456")
    assert late.status_code == 401
    assert "begin again" in words(late)


def test_a_browser_is_remembered_when_asked_and_forgotten_when_asked(house: House) -> None:
    house.ready()
    out = house.post("/sign-out")
    assert out.headers["clear-site-data"] == '"cache", "storage"'
    assert house.post("/sign-in", email=OWNER, password=PASSWORD).headers["location"] == "/"
    out = house.post("/sign-out", forget="yes")
    assert '"cookies"' in out.headers["clear-site-data"]
    house.client.cookies.clear()
    step = house.post("/sign-in", email=OWNER, password=PASSWORD)
    assert step.headers["location"] == "/sign-in/code"
    house.post("/sign-in/code", code=house.code())
    assert "__Host-radkeep-browser" not in house.client.cookies


def test_signing_out_ends_the_session_on_the_server(house: House) -> None:
    house.ready()
    kept = house.client.cookies["__Host-radkeep"]
    assert house.post("/sign-out").headers["location"] == "/sign-in"
    house.client.cookies.set("__Host-radkeep", kept, domain="localhost.local")
    assert house.get("/studies").headers["location"].startswith("/sign-in")


def test_an_idle_session_locks_and_the_password_leads_back(house: House) -> None:
    house.ready()
    house.clock.pass_(minutes=16)
    sent = house.get("/studies?page=2")
    assert sent.headers["location"] == "/unlock?next=/studies%3Fpage%3D2"
    assert house.get("/sign-in?next=/account").headers["location"] == "/unlock?next=/account"
    assert OWNER in house.get("/unlock?next=/studies").text
    wrong = house.post("/unlock", password="wrong", next="/studies?page=2")
    assert (wrong.status_code, "wrong" in words(wrong)) == (401, True)
    back = house.post("/unlock", password=PASSWORD, next="/studies?page=2")
    assert back.headers["location"] == "/studies?page=2"
    assert house.get("/account").status_code == 200


@pytest.mark.parametrize("path", ["/sign-in", "/studies", "/sign-out", "/unlock", "/enrol"])
def test_another_site_can_post_nothing(house: House, path: str) -> None:
    house.ready()
    for headers in ({"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}):
        page = house.client.post(path, data={"name": "x"}, headers=headers)
        assert page.status_code == 403
        assert "Nothing was changed" in words(page)
    assert house.get("/studies").status_code == 200


def test_every_answer_has_the_policy_and_no_cache_keeps_pages(house: House) -> None:
    house.ready()
    for path in ("/sign-in", "/studies", "/account", "/nowhere", "/studies/1.2.3", "/demo"):
        page = house.get(path)
        assert "default-src 'none'" in page.headers["content-security-policy"], path
        assert "no-store" in page.headers["cache-control"], path
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
    for name in ("portal.css", "icon.svg"):
        file = house.get(f"/static/{name}")
        assert file.status_code == 200
        assert (
            house.get(f"/static/{name}", **{"if-none-match": file.headers["etag"]}).status_code
            == 304
        )
    assert house.get("/static/..%2fpages.py").status_code == 404


def test_cookies_are_for_this_host_and_no_script(house: House) -> None:
    house.enrol()
    step = house.post("/sign-in", email=OWNER, password=PASSWORD)
    done = house.post("/sign-in/code", code=house.code(), remember="yes")
    lines = step.headers.get_list("set-cookie") + done.headers.get_list("set-cookie")
    assert len(lines) == 4
    for line in lines:
        assert line.startswith("__Host-radkeep")
        for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
            assert word in line
        assert "Domain" not in line


def test_a_demo_is_entered_by_its_link_and_switches_people(tmp_path: Path) -> None:
    house = build(tmp_path, demo=True)
    assert "DEMO" in words(house.get("/sign-in"))
    token = house.identity.demo.create_link(actors.local(0)).token
    assert house.get(f"/demo?token={token}").headers["location"] == "/"
    gone = house.get(f"/demo?token={token}")
    assert (gone.status_code, "prints another" in words(gone)) == (401, True)
    page = house.get("/demo")
    assert "Rosa Radiologist" in page.text
    button = r'name="account" value="(\w+)"><button[^>]*>Become<span class="unseen"> ([^<]+)<'
    people = dict(re.findall(button, page.text))
    officer = next(key for key, name in people.items() if "Sol" in name)
    assert house.post("/demo", account=officer).headers["location"] == "/"
    assert house.get("/").headers["location"] == "/account"  # may see no studies
    assert "security@demo.invalid" in house.get("/account").text
    refused = house.get("/studies")
    assert (refused.status_code, "Not permitted" in words(refused)) == (403, True)


def test_outside_a_demo_there_is_no_switch(house: House) -> None:
    house.ready()
    assert "DEMO" not in words(house.get("/studies"))
    assert house.get("/demo").status_code == 403
    assert house.get("/demo?token=x").status_code == 403
    assert house.post("/demo", account="x").status_code == 403


@pytest.mark.parametrize("code", EXPLANATIONS)
def test_every_problem_type_has_a_page_for_everybody(house: House, code: str) -> None:
    told = Problem(status=HTTPStatus.BAD_REQUEST, code=code, detail="")
    page = house.get(json.loads(bytes(problem_response(told).body))["type"])
    assert page.status_code == 200
    for text in EXPLANATIONS[code]:
        assert text in words(page)


def test_other_problem_types_have_none(house: House) -> None:
    for path in ("/problems/", "/problems/nothing", "/problems/<b>", "/problems/not-found/x"):
        assert house.get(path).status_code == 404


def test_a_problem_page_keeps_the_way_on_for_who_is_signed_in(house: House) -> None:
    assert OWNER not in words(house.get("/problems/not-found"))
    house.ready()
    page = house.get("/studies/1.2.3")
    assert page.status_code == 404
    assert OWNER in words(page)
    assert 'href="/studies"' in page.text
    assert "Sign out" in words(page)
    house.clock.pass_(minutes=16)
    locked = house.post("/studies", name="doe")
    assert (locked.status_code, OWNER in words(locked)) == (401, False)


def test_a_browser_that_hides_the_origin_of_our_own_page_is_heard(house: House) -> None:
    house.ready()
    for site, status in (("same-origin", 303), ("cross-site", 403), ("same-site", 403)):
        headers = {"origin": "null", "sec-fetch-site": site}
        assert (
            house.client.post(
                "/studies",
                data={},
                headers=headers | {"content-type": "application/x-www-form-urlencoded"},
            ).status_code
            == status
        )
    assert house.client.post("/sign-out", headers={"origin": "null"}).status_code == 403
