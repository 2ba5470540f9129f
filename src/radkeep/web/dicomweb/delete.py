# SPDX-License-Identifier: Apache-2.0
"""DELETE of a study, a series or an instance, as other DICOMweb servers have it.

Invariant: what is deleted here can be had back: the answer names the deletion to undo.
"""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.uid import Uid
from radkeep.retrieval.deletions import Deletions
from radkeep.web.kit.requests import Incoming

PROTOCOL: Final = "dicomweb"
_DELETIONS: Final = "/api/v1/deletions"


class Delete:
    """Handler of the resources' DELETE."""

    def __init__(self, deletions: Deletions) -> None:
        self._deletions = deletions

    def instances(self, request: Incoming, actor: Actor) -> Response:
        """Delete what the path names."""
        path = request.path_params
        made = self._deletions.delete(
            actor,
            Uid.parse(path["study"]),
            Uid.parse(path["series"]) if "series" in path else None,
            Uid.parse(path["instance"]) if "instance" in path else None,
            protocol=PROTOCOL,
        )
        location = f"{_DELETIONS}/{made.id}/undo"
        return Response(None, HTTPStatus.NO_CONTENT, {"Location": location})
