# SPDX-License-Identifier: Apache-2.0
"""Associations that wait a moment for the next request to the same peer.

Workstations ask for one series after the other; without this, each would cost an association.

Invariant: a link serves one thread at a time; one that waits is released after ``LINGER`` seconds,
and is used again only while its peer may still be spoken to and has said nothing.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Final

from radkeep.dimse.ports import Destination, Destinations
from radkeep.dimse.scu.calling import Caller
from radkeep.dimse.scu.requestor import Requestor

LINGER: Final = 1.0  # seconds; some peers wait for the end of the association

Offers = Sequence[tuple[str, Sequence[str]]]
_Key = tuple[str, str, str, int, bool, str]


class Links:
    """Opens associations with destinations and keeps them for a moment. Thread-safe."""

    def __init__(self, destinations: Destinations, *, linger: float = LINGER) -> None:
        self._linger = linger
        self._caller = Caller(destinations)
        self._lock = threading.Lock()
        self._waiting: dict[_Key, tuple[Requestor, threading.Timer]] = {}
        self._closed = False

    def destination(self, organization: str, ae_title: str) -> Destination:
        """Return where ``ae_title`` listens.

        Raises:
            NotFoundError: it is not registered, or without host and port.
        """
        return self._caller.destination(organization, ae_title)

    def take(
        self,
        organization: str,
        destination: Destination,
        *,
        calling: str,
        contexts: Offers,
        stop: Callable[[], bool],
    ) -> tuple[Requestor, bool]:
        """Return an association in which ``contexts`` were proposed, and whether it is a used one.

        Raises:
            PeerError: it cannot be had.
            ForbiddenError: the destination may not be spoken to.
        """
        key = _key(organization, destination, calling)
        waiting = self._pop(key)
        if waiting is not None:
            if self._usable(organization, destination, waiting, contexts):
                waiting.serve(stop)
                return waiting, True
            waiting.release()
        link = self._caller.call(
            organization, destination, calling=calling, contexts=contexts, stop=stop
        )
        return link, False

    def give(
        self, organization: str, destination: Destination, calling: str, link: Requestor
    ) -> None:
        """Let ``link`` wait for the next request."""
        key = _key(organization, destination, calling)
        link.serve(lambda: False)
        timer = threading.Timer(self._linger, self._expire, (key, link))
        timer.daemon = True
        with self._lock:
            fits = link.alive and not self._closed and key not in self._waiting
            if fits:
                self._waiting[key] = link, timer
                timer.start()
        if not fits:
            link.release()

    def close(self) -> None:
        """Release all that wait, and from now on what is given."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, {}
        for link, timer in waiting.values():
            timer.cancel()
            link.release()

    def _pop(self, key: _Key) -> Requestor | None:
        with self._lock:
            link, timer = self._waiting.pop(key, (None, None))
        if timer is not None:
            timer.cancel()
        return link

    def _expire(self, key: _Key, link: Requestor) -> None:
        with self._lock:
            if self._waiting.get(key, (None,))[0] is not link:
                return  # taken meanwhile
            del self._waiting[key]
        link.release()

    def _usable(
        self, organization: str, destination: Destination, link: Requestor, contexts: Offers
    ) -> bool:
        welcome = self._caller.may_go_on(organization, destination, link)
        return welcome and link.quiet() and all(_offered(link, *one) for one in contexts)


def _offered(link: Requestor, sop_class: str, syntaxes: Collection[str]) -> bool:
    """Tell whether ``link`` was asked for a class in one of ``syntaxes``, or refused it before."""
    return any(
        abstract == sop_class and set(syntaxes) <= set(offered)
        for abstract, offered in link.proposed
    )


def _key(organization: str, destination: Destination, calling: str) -> _Key:
    place = destination.host, destination.port, destination.tls
    return organization, destination.ae_title, *place, calling
