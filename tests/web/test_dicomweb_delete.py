# SPDX-License-Identifier: Apache-2.0
"""Deleting hides on every way out until it is undone, and the log tells both."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from radkeep.audit.events import Action, EventId, EventType, Outcome
from radkeep.identity import actors

if TYPE_CHECKING:
    from tests.web.conftest import Web

ROOT = "/dicom-web"
UID = "1.2.826.0.1.3680043.8.498.9"
STUDY, OTHER = f"{UID}.1", f"{UID}.2"
HERE = f"{ROOT}/studies/{STUDY}"
SERIES = f"{HERE}/series/{STUDY}.1"
INSTANCE = f"{SERIES}/instances/{STUDY}.1.1"
DELETIONS = "/api/v1/deletions"
Make = Callable[..., bytes]


@pytest.fixture
def full(web: "Web", make_file: Make) -> "Web":
    """Return a web with two instances in one series and one in another, and a second study."""
    files = [make_file(), make_file(number=2), make_file(series=2), make_file(study=2)]
    assert web.store(*files).status_code == 200
    return web


def delete(web: "Web", path: str) -> str:
    """Delete and return the address that undoes it."""
    answer = web.send("DELETE", path, token=web.house.token("dicomweb:delete"))
    assert (answer.status_code, answer.content) == (204, b"")
    return str(answer.headers["location"])


def undo(web: "Web", address: str) -> Any:  # noqa: ANN401 - JSON
    answer = web.send("POST", address, token=web.house.token("dicomweb:delete"))
    assert answer.status_code == 200
    return answer.json()


def found(web: "Web", path: str) -> list[Any]:
    return list(web.get(f"{ROOT}{path}").json())


def test_a_deleted_study_is_nowhere_and_comes_back(full: "Web") -> None:
    before = found(full, "/instances?includefield=all")
    address = delete(full, HERE)
    assert [row["0020000D"]["Value"] for row in found(full, "/studies")] == [[OTHER]]
    assert [row["0020000D"]["Value"] for row in found(full, "/series")] == [[OTHER]]
    assert len(found(full, "/instances")) == 1
    assert found(full, f"/studies/{STUDY}/series") == []
    assert found(full, f"/instances?00080018={STUDY}.1.1") == []
    assert found(full, f"/studies?00080018={STUDY}.1.1") == []
    paths = ["", "/metadata", f"/series/{STUDY}.1", f"/series/{STUDY}.1/instances/{STUDY}.1.1"]
    for path in (*paths, f"{paths[-1]}/frames/1", f"{paths[-1]}/bulkdata/7FE00010"):
        assert full.get(f"{HERE}{path}").status_code == 404
    assert full.send("DELETE", HERE, token=full.house.token("dicomweb:delete")).status_code == 404
    assert undo(full, address)["undone"] is not None
    assert found(full, "/instances?includefield=all") == before
    assert full.get(HERE).status_code == 200
    assert full.send("POST", address, token=full.house.token("dicomweb:delete")).status_code == 404


def test_counts_and_modalities_tell_what_is_left(web: "Web", make_file: Make) -> None:
    files = [make_file(), make_file(number=2), make_file(series=2, t00080060=("CS", "MR"))]
    assert web.store(*files).status_code == 200

    def told() -> tuple[Any, ...]:
        (study,) = found(web, "/studies")
        tags = ("00080061", "00201206", "00201208")
        return tuple(study[tag]["Value"] for tag in tags)

    assert told() == (["CT", "MR"], [2], [3])
    single = delete(web, INSTANCE)
    assert told() == (["CT", "MR"], [2], [2])
    assert found(web, "/studies?ModalitiesInStudy=MR")
    series = delete(web, f"{HERE}/series/{STUDY}.2")
    assert told() == (["CT"], [1], [1])
    assert found(web, "/studies?ModalitiesInStudy=MR") == []
    assert found(web, "/studies?Modality=MR") == []
    statistics = web.house.catalog.statistics(web.house.clinic.id)
    assert (statistics.studies, statistics.series, statistics.instances) == (1, 1, 1)
    undo(web, series)
    undo(web, single)
    assert told() == (["CT", "MR"], [2], [3])


def test_what_comes_later_is_not_hidden(full: "Web", make_file: Make) -> None:
    address = delete(full, HERE)
    assert full.store(make_file(number=9)).status_code == 200
    (row,) = [row for row in found(full, "/studies") if row["0020000D"]["Value"] == [STUDY]]
    assert row["00201208"]["Value"] == [1]
    assert len(full.get(f"{HERE}/metadata").json()) == 1
    undo(full, address)
    assert len(full.get(f"{HERE}/metadata").json()) == 4


def test_sending_it_again_does_not_bring_it_back(full: "Web", make_file: Make) -> None:
    address = delete(full, INSTANCE)
    again = full.store(make_file())
    assert again.status_code == 409
    (item,) = again.json()["00081198"]["Value"]
    assert item["00081197"]["Value"] == [0xC011]
    assert item["00081155"]["Value"] == [f"{STUDY}.1.1"]
    other = full.store(make_file(pixels=bytes(32)))
    assert other.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xC010]
    refused = [e for e in full.house.audit.of(EventId.INSTANCES_TRANSFERRED) if e.outcome]
    assert [e.detail["reason"] for e in refused] == ["instance-deleted", "instance-conflict"]
    assert full.get(INSTANCE).status_code == 404
    undo(full, address)
    assert full.store(make_file()).status_code == 200
    assert full.get(INSTANCE).status_code == 200


def test_two_deletions_of_one_instance_both_count(full: "Web") -> None:
    single = delete(full, INSTANCE)
    whole = delete(full, HERE)
    undo(full, whole)
    assert len(full.get(f"{HERE}/metadata").json()) == 2
    assert full.get(INSTANCE).status_code == 404
    undo(full, single)
    assert full.get(INSTANCE).status_code == 200


def test_the_log_has_intent_outcome_and_undo(full: "Web") -> None:
    address = delete(full, SERIES)
    undo(full, address)
    events = full.house.audit.of(EventId.STUDY_DELETED)
    told = [(e.action, e.type, e.outcome, e.detail.get("phase"), e.study, e.count) for e in events]
    deleted = (Action.DELETE, EventType.NONE, Outcome.SUCCESS)
    undone = (Action.UPDATE, EventType.DELETION_UNDONE, Outcome.SUCCESS)
    assert told == [
        (*deleted, "intent", STUDY, 2),
        (*deleted, "outcome", STUDY, 2),
        (*undone, "intent", STUDY, 2),
        (*undone, "outcome", STUDY, 2),
    ]
    assert events[0].detail["series"] == f"{STUDY}.1"
    assert events[0].patient == "P1"


def test_a_deed_that_cannot_be_audited_is_not_done(full: "Web") -> None:
    token = full.house.token("dicomweb:delete")
    full.house.audit.available = False
    answer = full.send("DELETE", HERE, token=token)
    full.house.audit.available = True
    assert answer.status_code == 503
    assert full.get(HERE).status_code == 200


def test_only_who_may_delete_deletes(full: "Web") -> None:
    for scope in ("dicomweb:read", "dicomweb:write"):
        token = full.house.token(scope)
        assert full.send("DELETE", HERE, token=token).status_code == 403
        assert full.send("GET", DELETIONS, token=token).status_code == 403
    other = full.house.organizations.create(actors.local(0), "Other").id
    stranger = full.house.token("dicomweb:delete", organization=other)
    assert full.send("DELETE", HERE, token=stranger).status_code == 404
    address = delete(full, HERE)
    assert full.send("POST", address, token=stranger).status_code == 404
    assert full.send("GET", DELETIONS, token=stranger).json() == []
    refused = [e for e in full.house.audit.of(EventId.STUDY_DELETED) if e.outcome]
    assert [e.type for e in refused] == [EventType.REFUSED] * 2


def test_the_api_deletes_lists_and_undoes(full: "Web") -> None:
    token = full.house.token("dicomweb:delete")
    body = {"study": STUDY, "series": f"{STUDY}.1", "reason": "wrong patient"}
    made = full.send("POST", DELETIONS, token=token, json=body)
    assert made.status_code == 201
    assert (made.json()["instances"], made.json()["reason"]) == (2, "wrong patient")
    second = full.send("POST", DELETIONS, token=token, json={"study": OTHER}).json()
    listed = full.send("GET", DELETIONS, token=token).json()
    assert [row["id"] for row in listed] == [second["id"], made.json()["id"]]
    earlier = full.send("GET", f"{DELETIONS}?before={second['id']}&limit=5", token=token).json()
    assert [row["study"] for row in earlier] == [STUDY]
    for bad in ({"study": "no uid"}, {"study": STUDY, "reason": "x" * 201}, {"studies": "1"}):
        assert full.send("POST", DELETIONS, token=token, json=bad).status_code == 400
    assert full.send("GET", f"{DELETIONS}?limit=many", token=token).status_code == 400
    assert full.send("POST", f"{DELETIONS}/nine/undo", token=token).status_code == 404
