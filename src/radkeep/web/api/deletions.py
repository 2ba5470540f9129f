# SPDX-License-Identifier: Apache-2.0
"""/api/v1/deletions: what was deleted, and undoing it.

Invariant: every rule about them is in ``retrieval``; this door parses, calls and shows.
"""

from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError, NotFoundError
from radkeep.domain.uid import Uid
from radkeep.identity.permissions import Permission
from radkeep.retrieval.deletions import Deletions
from radkeep.retrieval.ports import Deletion
from radkeep.web.api.answers import Json, answer
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Contract, GuardedRoute, Surface

USUAL: Final = 100  # in one answer
_MAX_DIGITS: Final = 15


class NewDeletion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to delete: a study, or of it a series or one instance."""

    study: str
    series: str = ""
    instance: str = ""
    reason: str = ""


def deletion_routes(surface: Surface, path: str, *, deletions: Deletions) -> list[GuardedRoute]:
    """Return the routes of deletions."""

    def show(request: Incoming, actor: Actor) -> Response:
        numbers = {"before": 0, "limit": USUAL}
        for key, value in request.query:
            if key not in numbers:
                raise InvalidRequestError("the parameters are before and limit")
            numbers[key] = _number(value)
        found = deletions.list(actor, before=numbers["before"] or None, limit=numbers["limit"])
        return answer([deletion_json(each) for each in found])

    def add(request: Incoming, actor: Actor) -> Response:
        new = request.decoded(NewDeletion)
        made = deletions.delete(
            actor,
            Uid.parse(new.study),
            Uid.parse(new.series) if new.series else None,
            Uid.parse(new.instance) if new.instance else None,
            reason=new.reason,
            protocol="api",
        )
        return answer(deletion_json(made), HTTPStatus.CREATED)

    def undo(request: Incoming, actor: Actor) -> Response:
        raw = request.path_params["number"]
        if not _is_number(raw):
            raise NotFoundError("no such deletion, or it is undone")
        return answer(deletion_json(deletions.undo(actor, int(raw))))

    needs = Permission.STUDY_DELETE
    return [
        surface.route(
            path,
            show,
            needs=needs,
            contract=Contract("List deletions", query={"before": int, "limit": int}, many=True),
        ),
        surface.route(
            path,
            add,
            methods=["POST"],
            needs=needs,
            contract=Contract(
                "Delete a study, a series or an instance",
                takes=NewDeletion,
                gives=HTTPStatus.CREATED,
            ),
        ),
        surface.route(
            f"{path}/{{number}}/undo",
            undo,
            methods=["POST"],
            needs=needs,
            contract=Contract("Undo a deletion"),
        ),
    ]


def deletion_json(deletion: Deletion) -> Json:
    """Return one deletion."""
    return {
        "id": deletion.id,
        "study": str(deletion.study),
        "series": str(deletion.series) if deletion.series else None,
        "instance": str(deletion.sop_instance) if deletion.sop_instance else None,
        "instances": deletion.instances,
        "reason": deletion.reason,
        "deleted": deletion.deleted,
        "deleted_by": deletion.deleted_by,
        "undone": deletion.undone,
        "undone_by": deletion.undone_by,
    }


def _number(raw: str) -> int:
    if not _is_number(raw):
        raise InvalidRequestError("before and limit are numbers")
    return int(raw)


def _is_number(raw: str) -> bool:
    return raw.isascii() and raw.isdigit() and len(raw) <= _MAX_DIGITS
