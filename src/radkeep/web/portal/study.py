# SPDX-License-Identifier: Apache-2.0
"""The page of one study: whose it is, what is in it, where it came from."""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from radkeep.dicom.query import Level, Query
from radkeep.domain.actor import Actor
from radkeep.domain.errors import NotFoundError
from radkeep.domain.uid import Uid
from radkeep.identity.permissions import Permission
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.search import Search
from radkeep.web.kit.requests import Incoming
from radkeep.web.portal import json_text, study_pages
from radkeep.web.portal.frames import STUDIES, Frames
from radkeep.web.portal.pages.frame import Fact
from radkeep.web.portal.pages.studies import StudyPage
from radkeep.web.portal.rendering import render

_PROTOCOL: Final = "portal"
_MAX_SERIES: Final = 1_000  # shown; the largest study of our corpus has 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The page of a study."""

    search: Search
    fetch: Fetch
    frames: Frames

    def show(self, request: Incoming, actor: Actor) -> Response:
        """Show the study.

        Raises:
            InvalidUidError: the address holds no UID.
            NotFoundError: no such study, or not for this actor.
        """
        uid = Uid.parse(request.path_params["study"])
        found = self.search.run(
            actor, Level.STUDY, Query(study=uid, include="all", limit=1), protocol=_PROTOCOL
        )
        if not found.rows:
            raise NotFoundError("no such study")
        series = self.search.run(
            actor,
            Level.SERIES,
            Query(study=uid, include="all", limit=_MAX_SERIES),
            protocol=_PROTOCOL,
        )
        row = json_text.decode(found.rows[0])
        lines = study_pages.series_rows(series.rows)
        may_view = Permission.STUDY_READ in actor.permissions
        pictures = study_pages.has_pictures([line.modality for line in lines])
        return render(
            StudyPage(
                frame=self.frames.of(actor, STUDIES.name),
                uid=uid,
                viewer=study_pages.viewer_address(uid) if may_view and pictures else "",
                may_view=may_view,
                patient=study_pages.patient(row),
                description=study_pages.description(row),
                when=study_pages.study_time(row),
                accession=json_text.text(row, study_pages.ACCESSION),
                referrer=json_text.name(row, study_pages.REFERRER),
                series=lines,
                instances=sum(line.instances for line in lines),
                origin=self._origin(actor, uid) if may_view else (),
            )
        )

    def _origin(self, actor: Actor, study: Uid) -> tuple[Fact, ...]:
        instances = self.fetch.instances(actor, study, purpose=_PROTOCOL)
        return study_pages.origin_facts(instances[0].head.origin)
