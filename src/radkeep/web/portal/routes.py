# SPDX-License-Identifier: Apache-2.0
"""The portal's addresses, each with what it needs.

Invariant: an open route says why it may be one, and takes no form longer than ``FORM_BYTES``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.demo import Demo
from radkeep.identity.enrolment import Enrolment
from radkeep.identity.login import Login
from radkeep.identity.permissions import Permission
from radkeep.identity.sessions import Sessions
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.search import Search
from radkeep.web.kit.headers import PAGES
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, GuardedRoute, Kit, Surface
from radkeep.web.portal.account import Account
from radkeep.web.portal.demo import DemoPeople
from radkeep.web.portal.enrol import Enrol
from radkeep.web.portal.frames import STUDIES, Frames
from radkeep.web.portal.own_path import HOME
from radkeep.web.portal.problems import Explanations, PageTeller
from radkeep.web.portal.recent_searches import RecentSearches
from radkeep.web.portal.redirects import see_other
from radkeep.web.portal.sign_in import SignIn
from radkeep.web.portal.static_files import static_file
from radkeep.web.portal.studies import Studies
from radkeep.web.portal.study import Study
from radkeep.web.portal.unlock import Unlock

FORM_BYTES: Final = 16_384  # the longest form has two passwords of 256 characters, percent-encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalParts:
    """The use cases behind the pages."""

    login: Login
    sessions: Sessions
    enrolment: Enrolment
    demo: Demo
    search: Search
    fetch: Fetch


def page_surface(kit: Kit, frames: Frames) -> Surface:
    """Return the surface of pages: others may link to them, problems are pages too."""
    return Surface(kit=kit, headers=PAGES, tell=PageTeller(frames=frames), links=True)


def portal_routes(kit: Kit, parts: PortalParts, frames: Frames) -> Sequence[GuardedRoute]:
    """Return the routes of every page."""
    surface = page_surface(kit, frames)
    return (*_entry(surface, parts, frames), *_inside(surface, parts, frames))


def _entry(surface: Surface, parts: PortalParts, frames: Frames) -> Sequence[GuardedRoute]:
    sign_in = SignIn(login=parts.login, sessions=parts.sessions, frames=frames)
    unlock = Unlock(sessions=parts.sessions, frames=frames)
    enrol = Enrol(enrolment=parts.enrolment, frames=frames)
    problems = Explanations(frames=frames)
    post, small = ("POST",), FORM_BYTES
    proves = "people prove here who they are"
    link = "the link's token is the proof"
    return (
        surface.open_route("/static/{name}", static_file, why="the same files for everybody"),
        surface.open_route("/problems/{code}", problems.show, why="the same words for everybody"),
        surface.open_route("/sign-in", sign_in.show, why=proves),
        surface.open_route("/sign-in", sign_in.password, why=proves, methods=post, max_body=small),
        surface.open_route("/sign-in/code", sign_in.show_code, why=proves),
        surface.open_route("/sign-in/code", sign_in.code, why=proves, methods=post, max_body=small),
        surface.open_route(
            "/sign-out", sign_in.sign_out, why="ends only its own session", methods=post
        ),
        surface.open_route("/unlock", unlock.show, why="shows only its own session"),
        surface.open_route("/unlock", unlock.unlock, why=proves, methods=post, max_body=small),
        surface.open_route("/enrol", enrol.show, why=link),
        surface.open_route("/enrol", enrol.redeem, why=link, methods=post, max_body=small),
    )


def _inside(surface: Surface, parts: PortalParts, frames: Frames) -> Sequence[GuardedRoute]:
    studies = Studies(search=parts.search, searches=RecentSearches(), frames=frames)
    study = Study(search=parts.search, fetch=parts.fetch, frames=frames)
    account = Account(sessions=parts.sessions, frames=frames)
    people = DemoPeople(demo=parts.demo, authentication=surface.kit.authentication, frames=frames)
    known = Access.SIGNED_IN
    query = Permission.STUDY_QUERY
    return (
        surface.route(HOME, _home, needs=known),
        surface.route(STUDIES.href, studies.show, needs=query),
        surface.route(
            STUDIES.href, studies.find, needs=query, methods=("POST",), max_body=FORM_BYTES
        ),
        surface.route(f"{STUDIES.href}/{{study}}", study.show, needs=query),
        surface.route("/account", account.show, needs=known),
        surface.open_route("/demo", people.show, why="redeems a one-time link, or asks who it is"),
        surface.route("/demo", people.switch, needs=known, methods=("POST",), max_body=FORM_BYTES),
    )


def _home(_request: Incoming, actor: Actor) -> Response:
    can_search = Permission.STUDY_QUERY in actor.permissions
    return see_other(STUDIES.href if can_search else "/account")
