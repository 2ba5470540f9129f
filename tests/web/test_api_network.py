# SPDX-License-Identifier: Apache-2.0
"""/api/v1: devices, zones, tokens, status, audit."""

from typing import TYPE_CHECKING, Any

import pytest
from pynetdicom import AE

from radkeep.audit.events import EventType

if TYPE_CHECKING:
    from tests.web.conftest import Web

API = "/api/v1"
CT = {"ae_title": "CT1", "host": "10.0.0.5", "port": 104, "allow": ["store", "find"]}


def test_devices_come_and_go(web: "Web") -> None:
    made = web.send("POST", f"{API}/devices", json=CT)
    assert made.status_code == 201
    assert made.json()["from"] == ["10.0.0.5/32"]
    assert made.json()["allow"] == ["find", "store"]
    assert [each["ae_title"] for each in web.get(f"{API}/devices").json()] == ["CT1"]
    assert web.send("POST", f"{API}/devices", json=CT).status_code == 409
    assert web.send("DELETE", f"{API}/devices/CT1").status_code == 204
    assert web.send("DELETE", f"{API}/devices/CT1").status_code == 404
    phases = [
        event.detail["phase"]
        for event in web.house.audit.events
        if event.type is EventType.NETWORK_CONFIGURATION
    ]
    assert phases.count("intent") == phases.count("outcome")


def test_a_device_is_called(web: "Web") -> None:
    ae = AE(ae_title="PACS2")
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False)
    here = {"host": "127.0.0.1", "port": server.socket.getsockname()[1], "allow": []}
    web.send("POST", f"{API}/devices", json={"ae_title": "PACS2", **here})
    try:
        heard = web.send("POST", f"{API}/devices/PACS2/echo")
        assert heard.status_code == 200
        assert (heard.json()["answered"], heard.json()["reason"]) == (True, "")
    finally:
        server.shutdown()
    heard = web.send("POST", f"{API}/devices/PACS2/echo")
    assert heard.json()["answered"] is False
    assert heard.json()["reason"] == "the peer cannot be reached"
    web.send("POST", f"{API}/devices", json=CT | {"host": "10.99.99.1"})
    web.send("POST", f"{API}/devices", json={"ae_title": "SCU", "from": ["10.0.0.7"]})
    assert web.send("POST", f"{API}/devices/SCU/echo").status_code == 404
    assert web.send("POST", f"{API}/devices/NOBODY/echo").status_code == 404


def test_refused_peers_are_listed(web: "Web") -> None:
    web.house.parts.knocks.note("MR9", "RADKEEP", "10.0.0.9", "unknown")
    web.house.parts.knocks.flush()
    (knock,) = web.get(f"{API}/devices/pending").json()
    assert (knock["ae_title"], knock["address"], knock["count"]) == ("MR9", "10.0.0.9", 1)


@pytest.mark.parametrize(
    "more",
    [
        {"ae_title": ""},
        {"ae_title": "x" * 17},
        {"port": 70000},
        {"port": "104"},
        {"allow": ["everything"]},
        {"from": ["10.0.0.0/33"]},
        {"plaintext": True},
    ],
)
def test_wrong_devices_are_refused(web: "Web", more: dict[str, Any]) -> None:
    assert web.send("POST", f"{API}/devices", json=CT | more).status_code == 400


def test_zones_come_and_go(web: "Web") -> None:
    new = {"name": "radiology", "networks": ["10.0.0.0/24"]}
    assert web.send("POST", f"{API}/zones", json=new).status_code == 201
    risky = {"name": "old", "networks": ["10.1.0.0/24"], "plaintext": True}
    assert web.send("POST", f"{API}/zones", json=risky).status_code == 400
    reasoned = risky | {"reason": "CT of 2009 has no TLS", "review": "2026-09-01"}
    made = web.send("POST", f"{API}/zones", json=reasoned)
    assert made.status_code == 201
    assert made.json()["review"] == "2026-09-01"
    names = [each["name"] for each in web.get(f"{API}/zones").json()]
    assert names == ["loopback", "old", "radiology"]
    assert web.send("DELETE", f"{API}/zones/old").status_code == 204


def test_a_token_is_shown_once_and_works_until_revoked(web: "Web") -> None:
    new = {"name": "viewer", "scopes": ["dicomweb:read"], "expires": "2026-04-01T00:00:00+02:00"}
    made = web.send("POST", f"{API}/tokens", json=new)
    assert made.status_code == 201
    token = made.json()["token"]
    assert web.send("GET", "/dicom-web/studies", token=token).status_code == 200
    listed = web.get(f"{API}/tokens")
    assert token not in listed.text
    (kept,) = [each for each in listed.json() if each["name"] == "viewer"]
    assert kept["expires"] == "2026-03-31T22:00:00Z" or "+02:00" in kept["expires"]
    assert web.send("DELETE", f"{API}/tokens/viewer").status_code == 204
    assert web.send("GET", "/dicom-web/studies", token=token).status_code == 401


def test_a_token_gives_no_more_than_its_maker_has(web: "Web") -> None:
    weak = web.house.token("api:tokens")
    body = {"name": "x", "scopes": ["dicomweb:read"]}
    assert web.send("POST", f"{API}/tokens", json=body, token=weak).status_code == 403
    naive = body | {"expires": "2026-04-01T00:00:00"}
    assert web.send("POST", f"{API}/tokens", json=naive).status_code == 400


def test_the_operator_makes_a_token(web: "Web") -> None:
    body = {"name": "backup", "scopes": ["dicomweb:read", "dicomweb:write"]}
    made = web.as_operator().send("POST", f"{API}/tokens", json=body)
    assert made.status_code == 201
    assert web.send("GET", "/dicom-web/studies", token=made.json()["token"]).status_code == 200


def test_status_and_the_end_of_the_audit_log(web: "Web") -> None:
    assert web.get(f"{API}/status").json() == {"instances": 0}
    entries = web.get(f"{API}/audit?count=3").json()
    assert len(entries) == 3
    assert {"index", "process", "event", "time", "actor_id"} <= set(entries[-1])
    for query in ("count=x", "count=-1", "limit=3"):
        assert web.get(f"{API}/audit?{query}").status_code == 400
    assert web.get(f"{API}/audit?count=99999999").status_code == 200
