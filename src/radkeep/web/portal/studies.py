# SPDX-License-Identifier: Apache-2.0
"""The list of studies: search by POST, then a page whose address names no search key.

Invariant: what people search for stands in no address, log or history.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from radkeep.dicom.query import Level
from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError
from radkeep.identity.permissions import Permission
from radkeep.retrieval.search import Search
from radkeep.web.kit.requests import Incoming
from radkeep.web.portal import search_form
from radkeep.web.portal.frames import STUDIES, Frames
from radkeep.web.portal.pages.studies import SearchErrors, SearchForm, StudiesPage
from radkeep.web.portal.recent_searches import RecentSearches
from radkeep.web.portal.redirects import see_other
from radkeep.web.portal.rendering import render
from radkeep.web.portal.study_pages import study_rows

_PROTOCOL: Final = "portal"
_NOT_RUN: Final = "The search was not run. Mend the marked fields and search again."
_FORGOTTEN: Final = "That search is no longer kept. Please search again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """The list of studies."""

    search: Search
    searches: RecentSearches
    frames: Frames

    def show(self, request: Incoming, actor: Actor) -> Response:
        """Show a page of the list, of all studies or of a search.

        Raises:
            InvalidRequestError: no such page.
        """
        view, number = request.query_params.get("view", ""), _number(request)
        form = self.searches.find(actor.session, view) if view else search_form.EMPTY
        if form is None:
            return render(self._page(actor, search_form.EMPTY, problem=_FORGOTTEN))
        query = search_form.to_query(form, number)
        found = self.search.run(actor, Level.STUDY, query, protocol=_PROTOCOL)
        return render(
            StudiesPage(
                frame=self.frames.of(actor, STUDIES.name),
                search=form,
                modalities=search_form.MODALITIES,
                narrowed=form != search_form.EMPTY,
                rows=study_rows(found.rows, may_view=Permission.STUDY_READ in actor.permissions),
                first=query.offset + 1,
                previous_page=_address(view, number - 1) if number > 1 else "",
                next_page=_address(view, number + 1) if found.more else "",
            )
        )

    def find(self, request: Incoming, actor: Actor) -> Response:
        """Begin a search."""
        parsed = search_form.parse(request.fields)
        if parsed.wrong != SearchErrors():
            page = self._page(actor, parsed.form, problem=_NOT_RUN, wrong=parsed.wrong)
            return render(page, 400)
        if parsed.form == search_form.EMPTY:
            return see_other(STUDIES.href)
        return see_other(_address(self.searches.remember(actor.session, parsed.form), 1))

    def _page(
        self, actor: Actor, form: SearchForm, *, problem: str, wrong: SearchErrors | None = None
    ) -> StudiesPage:
        return StudiesPage(
            frame=self.frames.of(actor, STUDIES.name),
            search=form,
            modalities=search_form.MODALITIES,
            wrong=wrong or SearchErrors(),
            problem=problem,
        )


def _number(request: Incoming) -> int:
    raw = request.query_params.get("page", "1")
    if raw.isascii() and raw.isdigit() and 1 <= int(raw[:9]) <= search_form.MAX_PAGE:
        return int(raw[:9])
    raise InvalidRequestError("there is no such page of the list")


def _address(view: str, number: int) -> str:
    keys = {"view": view} if view else {}
    if number > 1:
        keys["page"] = str(number)
    return f"{STUDIES.href}?{urlencode(keys)}" if keys else STUDIES.href
