# SPDX-License-Identifier: Apache-2.0
"""/api/v1/users and /api/v1/enrolment: people.

Invariant: no field anywhere lets one person set another's password (OWASP ASVS 5.0 Section 6.4).
"""

from collections.abc import Callable
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.accounts import Accounts
from radkeep.identity.enrolment import Enrolment
from radkeep.identity.permissions import Permission
from radkeep.identity.recovery import Recovery
from radkeep.identity.sessions import Sessions
from radkeep.web.api.answers import (
    account_json,
    answer,
    done,
    enrolled_json,
    link_json,
)
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Access, Contract, GuardedRoute, Surface


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person to invite."""

    email: str
    roles: list[str]
    name: str = ""


class Roles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The roles that somebody shall have."""

    roles: list[str]


class Redemption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link's token and what its owner chose."""

    token: str
    password: str
    code: str = ""  # of the authenticator app; left out at the host, by a script


class Users:
    """Handlers of people's routes."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        enrolment: Enrolment,
        recovery: Recovery,
        sessions: Sessions,
        page_origin: Callable[[Incoming], str],
    ) -> None:
        self._accounts = accounts
        self._enrolment = enrolment
        self._recovery = recovery
        self._sessions = sessions
        self._origin = page_origin

    def show(self, _request: Incoming, actor: Actor) -> Response:
        """List the organization's people."""
        return answer([account_json(each) for each in self._accounts.list(actor)])

    def invite(self, request: Incoming, actor: Actor) -> Response:
        """Make an account and its enrolment link."""
        new = request.decoded(NewUser)
        account = self._accounts.create(actor, new.email, name=new.name, roles=new.roles)
        link = self._enrolment.create_link(actor, account.email)
        told = account_json(account) | {"enrolment": link_json(link, self._origin(request))}
        return answer(told, HTTPStatus.CREATED)

    def link(self, request: Incoming, actor: Actor) -> Response:
        """Make another enrolment link."""
        link = self._enrolment.create_link(actor, _email(request))
        return answer(link_json(link, self._origin(request)), HTTPStatus.CREATED)

    def recover(self, request: Incoming, actor: Actor) -> Response:
        """Take a person's credentials away and make a link for new ones; at the host only."""
        link = self._recovery.recover(actor, _email(request))
        return answer(link_json(link, self._origin(request)), HTTPStatus.CREATED)

    def disable(self, request: Incoming, actor: Actor) -> Response:
        """Let a person do nothing any more."""
        self._accounts.disable(actor, _email(request))
        return done()

    def enable(self, request: Incoming, actor: Actor) -> Response:
        """Undo ``disable``."""
        self._accounts.enable(actor, _email(request))
        return done()

    def set_roles(self, request: Incoming, actor: Actor) -> Response:
        """Replace a person's roles."""
        self._accounts.set_roles(actor, _email(request), request.decoded(Roles).roles)
        return done()

    def end_sessions(self, request: Incoming, actor: Actor) -> Response:
        """End all sessions of a person."""
        return answer({"ended": self._sessions.end_all(actor, _email(request))})

    def redeem(self, request: Incoming) -> Response:
        """Set password and second factor with a link's token and a code of the app."""
        given = request.decoded(Redemption)
        return answer(
            enrolled_json(
                self._enrolment.redeem(
                    given.token, given.password, given.code, address=request.address
                )
            )
        )

    def redeem_at_host(self, request: Incoming, actor: Actor) -> Response:
        """Do the same for a script at the host, which gets the TOTP secret."""
        given = request.decoded(Redemption)
        enrolled = self._enrolment.redeem_at_host(actor, given.token, given.password)
        return answer(enrolled_json(enrolled))


def user_routes(surface: Surface, path: str, users: Users) -> list[GuardedRoute]:
    """Return the routes of people, below ``path`` (/users)."""
    one = f"{path}/{{email}}"
    needs = Permission.ACCOUNT_MANAGE
    return [
        surface.route(path, users.show, needs=needs, contract=Contract("List people", many=True)),
        surface.route(
            path,
            users.invite,
            methods=["POST"],
            needs=needs,
            contract=Contract("Invite a person", takes=NewUser, gives=HTTPStatus.CREATED),
        ),
        surface.route(
            f"{one}/enrolment",
            users.link,
            methods=["POST"],
            needs=needs,
            contract=Contract("Make another enrolment link", gives=HTTPStatus.CREATED),
        ),
        surface.route(
            f"{one}/recovery",
            users.recover,
            methods=["POST"],
            needs=needs,
            contract=Contract("Take credentials away and make a link", gives=HTTPStatus.CREATED),
        ),
        surface.route(
            f"{one}/disable",
            users.disable,
            methods=["POST"],
            needs=needs,
            contract=Contract("Keep a person out", gives=HTTPStatus.NO_CONTENT),
        ),
        surface.route(
            f"{one}/enable",
            users.enable,
            methods=["POST"],
            needs=needs,
            contract=Contract("Let a person in again", gives=HTTPStatus.NO_CONTENT),
        ),
        surface.route(
            f"{one}/roles",
            users.set_roles,
            methods=["PUT"],
            needs=needs,
            contract=Contract("Replace roles", takes=Roles, gives=HTTPStatus.NO_CONTENT),
        ),
        surface.route(
            f"{one}/sessions",
            users.end_sessions,
            methods=["DELETE"],
            needs=needs,
            contract=Contract("End all sessions of a person"),
        ),
    ]


def enrolment_routes(surface: Surface, path: str, users: Users) -> list[GuardedRoute]:
    """Return the routes of enrolment, below ``path`` (/enrolment)."""
    token = "the link's token is the proof"  # noqa: S105 - words
    return [
        surface.open_route(
            path,
            users.redeem,
            methods=["POST"],
            why=token,
            contract=Contract("Redeem an enrolment link", takes=Redemption),
        ),
        surface.route(
            f"{path}/at-host",
            users.redeem_at_host,
            methods=["POST"],
            needs=Access.SIGNED_IN,
            contract=Contract("Redeem an enrolment link at the host", takes=Redemption),
        ),
    ]


def _email(request: Incoming) -> str:
    return str(request.path_params["email"])
