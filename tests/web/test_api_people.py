# SPDX-License-Identifier: Apache-2.0
"""/api/v1: sessions, users, enrolment, recovery."""

import base64
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from radkeep.crypto import otp
from radkeep.identity import actors
from radkeep.web.kit.authentication import BROWSER_COOKIE, SESSION_COOKIE

if TYPE_CHECKING:
    import httpx2
    from tests.web.conftest import Web

API = "/api/v1"
EMAIL = "ada@clinic.example"
PASSWORD = "a long walk by the river"


def secret(totp_uri: str) -> bytes:
    text = parse_qs(urlsplit(totp_uri).query)["secret"][0]
    return base64.b32decode(text + "=" * (-len(text) % 8))


def code(web: "Web", totp_uri: str) -> str:
    return otp.code_at(secret(totp_uri), int(web.house.clock.now().timestamp()) // otp.STEP)


@pytest.fixture
def totp_uri(web: "Web") -> str:
    """Return the authenticator's secret of Ada, who is enrolled."""
    operator = web.as_operator()
    invited = operator.send(
        "POST", f"{API}/users", json={"email": EMAIL, "name": "Ada", "roles": ["administrator"]}
    )
    assert invited.status_code == 201
    link = invited.json()["enrolment"]
    assert link["url"] == f"https://pacs.test/enrol?token={link['token']}"
    enrolled = operator.send(
        "POST", f"{API}/enrolment/at-host", json={"token": link["token"], "password": PASSWORD}
    )
    assert enrolled.status_code == 200
    assert len(enrolled.json()["recovery_codes"]) == 10
    return str(enrolled.json()["totp_uri"])


def sign_in(web: "Web", totp_uri: str, **more: str) -> "httpx2.Response":
    given = {"email": EMAIL, "password": PASSWORD, "code": code(web, totp_uri)} | more
    return web.send("POST", f"{API}/session", json=given, token="")


def cookies(answer: "httpx2.Response") -> dict[str, str]:
    return dict(answer.cookies)


def test_both_factors_make_a_session_and_signing_out_ends_it(web: "Web", totp_uri: str) -> None:
    answer = sign_in(web, totp_uri)
    assert answer.status_code == 200
    for line in answer.headers.get_list("set-cookie"):
        assert all(word in line for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"))
        assert "Domain" not in line
    kept = cookies(answer)
    assert set(kept) == {SESSION_COOKIE, BROWSER_COOKIE}
    headers = {"Cookie": f"{SESSION_COOKIE}={kept[SESSION_COOKIE]}"}
    who = web.send("GET", f"{API}/session", token="", headers=headers).json()
    assert (who["kind"], who["name"]) == ("person", EMAIL)
    assert "account:manage" in who["permissions"]
    ended = web.send("DELETE", f"{API}/session", token="", headers=headers)
    assert ended.status_code == 204
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert web.send("GET", f"{API}/session", token="", headers=headers).status_code == 401


def test_a_locked_session_says_so(web: "Web", totp_uri: str) -> None:
    kept = cookies(sign_in(web, totp_uri))
    web.house.clock.pass_(minutes=16)
    headers = {"Cookie": f"{SESSION_COOKIE}={kept[SESSION_COOKIE]}"}
    answer = web.send("GET", f"{API}/session", token="", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/session-locked")


def test_wrong_factors_are_all_alike(web: "Web", totp_uri: str) -> None:
    answers = [
        sign_in(web, totp_uri, password="wrong password here"),
        sign_in(web, totp_uri, email="nobody@clinic.example"),
        sign_in(web, totp_uri, code="000000"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert not any(answer.cookies for answer in answers)


def test_guessing_is_slowed(web: "Web", totp_uri: str) -> None:
    answers = [sign_in(web, totp_uri, password=f"wrong {n}") for n in range(10)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"email": "a", "password": "b"}',
        b'{"email": "a", "password": "b", "code": 123456}',
        b'{"email": "a", "password": "b", "code": "1", "admin": true}',
        b'{"email": "\xff"}',
    ],
)
def test_bodies_have_one_shape(web: "Web", body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = web.send("POST", f"{API}/session", content=body, token="", headers=headers)
    assert answer.status_code == 400


def test_no_field_sets_the_password_of_another(web: "Web", totp_uri: str) -> None:
    new = {"email": "b@clinic.example", "roles": ["radiologist"], "password": PASSWORD}
    assert web.send("POST", f"{API}/users", json=new).status_code == 400


def test_links_are_redeemed_with_a_code(web: "Web") -> None:
    new = {"email": EMAIL, "roles": ["radiologist"]}
    link = web.send("POST", f"{API}/users", json=new).json()["enrolment"]["token"]
    again = web.send("POST", f"{API}/users/{EMAIL}/enrolment")
    assert again.status_code == 201
    body = {"password": PASSWORD, "code": "000000"}
    stale = web.send("POST", f"{API}/enrolment", json={"token": link} | body, token="")
    assert (stale.status_code, stale.json()["type"]) == (401, "/problems/link-expired")
    fresh = again.json()["token"]
    wrong = web.send("POST", f"{API}/enrolment", json={"token": fresh} | body, token="")
    assert wrong.status_code == 401
    uri = web.house.enrolment.offer(fresh).totp_uri
    right = {"token": fresh, "password": PASSWORD, "code": code(web, uri)}
    assert web.send("POST", f"{API}/enrolment", json=right, token="").status_code == 200
    listed = web.send("GET", f"{API}/users").json()
    assert [(each["email"], each["enrolled"]) for each in listed] == [(EMAIL, True)]


def test_only_the_host_enrols_without_a_code_and_recovers(web: "Web", totp_uri: str) -> None:
    body = {"token": "x", "password": PASSWORD}
    assert web.send("POST", f"{API}/enrolment/at-host", json=body).status_code == 403
    assert web.send("POST", f"{API}/users/{EMAIL}/recovery").status_code == 403
    recovered = web.as_operator().send("POST", f"{API}/users/{EMAIL}/recovery")
    assert recovered.status_code == 201
    assert sign_in(web, totp_uri).status_code == 401


def test_disabling_ends_sessions(web: "Web", totp_uri: str) -> None:
    kept = cookies(sign_in(web, totp_uri))
    headers = {"Cookie": f"{SESSION_COOKIE}={kept[SESSION_COOKIE]}"}
    assert web.send("POST", f"{API}/users/{EMAIL}/disable").status_code == 204
    assert web.send("GET", f"{API}/session", token="", headers=headers).status_code == 401
    assert web.send("POST", f"{API}/users/{EMAIL}/enable").status_code == 204
    roles = {"roles": ["secretary"]}
    assert web.send("PUT", f"{API}/users/{EMAIL}/roles", json=roles).status_code == 204
    assert web.send("DELETE", f"{API}/users/{EMAIL}/sessions").json() == {"ended": 0}
    assert web.send("GET", f"{API}/users").json()[0]["roles"] == ["secretary"]


def test_of_two_organizations_the_operator_names_one(web: "Web") -> None:
    operator = web.as_operator()
    web.house.organizations.create(actors.local(0), "Praxis Müller")
    new = {"email": EMAIL, "roles": ["radiologist"]}
    assert operator.send("POST", f"{API}/users", json=new).status_code == 400
    named = {"Radkeep-Organization": "Praxis%20M%C3%BCller"}
    assert operator.send("POST", f"{API}/users", json=new, headers=named).status_code == 201
    wrong = {"Radkeep-Organization": "Nobody"}
    assert operator.send("GET", f"{API}/users", headers=wrong).status_code == 404
    assert web.send("GET", f"{API}/users").json() == []
    names = [each["name"] for each in operator.send("GET", f"{API}/organizations").json()]
    assert sorted(names) == ["Clinic", "Praxis Müller"]
