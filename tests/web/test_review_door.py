# SPDX-License-Identifier: Apache-2.0
"""The web door against people who are known and may not, and against crowds."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.responses import PlainTextResponse, Response

from radkeep.audit.events import EventType
from radkeep.domain.actor import Actor
from radkeep.web.application import application
from radkeep.web.kit import guests
from radkeep.web.kit.refusals import AGAIN, Refusals
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, Surface
from radkeep.web.kit.threads import Threads

if TYPE_CHECKING:
    from tests.web.conftest import House, Web

BASE = "https://pacs.test"
DEADLINE = 10.0
STUDY = "1.2.826.0.1.3680043.8.498.9.1"
Call = tuple[str, str, str]  # method, path, token


@pytest.fixture
def told(house: "House", web: "Web") -> "Web":
    """Return a client of doors that tell the audit log whom they refuse."""
    house.kit = replace(house.kit, refusals=Refusals(audit=house.audit, clock=house.clock))
    return replace(web, app=application(house.routes()))


def test_a_refusal_at_the_door_is_audited(told: "Web") -> None:
    house = told.house
    token = house.token("dicomweb:write")
    before = len(house.audit.events)
    assert told.send("GET", f"/dicom-web/studies/{STUDY}", token=token).status_code == 403
    (event,) = house.audit.events[before:]
    assert event.type is EventType.REFUSED
    assert (event.study, event.organization) == (STUDY, house.clinic.id)
    assert event.detail["reason"] == "no permission study:read"


def test_asking_again_does_not_fill_the_log(told: "Web") -> None:
    house = told.house
    token = house.token("dicomweb:write")
    for path in (f"/dicom-web/studies/{STUDY}", "/dicom-web/studies/1.2.3"):
        before = len(house.audit.events)
        for _ in range(5):
            assert told.send("GET", path, token=token).status_code == 403
        assert len(house.audit.events) == before + 1
    house.clock.pass_(seconds=AGAIN.total_seconds() + 1)
    before = len(house.audit.events)
    told.send("GET", f"/dicom-web/studies/{STUDY}", token=token)
    assert len(house.audit.events) == before + 1


def test_without_an_audit_log_the_refused_stay_out(told: "Web") -> None:
    token = told.house.token("dicomweb:write")
    told.house.audit.available = False
    assert told.send("GET", f"/dicom-web/studies/{STUDY}", token=token).status_code == 503


class Crowd:
    """Routes that hold whoever comes until ``release``."""

    def __init__(self, house: "House", *, workers: int, entry: int = 1) -> None:
        self.threads = Threads(workers=workers, entry=entry)
        self.release = threading.Event()
        self.held = threading.Semaphore(0)
        surface = Surface(kit=replace(house.kit, threads=self.threads))
        self.app = application(
            [
                surface.route("/hold", self._hold_known, needs=Access.SIGNED_IN),
                surface.open_route("/prove", self._hold, why="test", methods=["POST"]),
                surface.route("/quick", self._quick, needs=Access.SIGNED_IN),
            ]
        )

    def _hold(self, _request: Incoming) -> Response:
        self.held.release()
        assert self.release.wait(DEADLINE)
        return PlainTextResponse("held")

    def _hold_known(self, request: Incoming, _actor: Actor) -> Response:
        return self._hold(request)

    def _quick(self, _request: Incoming, _actor: Actor) -> Response:
        return PlainTextResponse("quick")

    def run(self, held: list[Call], then: list[Call]) -> list[int]:
        """Begin ``held``, answer ``then`` meanwhile, and return the statuses of ``then``."""

        async def call(client: httpx2.AsyncClient, each: Call) -> int:
            method, path, token = each
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return (await client.request(method, path, headers=headers)).status_code

        async def main() -> list[int]:
            transport = httpx2.ASGITransport(app=self.app)
            async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
                begun = [asyncio.create_task(call(client, each)) for each in held]
                try:
                    await asyncio.to_thread(self.held.acquire, True, DEADLINE)  # noqa: FBT003
                    async with asyncio.timeout(DEADLINE / 2):
                        return [await call(client, each) for each in then]
                finally:
                    self.release.set()
                    await asyncio.gather(*begun)
                    self.threads.close()

        return asyncio.run(main())


def test_nobody_has_more_than_their_share_of_requests(
    house: "House", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "MAX_REQUESTS", 1)
    one, other = house.token("dicomweb:read"), house.token("dicomweb:read")
    statuses = Crowd(house, workers=2).run(
        [("GET", "/hold", one)], [("GET", "/quick", one), ("GET", "/quick", other)]
    )
    assert statuses == [429, 200]
    again = Crowd(house, workers=1).run([("GET", "/hold", other)], [])
    assert again == []
    assert not house.kit.guests._here  # all were counted out again


def test_strangers_take_no_thread_from_people_at_work(house: "House") -> None:
    token = house.token("dicomweb:read")
    crowd = Crowd(house, workers=1)
    assert crowd.run([("POST", "/prove", "")] * 4, [("GET", "/quick", token)]) == [200]


def test_a_request_that_fails_is_counted_out(house: "House", web: "Web") -> None:
    failing: list[Callable[[], int]] = [
        lambda: web.get("/dicom-web/studies/1.2.3").status_code,
        lambda: web.send("GET", "/api/v1/users", token=house.token("dicomweb:read")).status_code,
    ]
    assert [each() for each in failing] == [404, 403]
    assert not house.kit.guests._here
