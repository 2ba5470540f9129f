# SPDX-License-Identifier: Apache-2.0
"""Who waits at a door, by source, and who has to leave when it is full.

Invariant: a crowd never holds more than its limit, and a newcomer is never the one to go: the
oldest member of the busiest source is, so a flood displaces itself. To find it costs one look at
each source, not at each member.
"""

from typing import Generic, TypeVar

MemberT = TypeVar("MemberT")


class Crowd(Generic[MemberT]):
    """A bounded set of members, each with a source, in the order of arrival."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sources: dict[str, dict[MemberT, None]] = {}
        self._members: dict[MemberT, str] = {}  # in order of arrival

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: MemberT) -> bool:
        return member in self._members

    def members(self) -> tuple[MemberT, ...]:
        """Return all members, oldest first."""
        return tuple(self._members)

    def oldest(self) -> MemberT | None:
        """Return who came first."""
        return next(iter(self._members), None)

    def add(self, member: MemberT, source: str) -> MemberT | None:
        """Let ``member`` in; return who had to leave for it, already removed."""
        leaver = self.leaver() if len(self._members) >= self._limit else None
        if leaver is not None:
            self.discard(leaver)
        self._members[member] = source
        self._sources.setdefault(source, {})[member] = None
        return leaver

    def leaver(self) -> MemberT | None:
        """Return the oldest member of the busiest source, which stays in for now."""
        if not self._sources:
            return None
        busiest = max(self._sources.values(), key=len)
        return next(iter(busiest))

    def discard(self, member: MemberT) -> str:
        """Let ``member`` go, if it is here, and return its source; "" if it is not."""
        source = self._members.pop(member, None)
        if source is None:
            return ""
        peers = self._sources[source]
        del peers[member]
        if not peers:
            del self._sources[source]
        return source
