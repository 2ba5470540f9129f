# SPDX-License-Identifier: Apache-2.0
"""Signed-in browsers: kept on the server, locked when idle, ended for good after half a day.

Invariant: a session grants what its account may do at this moment, so a disabled account or a
changed role shows at the next request; the cookie is 256 random bits, of which a digest is kept.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog

from radkeep.audit.events import Action, EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.crypto.tokens import new_token, token_digest
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import (
    ArchiveFullError,
    Kind,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from radkeep.identity import actors, names, ports
from radkeep.identity.deeds import Deeds
from radkeep.identity.passwords import Passwords
from radkeep.identity.permissions import Permission
from radkeep.identity.records import Account, Session
from radkeep.identity.throttle import Limit, Throttle

IDLE: Final = timedelta(minutes=15)  # HIPAA 164.312(a)(2)(iii); ASVS 7.3.1
ABSOLUTE: Final = timedelta(hours=12)  # SP 800-63B-4 Section 2.2.3 allows 24
TOUCH: Final = timedelta(minutes=1)  # a use is noted no more often
DEMO: Final = timedelta(days=365)  # a demo session ends when the server does
_UNLOCK: Final = Limit("unlock", 5, timedelta(minutes=15), timedelta(hours=24))
_log = structlog.get_logger()


class SessionLockedError(UnauthenticatedError):
    """The session was idle for too long; its password opens it again."""

    kind, code = Kind.UNAUTHENTICATED, "session-locked"


class UnlockFailedError(UnauthenticatedError):
    """The password does not unlock the session."""

    kind, code = Kind.UNAUTHENTICATED, "unlock-failed"


class Sessions:
    """Opens, checks, locks and ends sessions. Thread-safe."""

    def __init__(
        self,
        *,
        registry: ports.Registry,
        passwords: Passwords,
        throttle: Throttle,
        deeds: Deeds,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._sessions = registry.sessions
        self._accounts = registry.accounts
        self._credentials = registry.credentials
        self._passwords = passwords
        self._throttle = throttle
        self._deeds = deeds
        self._audit = audit
        self._clock = clock

    def open(self, account: Account, *, address: str, proof: str, replaces: str = "") -> str:
        """Return the token of a new session of ``account``, who has just proved who they are.

        For ``login`` and ``demo`` alone. ``replaces`` is the token of a session that ends with it.

        Raises:
            AuditUnavailableError: the sign-in cannot be audited; there is no session.
            UnauthenticatedError: the session to replace is gone.
        """
        now = self._clock.now()
        token = new_token()
        session = Session(
            digest=token_digest(token),
            account=account.id,
            created=now,
            seen=now,
            expires=now + (DEMO if account.demo else ABSOLUTE),
            address=address,
            demo=account.demo,
        )
        actor = actors.person(account, session, address=address)
        self._record(actor, EventType.LOGIN, now, proof=proof)
        if not replaces:
            self._sessions.add(session)
        elif not self._sessions.replace(token_digest(replaces), session):
            raise UnauthenticatedError("the session has ended")
        return token

    def actor(self, session_token: str, *, address: str = "") -> Actor:
        """Return who uses the session, and note the use, at most once a minute.

        Raises:
            SessionLockedError: nobody used it for 15 minutes.
            UnauthenticatedError: there is no such session, it has ended, or the account is
                disabled.
        """
        now = self._clock.now()
        session, account = self._live(session_token, now)
        if _is_idle(session, now):
            raise SessionLockedError("the session is locked")
        if now - session.seen >= TOUCH and not session.demo:
            try:
                self._sessions.touch(session.digest, now)
            except (ArchiveFullError, UnavailableError) as error:
                # Reading goes on when the disk is full; at worst the session locks too early.
                _log.warning("session.use-not-noted", error=error.code)
        return actors.person(account, session, address=address)

    def account(self, session_token: str) -> Account:
        """Return whose session it is, locked or not; the unlock page shows it.

        Raises:
            UnauthenticatedError: as for ``actor``.
        """
        return self._live(session_token, self._clock.now())[1]

    def lock(self, session_token: str) -> None:
        """Lock now, as if nobody had used it for 15 minutes.

        Raises:
            UnauthenticatedError: as for ``actor``.
        """
        now = self._clock.now()
        session, _ = self._live(session_token, now)
        if not session.demo:
            self._sessions.touch(session.digest, now - IDLE)

    def unlock(self, session_token: str, password: str, *, address: str = "") -> Actor:
        """Open the same session again; the second factor was proved when it began.

        Raises:
            TooManyAttemptsError: too many wrong passwords for this session.
            UnlockFailedError: the password is wrong.
            UnauthenticatedError: as for ``actor``.
        """
        now = self._clock.now()
        session, account = self._live(session_token, now)
        actor = actors.person(account, session, address=address)
        key = (_UNLOCK, session.id)
        self._throttle.enter([key], now)
        credentials = self._credentials.of(account.id)
        try:
            self._passwords.verify(credentials.password_hash if credentials else None, password)
        except UnauthenticatedError:
            self._record(actor, EventType.LOGIN, now, Outcome.MINOR_FAILURE, proof="unlock")
            raise UnlockFailedError("the password does not unlock the session") from None
        self._record(actor, EventType.LOGIN, now, proof="unlock")
        self._throttle.succeeded([key])
        self._sessions.touch(session.digest, now)
        return actor

    def sign_out(self, session_token: str, *, address: str = "") -> None:
        """End the session; nothing happens if it has ended.

        Raises:
            AuditUnavailableError: it ended, and the log does not know.
        """
        found = self._sessions.find(token_digest(session_token))
        if found is not None and self._sessions.remove(found[0].digest):
            actor = actors.person(found[1], found[0], address=address)
            self._record(actor, EventType.LOGOUT, self._clock.now())

    def end_all(self, actor: Actor, email: str = "", *, but_token: str = "") -> int:
        """End the sessions of an account, the actor's own by default, and return how many.

        Raises:
            ForbiddenError: not the own account, and ``actor`` may not manage accounts.
            NotFoundError: no such account.
        """
        deed = "session.end-all"
        account = self._accounts.by_id(actor.id)
        if email and (account is None or account.email != names.email_address(email)):
            self._deeds.require(
                actor, Permission.ACCOUNT_MANAGE, organization=actor.organization, deed=deed
            )
            account = self._accounts.by_email(names.email_address(email))
        if account is None or actor.organization not in ("", account.organization):
            raise NotFoundError("no account has this e-mail address")
        with self._deeds.change(
            actor,
            deed,
            kind=EventType.USER_SECURITY_ATTRIBUTES_CHANGED,
            action=Action.DELETE,
            organization=account.organization,
            detail={"account": account.id, "email": account.email},
        ):
            kept = token_digest(but_token) if but_token else b""
            return self._sessions.remove_of(account.id, but=kept)

    def _live(self, session_token: str, now: datetime) -> tuple[Session, Account]:
        found = self._sessions.find(token_digest(session_token))
        if found is None or now >= found[0].expires or found[1].disabled is not None:
            raise UnauthenticatedError("sign in first")
        return found

    def _record(
        self,
        actor: Actor,
        kind: EventType,
        now: datetime,
        outcome: Outcome = Outcome.SUCCESS,
        **detail: str,
    ) -> None:
        self._audit.append(
            event_by(
                actor,
                EventId.USER_AUTHENTICATION,
                time=now,
                type=kind,
                outcome=outcome,
                detail=detail,
            )
        )


def _is_idle(session: Session, now: datetime) -> bool:
    return now - session.seen >= IDLE and not session.demo
