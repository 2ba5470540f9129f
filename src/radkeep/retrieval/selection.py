# SPDX-License-Identifier: Apache-2.0
"""What a C-GET or C-MOVE names by unique keys, found.

Invariant: nothing is found that ``fetch`` would not give out one by one; all that is found leaves
in the order of studies, series and instance numbers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from radkeep.audit.events import Action, EventId
from radkeep.audit.guard import guarded
from radkeep.audit.ports import AuditLog
from radkeep.dicom.levels import PATIENT_ID, SERIES_UID, SOP_INSTANCE, STUDY_UID
from radkeep.dicom.query import Level, Match, MatchKind, Query
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import NotFoundError, TooLargeError
from radkeep.domain.uid import Uid
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.retrieval.fetch import Fetch
from radkeep.retrieval.ports import CatalogReader
from radkeep.retrieval.retrieved import Retrieved

MAX_INSTANCES: Final = 200_000  # of one request; as many rows fit in 200 MB
_PAGE: Final = 5_000

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_uids: Final = msgspec.json.Decoder(dict[str, str | list[str]]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The unique keys of a request; an empty list does not narrow."""

    level: Level
    patients: tuple[str, ...] = ()
    studies: tuple[Uid, ...] = ()
    series: tuple[Uid, ...] = ()
    instances: tuple[Uid, ...] = ()


class Selection:
    """Finds what is to leave. Thread-safe."""

    def __init__(
        self,
        *,
        catalog: CatalogReader,
        fetch: Fetch,
        policy: Policy,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._fetch = fetch
        self._policy = policy
        self._audit = audit
        self._clock = clock

    @contextmanager
    def admitted(self, actor: Actor, *, permission: Permission, purpose: str) -> Iterator[None]:
        """Let ``actor`` look for what to choose from; what the block refuses is audited, too.

        Raises:
            ForbiddenError: ``actor`` lacks ``permission``, or may read nothing.
            AuditUnavailableError: a refusal cannot be audited.
        """
        with guarded(
            self._audit,
            self._clock,
            actor,
            EventId.INSTANCES_ACCESSED,
            action=Action.READ,
            detail={"purpose": purpose},
        ):
            self._policy.require(actor, permission, organization=actor.organization)
            self._policy.require(actor, Permission.STUDY_READ, organization=actor.organization)
            yield

    def choose(
        self, actor: Actor, wanted: Wanted, *, permission: Permission, purpose: str
    ) -> Sequence[Retrieved]:
        """Return what ``wanted`` names, none if nothing is there; the access is audited.

        Raises:
            ForbiddenError: ``actor`` lacks ``permission``, or may read nothing.
            TooLargeError: more than MAX_INSTANCES.
            AuditUnavailableError: the access cannot be audited.
        """
        with self.admitted(actor, permission=permission, purpose=purpose):
            pass  # what is refused below is audited where it is refused
        found: list[Retrieved] = []
        for study, series, instances in self._places(actor.organization, wanted):
            try:
                several = self._fetch.instances(
                    actor,
                    study,
                    series,
                    instances[0] if len(instances) == 1 else None,
                    purpose=purpose,
                )
            except NotFoundError:
                continue  # erased since the search
            names = set(instances)
            found += [one for one in several if not names or one.stored.sop_instance in names]
            if len(found) > MAX_INSTANCES:
                raise TooLargeError("too many instances for one request")
        return found

    def _places(
        self, organization: str, wanted: Wanted
    ) -> Iterator[tuple[Uid, Uid | None, Sequence[Uid]]]:
        """Yield study, series if they are named, and instances if they are."""
        level = Level.STUDY if wanted.level is Level.PATIENT else wanted.level
        below: dict[tuple[Uid, Uid | None], list[Uid]] = {}
        for row in self._rows(organization, level, wanted):
            study = _uid(row, STUDY_UID)
            series = None if level is Level.STUDY else _uid(row, SERIES_UID)
            names = below.setdefault((study, series), [])
            if level is Level.INSTANCE:
                names.append(_uid(row, SOP_INSTANCE))
        for (study, series), names in below.items():
            yield study, series, names

    def _rows(
        self, organization: str, level: Level, wanted: Wanted
    ) -> Iterator[dict[str, msgspec.Raw]]:
        keys = (
            (PATIENT_ID, wanted.patients),
            (STUDY_UID, wanted.studies),
            (SERIES_UID, wanted.series),
            (SOP_INSTANCE, wanted.instances),
        )
        filters = tuple(
            Match((tag,), MatchKind.SINGLE if len(values) == 1 else MatchKind.LIST, tuple(values))
            for tag, values in keys
            if values
        )
        offset, more = 0, True
        while more:
            if offset > MAX_INSTANCES:
                raise TooLargeError("too many objects for one request")
            page = self._catalog.search(
                organization, level, Query(filters=filters, limit=_PAGE, offset=offset)
            )
            yield from map(_decode, page.rows)
            offset, more = offset + len(page.rows), page.more


def _uid(row: dict[str, msgspec.Raw], tag: int) -> Uid:
    return Uid(_uids(row[f"{tag:08X}"])["Value"][0])
