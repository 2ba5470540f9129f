# SPDX-License-Identifier: Apache-2.0
"""Sign-in: a password, then a second factor, then a session.

Invariant: a password alone opens nothing, except in a browser where the same person proved the
second factor within 12 hours. Whether an account exists shows neither in the answer nor in the
time; guessing slows the guesser and never locks the owner out of a browser known to us.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from radkeep.audit.events import EventId, EventType, Outcome, event_by
from radkeep.audit.ports import AuditLog
from radkeep.crypto import otp
from radkeep.crypto.tokens import new_token, token_digest
from radkeep.domain.actor import Actor
from radkeep.domain.addresses import source_of
from radkeep.domain.clock import Clock
from radkeep.domain.errors import InvalidRequestError, Kind, UnauthenticatedError
from radkeep.identity import actors, names, ports, recovery_codes
from radkeep.identity.passwords import Passwords
from radkeep.identity.records import Account, Credentials, KnownBrowser, PasswordPassedRecord
from radkeep.identity.sessions import Sessions
from radkeep.identity.throttle import Key, Limit, Occasions, Throttle, TooManyAttemptsError

FACTOR_REMEMBERED: Final = timedelta(hours=12)
BROWSER_REMEMBERED: Final = timedelta(days=90)
PASSED: Final = timedelta(minutes=5)  # from password to second factor
TRIES: Final = 5  # codes for one password
_QUARTER: Final = timedelta(minutes=15)
_DAY: Final = timedelta(hours=24)
# SP 800-63B-4 Section 3.2.2 wants at most 100 failures in a row: there the account's own, short
# delay begins, which a browser known to us does not feel.
_PAIR: Final = Limit("account+source", 3, _QUARTER, _DAY)
_BROWSER: Final = Limit("account+browser", 5, _QUARTER, _DAY)
_SOURCE: Final = Limit("source", 20, _QUARTER, timedelta(hours=1))
_ACCOUNT: Final = Limit("account", 100, timedelta(minutes=1), _DAY)
_FACTOR: Final = Limit("factor", 5, _QUARTER, _DAY)


class SignInFailedError(UnauthenticatedError):
    """E-mail address, password or code are wrong; which of them stays our secret."""

    kind, code = Kind.UNAUTHENTICATED, "sign-in-failed"


class SignInExpiredError(UnauthenticatedError):
    """The password was given too long ago, or too many codes were wrong: begin again."""

    kind, code = Kind.UNAUTHENTICATED, "sign-in-expired"


@dataclass(frozen=True, slots=True)
class PasswordPassed:
    """The password was right. This may do nothing but present a second factor."""

    token: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Both factors were right."""

    session_token: str
    device_cookie: str  # to be kept by the browser for 90 days; "" if there is none
    account: Account


class Login:
    """Signs people in. Thread-safe."""

    def __init__(
        self,
        *,
        registry: ports.Registry,
        sessions: Sessions,
        passwords: Passwords,
        throttle: Throttle,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._accounts = registry.accounts
        self._credentials = registry.credentials
        self._sign_ins = registry.sign_ins
        self._sessions = sessions
        self._passwords = passwords
        self._throttle = throttle
        self._audit = audit
        self._clock = clock
        self._throttled = Occasions(timedelta(minutes=1))

    def password(
        self, email: str, password: str, *, address: str, device_cookie: str = ""
    ) -> PasswordPassed | SignedIn:
        """Check the first factor; in a browser that is remembered it is enough.

        Raises:
            TooManyAttemptsError: wait first; it says how long.
            SignInFailedError: no such account, wrong password, not enrolled or disabled.
        """
        now = self._clock.now()
        name, account = self._account(email)
        browser = self._browser(account, device_cookie, now)
        own, shared = _password_keys(name, address, browser)
        self._enter([*own, *shared], address, now)
        credentials = self._credentials.of(account.id) if account else None
        try:
            self._passwords.verify(credentials.password_hash if credentials else None, password)
            if account is None or credentials is None or account.disabled is not None:
                raise SignInFailedError("")
        except UnauthenticatedError:
            self._failed(account, address, "password", now)
            raise SignInFailedError("e-mail address, password or code is wrong") from None
        self._throttle.succeeded(own, shared)
        if self._passwords.outdated(credentials.password_hash):
            self._credentials.rehash(account.id, self._passwords.hash(password))
        if browser is not None and now < browser.factor_until:
            proof = "password in a known browser"
            token = self._sessions.open(account, address=address, proof=proof)
            return SignedIn(session_token=token, device_cookie=device_cookie, account=account)
        passed = PasswordPassed(new_token(), now + PASSED)
        self._sign_ins.put_passed(
            PasswordPassedRecord(
                digest=token_digest(passed.token),
                account=account.id,
                created=now,
                expires=passed.expires,
            )
        )
        return passed

    def second_factor(
        self, passed_token: str, code: str, *, address: str, device_cookie: str = ""
    ) -> SignedIn:
        """Check a code of the authenticator app, or use up a recovery code.

        Raises:
            TooManyAttemptsError: wait first; it says how long.
            SignInExpiredError: begin again with the password.
            SignInFailedError: wrong code, or one that was used before.
        """
        now = self._clock.now()
        digest = token_digest(passed_token)
        passed = self._sign_ins.try_passed(digest, limit=TRIES)
        account = self._accounts.by_id(passed.account) if passed else None
        credentials = self._credentials.of(account.id) if account else None
        if passed is None or account is None or credentials is None or now >= passed.expires:
            raise SignInExpiredError("begin again with e-mail address and password")
        browser = self._browser(account, device_cookie, now)
        key = (_FACTOR, f"{account.id} {browser.digest.hex() if browser else ''}")
        self._enter([key], address, now)
        try:
            if account.disabled is not None:
                raise SignInFailedError("")
            proof = self._check_code(account, credentials, code, now)
            if not self._sign_ins.drop_passed(digest):
                raise SignInFailedError("")
        except UnauthenticatedError:
            self._failed(account, address, "second factor", now)
            raise SignInFailedError("e-mail address, password or code is wrong") from None
        self._throttle.succeeded([key])
        cookie = self._remember(account, device_cookie, now)
        token = self._sessions.open(account, address=address, proof=f"password and {proof}")
        return SignedIn(session_token=token, device_cookie=cookie, account=account)

    def sign_in(
        self, email: str, password: str, code: str, *, address: str, device_cookie: str = ""
    ) -> SignedIn:
        """Check both factors in one step, for programs.

        Raises:
            TooManyAttemptsError: wait first; it says how long.
            SignInFailedError: anything is wrong.
        """
        step = self.password(email, password, address=address, device_cookie=device_cookie)
        if isinstance(step, SignedIn):
            return step
        return self.second_factor(step.token, code, address=address, device_cookie=device_cookie)

    def _account(self, email: str) -> tuple[str, Account | None]:
        """Return what attempts on this address count for, and the account if there is one."""
        try:
            name = names.email_address(email)
        except InvalidRequestError:
            return "no address", None
        return name, self._accounts.by_email(name)

    def _browser(self, account: Account | None, cookie: str, now: datetime) -> KnownBrowser | None:
        if account is None or not cookie:
            return None
        browser = self._sign_ins.browser(token_digest(cookie), account.id)
        return browser if browser is not None and now < browser.expires else None

    def _check_code(
        self, account: Account, credentials: Credentials, code: str, now: datetime
    ) -> str:
        """Accept ``code`` once, or raise UnauthenticatedError; return what kind it was."""
        recovery = recovery_codes.parse(code)
        if recovery is not None:
            if self._credentials.use_recovery_code(account.id, recovery):
                return "recovery code"
            raise SignInFailedError("")
        step = otp.verify(credentials.totp_secret, code, now=now, after=credentials.totp_step)
        if not self._credentials.accept_step(account.id, step):
            raise SignInFailedError("")
        return "one-time code"

    def _remember(self, account: Account, cookie: str, now: datetime) -> str:
        """Return a fresh cookie for this browser, known for what the old one was known for.

        Fresh, so that a cookie planted by somebody who knows it gains nothing from this sign-in.
        """
        fresh = new_token()
        self._sign_ins.put_browser(
            KnownBrowser(
                digest=token_digest(fresh),
                account=account.id,
                created=now,
                factor_until=now + FACTOR_REMEMBERED,
                expires=now + BROWSER_REMEMBERED,
            ),
            instead_of=token_digest(cookie) if cookie else b"",
        )
        return fresh

    def _enter(self, keys: list[Key], address: str, now: datetime) -> None:
        try:
            self._throttle.enter(keys, now)
        except TooManyAttemptsError:
            if self._throttled.due(source_of(address), now):
                self._tell(actors.stranger(address), "too many attempts", now)
            raise

    def _failed(self, account: Account | None, address: str, step: str, now: datetime) -> None:
        # What was typed as the address of no account may well be a password: it is not kept.
        actor = actors.person(account, address=address) if account else actors.stranger(address)
        self._tell(actor, step, now)

    def _tell(self, actor: Actor, step: str, now: datetime) -> None:
        self._audit.append(
            event_by(
                actor,
                EventId.USER_AUTHENTICATION,
                time=now,
                type=EventType.LOGIN,
                outcome=Outcome.MINOR_FAILURE,
                detail={"step": step},
            )
        )


def _password_keys(
    name: str, address: str, browser: KnownBrowser | None
) -> tuple[list[Key], list[Key]]:
    """Return what a success clears, and what it only gives this one attempt back to."""
    if browser is not None:
        return [(_BROWSER, f"{name} {browser.digest.hex()}")], []
    place = source_of(address)
    return [(_PAIR, f"{name} {place}"), (_ACCOUNT, name)], [(_SOURCE, place)]
