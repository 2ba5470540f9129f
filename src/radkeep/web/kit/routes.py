# SPDX-License-Identifier: Apache-2.0
"""Routes that cannot forget to ask who and whether they may.

Invariant: every route says which permission it needs, or why it needs none; the check runs before
the handler. Use cases ask the policy again, for the object at hand.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import Final, Protocol

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from radkeep.domain.actor import Actor
from radkeep.domain.errors import ForbiddenError, RadkeepError
from radkeep.identity.permissions import Permission
from radkeep.web.kit import csrf
from radkeep.web.kit.authentication import Authentication
from radkeep.web.kit.guests import Guests
from radkeep.web.kit.headers import DATA
from radkeep.web.kit.problems import (
    MethodNotAllowedError,
    Problem,
    problem,
    problem_response,
    unexpected,
)
from radkeep.web.kit.refusals import Refusals
from radkeep.web.kit.requests import MAX_BODY_BYTES, ClientGoneError, Incoming, whole_body
from radkeep.web.kit.streaming import Pieces
from radkeep.web.kit.threads import Threads


class Access(Enum):
    """What a route asks for instead of a permission."""

    PUBLIC = auto()  # nobody needs to be known
    SIGNED_IN = auto()  # anybody who is known: one's own account


Needs = Permission | Access
Handler = Callable[[Incoming, Actor], Response]  # runs in the pool, whole
OpenHandler = Callable[[Incoming], Response]  # the same, for public routes
StreamHandler = Callable[[Incoming, Actor], Awaitable[Response]]  # reads its body itself

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Contract:
    """What a route of the JSON API takes and gives; the API's description is made of it."""

    summary: str  # one imperative phrase
    takes: type | None = None  # the shape of the body
    query: Mapping[str, type] = field(default_factory=dict)  # parameters, none of them needed
    gives: HTTPStatus = HTTPStatus.OK  # NO_CONTENT: nothing
    many: bool = False  # an array of objects, else one object


class Teller(Protocol):
    """Shows a problem in the form of a surface: a document, a page, a way to sign in."""

    def __call__(self, request: Incoming, told: Problem, /) -> Response:
        """Return the response for ``told``."""
        ...


def tell_json(_request: Incoming, told: Problem, /) -> Response:
    """Tell problems as RFC 9457 documents."""
    return problem_response(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What every route of one server shares."""

    authentication: Authentication
    threads: Threads
    refusals: Refusals | None = None  # None only where there is no audit log, as in some tests
    guests: Guests = field(default_factory=Guests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Routes that share headers, how errors are told, and whether others may link to them."""

    kit: Kit
    headers: Mapping[str, str] = field(default_factory=lambda: DATA)
    tell: Teller = tell_json
    links: bool = False

    def route(
        self,
        path: str,
        handler: Handler,
        *,
        needs: Permission | Access,
        methods: Sequence[str] = ("GET",),
        max_body: int = MAX_BODY_BYTES,
        pictures: bool = False,
        contract: Contract | None = None,
    ) -> "GuardedRoute":
        """Return a route whose synchronous ``handler`` runs in the pool, or in that of pictures."""
        if needs is Access.PUBLIC:
            raise TypeError("a public route is made by open_route, with its reason")

        def work(request: Incoming) -> Response:
            return handler(request, self._admit(request, needs))

        pool = self.kit.threads.for_pictures() if pictures else self.kit.threads
        endpoint = _InPool(self, work, max_body, pool)
        return GuardedRoute(path, endpoint, methods, needs, contract=contract)

    def open_route(
        self,
        path: str,
        handler: OpenHandler,
        *,
        why: str,
        methods: Sequence[str] = ("GET",),
        max_body: int = MAX_BODY_BYTES,
        contract: Contract | None = None,
    ) -> "GuardedRoute":
        """Return a route for everybody; ``why`` says what makes that safe."""
        pool = self.kit.threads if "GET" in methods else self.kit.threads.for_strangers()
        endpoint = _InPool(self, handler, max_body, pool)
        return GuardedRoute(path, endpoint, methods, Access.PUBLIC, why, contract=contract)

    def stream_route(
        self, path: str, handler: StreamHandler, *, needs: Permission, methods: Sequence[str]
    ) -> "GuardedRoute":
        """Return a route whose asynchronous ``handler`` reads the body piece by piece."""

        async def work(request: Incoming) -> Response:
            actor = await self.kit.threads.run(self._admit, request, needs)
            return await handler(request, actor)

        return GuardedRoute(path, _Streaming(self, work), methods, needs)

    def _admit(self, request: Incoming, needs: Needs) -> Actor:
        actor = self.kit.authentication.actor(request)
        self.kit.guests.enter(actor)
        request.admitted = actor
        if isinstance(needs, Permission) and needs not in actor.permissions:
            if self.kit.refusals is not None:
                self.kit.refusals.note(actor, needs, request.path_params.get("study", ""))
            raise ForbiddenError(f"this needs the permission {needs}")
        return actor


class GuardedRoute(Route):
    """A route that says what it needs; ``application`` takes no other."""

    def __init__(
        self,
        path: str,
        endpoint: "_Endpoint",
        methods: Sequence[str],
        needs: Needs,
        why: str = "",
        *,
        contract: Contract | None = None,
    ) -> None:
        super().__init__(path, endpoint, methods=methods, name=f"{methods[0]} {path}")
        self.needs: Final = needs
        self.why: Final = why
        self.contract: Final = contract
        self.allowed: set[str] = set(self.methods or ())  # of all routes with this path
        self._guarded = endpoint

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say which methods would be answered."""
        if self.methods and scope["method"] not in self.methods:
            error = MethodNotAllowedError("this resource does not do that")
            response = self._guarded.refusal(Incoming(scope, receive), problem(error))
            response.headers["Allow"] = ", ".join(sorted(self.allowed))
            await response(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)


class _Endpoint:
    """One route's ASGI application: checks, calls, tells errors."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in surface.headers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Incoming(scope, receive)
        try:
            await self._respond(request, scope, receive, send)
        finally:
            if request.admitted is not None:
                self._surface.kit.guests.leave(request.admitted)

    async def _respond(self, request: Incoming, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            csrf.check(request, links=self._surface.links)
            response = await self.answer(request)
        except ClientGoneError:
            return
        except RadkeepError as error:
            response = self._surface.tell(request, problem(error))
        except Exception as error:  # noqa: BLE001 - the last resort, which logs and tells
            response = self._surface.tell(request, unexpected(error))
        self._finish(response)
        try:
            await response(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - too late to tell the client; the log knows
            unexpected(error)

    def refusal(self, request: Incoming, told: Problem) -> Response:
        """Return the response for ``told``."""
        response = self._surface.tell(request, told)
        self._finish(response)
        return response

    async def answer(self, request: Incoming) -> Response:
        """Return the route's response."""
        raise NotImplementedError

    def _finish(self, response: Response) -> None:
        """Add the surface's headers where the response has none of its own."""
        set_already = {name for name, _ in response.raw_headers}
        response.raw_headers += [each for each in self._headers if each[0] not in set_already]


class _InPool(_Endpoint):
    def __init__(
        self, surface: Surface, work: OpenHandler, max_body: int, threads: Threads
    ) -> None:
        super().__init__(surface)
        self._work = work
        self._max_body = max_body
        self._threads = threads

    @override
    async def answer(self, request: Incoming) -> Response:
        if request.method not in _WITHOUT_BODY:
            request.content = await whole_body(request, limit=self._max_body)
        threads = self._threads

        def work() -> Response:
            response = self._work(request)
            if isinstance(response, Pieces):
                response.prefetch(threads, head=request.method == "HEAD")
            return response

        return await threads.run(work)


class _Streaming(_Endpoint):
    def __init__(self, surface: Surface, work: Callable[[Incoming], Awaitable[Response]]) -> None:
        super().__init__(surface)
        self._work = work

    @override
    async def answer(self, request: Incoming) -> Response:
        return await self._work(request)
