# SPDX-License-Identifier: Apache-2.0
"""The demo: a one-time link instead of a sign-in, and a switch between the demo's people.

Invariant: none of this works in a registry that was not founded as a demo, nor for anybody who is
not on the machine itself; demo sessions end when the server does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from radkeep.audit.events import Action, EventType
from radkeep.crypto.tokens import new_token, token_digest
from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.addresses import peer_address
from radkeep.domain.clock import Clock
from radkeep.domain.errors import (
    ForbiddenError,
    InvalidRequestError,
    Kind,
    NotFoundError,
    UnauthenticatedError,
)
from radkeep.identity import actors, founding, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.login import SignedIn
from radkeep.identity.records import Account
from radkeep.identity.roles import Role
from radkeep.identity.sessions import Sessions

VALID: Final = timedelta(minutes=10)


class NotADemoError(ForbiddenError):
    """This installation was not founded as a demo."""

    kind, code = Kind.FORBIDDEN, "not-a-demo"


class DemoLinkExpiredError(UnauthenticatedError):
    """The link was used or is too old; the terminal prints another."""

    kind, code = Kind.UNAUTHENTICATED, "demo-link-expired"


@dataclass(frozen=True, slots=True)
class DemoLink:
    """What the terminal prints."""

    token: str
    expires: datetime


class Demo:
    """Signs into a demo. Thread-safe."""

    def __init__(
        self, *, registry: ports.Registry, sessions: Sessions, deeds: Deeds, clock: Clock
    ) -> None:
        self._settings = registry.settings
        self._links = registry.demo_links
        self._accounts = registry.accounts
        self._stored = registry.sessions
        self._sessions = sessions
        self._deeds = deeds
        self._clock = clock

    def is_demo(self) -> bool:
        """Tell whether this installation was founded as a demo."""
        return self._settings.get(founding.PROFILE) == founding.DEMO

    def restart(self) -> None:
        """End what an earlier run of the server left: its links and demo sessions."""
        self._links.clear()
        self._stored.remove_demo()

    def create_link(self, actor: Actor) -> DemoLink:
        """Return a link that works once, for 10 minutes; earlier ones stop working.

        Raises:
            NotADemoError: not a demo.
            ForbiddenError: ``actor`` is neither the host's operator nor the server.
        """
        self._require_demo()
        if actor.kind not in (ActorKind.LOCAL, ActorKind.SYSTEM):
            self._deeds.refused(actor, "demo.link", "not at the host")
            raise ForbiddenError("only at the host itself")
        link = DemoLink(new_token(), self._clock.now() + VALID)
        with self._deeds.change(
            actor,
            "demo.link",
            kind=EventType.SECURITY_CONFIGURATION,
            action=Action.CREATE,
            organization=actor.organization,
            detail={},
        ):
            self._links.put(token_digest(link.token), link.expires)
        return link

    def redeem(self, token: str, *, address: str) -> SignedIn:
        """Use the link up and return a session of the demo's administrator.

        Raises:
            NotADemoError: not a demo.
            ForbiddenError: the browser is on another machine.
            DemoLinkExpiredError: the link does not work.
        """
        self._require_demo()
        self._require_loopback(address)
        if not self._links.use(token_digest(token), self._clock.now()):
            self._deeds.refused(actors.stranger(address), "demo.redeem", "link does not work")
            raise DemoLinkExpiredError("the link was used or is too old; ask for another")
        for account in self._people():
            if Role.ADMINISTRATOR in account.roles:
                return self._signed_in(account, address, "demo link", replaces="")
        raise NotFoundError("the demo has no administrator")

    def people(self, actor: Actor) -> Sequence[Account]:
        """Return whom ``actor``, one of them, can switch to.

        Raises:
            NotADemoError: not a demo, or not one of its people.
        """
        self._require_demo()
        if not actor.demo:
            raise NotADemoError("this is for the people of a demo")
        return self._people()

    def switch(self, session_token: str, account: str, *, address: str) -> SignedIn:
        """End the session and return one of another of the demo's people, by id.

        Raises:
            NotADemoError: not a demo, or not the session of one of its people.
            UnauthenticatedError: the session has ended.
            NotFoundError: no such person.
        """
        people = self.people(self._sessions.actor(session_token, address=address))
        self._require_loopback(address)
        for person in people:
            if person.id == account:
                return self._signed_in(person, address, "demo switch", replaces=session_token)
        raise NotFoundError("the demo has no such person")

    def _signed_in(self, account: Account, address: str, proof: str, *, replaces: str) -> SignedIn:
        token = self._sessions.open(account, address=address, proof=proof, replaces=replaces)
        return SignedIn(session_token=token, device_cookie="", account=account)

    def _people(self) -> list[Account]:
        return [
            account
            for account in self._accounts.of("")
            if account.demo and account.disabled is None
        ]

    def _require_demo(self) -> None:
        if not self.is_demo():
            raise NotADemoError("this installation is not a demo")

    def _require_loopback(self, address: str) -> None:
        try:
            loopback = peer_address(address).is_loopback
        except InvalidRequestError:
            loopback = False
        if not loopback:
            self._deeds.refused(actors.stranger(address), "demo", "not on this machine")
            raise ForbiddenError("a demo is for this machine only")
