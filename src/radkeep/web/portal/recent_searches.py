# SPDX-License-Identifier: Apache-2.0
"""The searches of signed-in people, so that an address of a result names none of its keys.

Invariant: what was searched for is in memory only, for its own session only, and bounded.
"""

from collections import OrderedDict
from secrets import token_urlsafe
from threading import Lock
from typing import Final

from radkeep.web.portal.pages.studies import SearchForm

_MAX: Final = 10_000  # searches of all sessions; the oldest go first
_NAME_BYTES: Final = 6  # enough not to collide; it protects nothing, the session does


class RecentSearches:
    """Remembers searches. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._searches: OrderedDict[tuple[str, str], SearchForm] = OrderedDict()

    def remember(self, session: str, search: SearchForm) -> str:
        """Keep ``search`` and return the name under which its session finds it again."""
        name = token_urlsafe(_NAME_BYTES)
        with self._lock:
            self._searches[session, name] = search
            if len(self._searches) > _MAX:
                self._searches.popitem(last=False)
        return name

    def find(self, session: str, name: str) -> SearchForm | None:
        """Return the search of ``session`` with that name, if it is still kept."""
        with self._lock:
            return self._searches.get((session, name))
