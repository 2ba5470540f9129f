# SPDX-License-Identifier: Apache-2.0
"""API tokens: how programs sign in.

Invariant: a token is shown once and kept as a digest; it ends by itself within a year; nobody
gives a token more than they may do themselves, and a token that made others takes them with it.
"""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Final

import structlog

from radkeep.audit.events import Action, EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.crypto.tokens import new_token, token_digest
from radkeep.domain.actor import Actor, ActorKind
from radkeep.domain.addresses import source_of
from radkeep.domain.clock import Clock
from radkeep.domain.errors import (
    ArchiveFullError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from radkeep.identity import actors, names, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.permissions import Permission, parse_scopes, permissions_of_scopes
from radkeep.identity.policy import own_organization
from radkeep.identity.records import Token
from radkeep.identity.throttle import Occasions

PREFIX: Final = "radkeep_"  # by which secret scanners find a token where it should not be
LONGEST: Final = timedelta(days=366)
USUAL: Final = timedelta(days=90)
TOUCH: Final = timedelta(minutes=10)  # a use is noted no more often
_log = structlog.get_logger()


class Tokens:
    """Makes, checks and revokes tokens. Thread-safe."""

    def __init__(
        self, *, tokens: ports.TokenStore, deeds: Deeds, audit: AuditLog, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._deeds = deeds
        self._audit = audit
        self._clock = clock
        self._refused = Occasions(timedelta(minutes=1))

    def create(
        self, actor: Actor, name: str, scopes: Iterable[str], expires: datetime | None = None
    ) -> str:
        """Return a new token of the service account ``name``; it ends after 90 days by default.

        Raises:
            ForbiddenError: ``actor`` may not manage tokens, or lacks what a scope gives.
            InvalidRequestError: no or unknown scopes, not a name, or an end that is past, more
                than 366 days away, or after that of the token that makes it.
            AlreadyExistsError: a token with this name is not revoked.
        """
        deed = "token.create"
        self._deeds.require(
            actor, Permission.TOKEN_MANAGE, organization=actor.organization, deed=deed
        )
        now = self._clock.now()
        latest = self._latest_end(actor, now)
        made = Token(
            id=secrets.token_hex(16),
            organization=own_organization(actor, "a token"),
            name=names.label(name, "token"),
            scopes=parse_scopes(scopes),
            created=now,
            created_by=actor.id,
            expires=expires or min(now + USUAL, latest),
        )
        if not made.scopes:
            raise InvalidRequestError("a token has at least one scope")
        if not now < made.expires <= latest:
            raise InvalidRequestError(
                "a token ends in the future, within 366 days and not after the one that makes it"
            )
        if not permissions_of_scopes(made.scopes) <= actor.permissions:
            self._deeds.refused(actor, deed, "scopes beyond the own permissions")
            raise ForbiddenError("a token cannot do what its maker may not do")
        token = PREFIX + new_token()
        with self._changing(actor, deed, made, Action.CREATE):
            self._tokens.add(made, token_digest(token))
        return token

    def actor(self, bearer: str, *, address: str = "") -> Actor:
        """Return who bears the token, and note the use, at most every ten minutes.

        Raises:
            UnauthenticatedError: no such token, or it is revoked or past its end.
        """
        now = self._clock.now()
        token = self._tokens.by_digest(token_digest(bearer))
        if token is None or token.revoked is not None or now >= token.expires:
            self._note_refusal(token, address, now)
            raise UnauthenticatedError("the token is not valid")
        if token.used is None or now - token.used >= TOUCH:
            try:
                self._tokens.touch(token.id, now)
            except (ArchiveFullError, UnavailableError) as error:
                # Reading goes on when the disk is full.
                _log.warning("token.use-not-noted", error=error.code)
        return actors.service(token, address=address)

    def list(self, actor: Actor) -> Sequence[Token]:
        """Return the tokens of the actor's organization, by name, revoked ones too.

        Raises:
            ForbiddenError: ``actor`` may not manage tokens.
        """
        self._deeds.require(
            actor, Permission.TOKEN_MANAGE, organization=actor.organization, deed="token.list"
        )
        return self._tokens.of(actor.organization)

    def revoke(self, actor: Actor, name: str) -> None:
        """End the token with this name or id now, and the tokens that it made.

        Raises:
            ForbiddenError: ``actor`` may not manage tokens.
            NotFoundError: the actor's organization has no such token.
        """
        deed = "token.revoke"
        self._deeds.require(
            actor, Permission.TOKEN_MANAGE, organization=actor.organization, deed=deed
        )
        for token in self._tokens.of(actor.organization):
            if token.revoked is None and name in (token.id, token.name):
                self._revoke_family(actor, token)
                return
        raise NotFoundError("no such token")

    def _revoke_family(self, actor: Actor, first: Token) -> None:
        """Revoke ``first``, then what it made, so that a stolen token leaves nothing behind."""
        doomed = [first]
        while doomed:
            token = doomed.pop()
            with self._changing(actor, "token.revoke", token, Action.DELETE):
                self._tokens.revoke(token.id, self._clock.now())
            doomed += [
                made
                for made in self._tokens.of(token.organization)
                if made.created_by == token.id and made.revoked is None
            ]

    def _latest_end(self, actor: Actor, now: datetime) -> datetime:
        """Return when a token that ``actor`` makes must have ended."""
        own = [
            token.expires
            for token in self._tokens.of(actor.organization)
            if actor.kind is ActorKind.SERVICE and token.id == actor.id
        ]
        return min([now + LONGEST, *own])

    def _changing(
        self, actor: Actor, deed: str, token: Token, action: Action
    ) -> AbstractContextManager[None]:
        return self._deeds.change(
            actor,
            deed,
            kind=EventType.USER_SECURITY_ATTRIBUTES_CHANGED,
            action=action,
            organization=token.organization,
            detail={
                "token": token.id,
                "name": token.name,
                "scopes": ",".join(sorted(token.scopes)),
                "expires": token.expires.isoformat(),
            },
        )

    def _note_refusal(self, token: Token | None, address: str, now: datetime) -> None:
        """Tell the audit log, once a minute for each source: 256 bits are not guessed anyway."""
        if not self._refused.due(source_of(address), now):
            return
        if token is None:
            actor = actors.stranger(address, kind=ActorKind.SERVICE)
        else:
            actor = actors.service(token, address=address)
        self._audit.append(
            event_by(
                actor,
                EventId.USER_AUTHENTICATION,
                time=now,
                type=EventType.LOGIN,
                outcome=Outcome.MINOR_FAILURE,
                detail={"step": "token"},
            )
        )
