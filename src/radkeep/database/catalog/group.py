# SPDX-License-Identifier: Apache-2.0
"""What one transaction of the catalog writer does, instance by instance.

Invariant: an instance that is not inserted leaves no trace in any study or series, save where it
is the earlier one of two equal records.
"""

from typing import Final

from radkeep.database.catalog.columns import MAX_INTEGER
from radkeep.database.catalog.entities import enter_series, enter_study
from radkeep.database.catalog.known import (
    Known,
    KnownEntity,
    KnownStudy,
    series_values,
    study_values,
)
from radkeep.database.catalog.merging import arrival_rank
from radkeep.database.catalog.packing import pack
from radkeep.database.catalog.tally import Tally
from radkeep.database.engine import Connection
from radkeep.dicom import levels
from radkeep.dicom.facts import Facts
from radkeep.domain.placement import Placement
from radkeep.ingest.ports import Arrival, Clash, Verdict

_NUMBER: Final = 0x00200013


class Group:
    """One transaction at work; not to be used after it."""

    def __init__(self, connection: Connection, known: Known, volume: str, position: int) -> None:
        self._connection = connection
        self._known = known
        self._volume = self._volume_id(volume)
        self._tally = Tally()
        connection.execute(
            "UPDATE volume SET position = max(position, ?) WHERE id = ?", (position, self._volume)
        )

    def enter(self, arrival: Arrival) -> Verdict | Clash:
        """Insert one arrival, or say why not."""
        facts = arrival.facts
        rank = arrival_rank(arrival.received, facts.sop_instance)
        known = self._known_series(arrival, rank)
        if known is None:
            taken = self._taken(arrival)
            if taken is not None:
                return taken
            study, series = self._entities(arrival, rank)
        else:
            study, series = known
        if self._insert(arrival, study.organization, series.id):
            self._tally.instance(study, series, arrival.data_set_length, arrival.received)
            return Verdict.STORED
        taken = self._taken(arrival)
        if taken is None:
            raise AssertionError("an instance is neither new nor there")
        return taken

    def quarantine(self, arrival: Arrival) -> None:
        """Enter one arrival as a conflict; the same record again changes nothing."""
        facts, place = arrival.facts, arrival.placement
        self._connection.execute(
            "INSERT INTO quarantine (organization, study, series, uid, sop_class,"
            " transfer_syntax, digest, data_set_length, volume, offset, length, key_id, source,"
            " received, transfer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (volume, offset) DO NOTHING",
            (
                self._organization_id(arrival.organization),
                facts.study,
                facts.series,
                facts.sop_instance,
                facts.sop_class,
                facts.transfer_syntax,
                arrival.digest,
                arrival.data_set_length,
                self._volume_of(place),
                place.offset,
                place.length,
                place.key_id,
                arrival.source,
                arrival.received,
                arrival.transfer,
            ),
        )

    def finish(self) -> None:
        """Write the counts; the transaction can commit then."""
        self._tally.write(self._connection)
        self._known.trim()

    def _known_series(self, arrival: Arrival, rank: str) -> tuple[KnownStudy, KnownEntity] | None:
        """Return the rows of the arrival's study and series when it adds nothing to them."""
        facts = arrival.facts
        study = self._known.studies.get((arrival.organization, facts.study))
        if study is None:
            return None
        series = study.series.get(facts.series)
        if series is None or rank < study.latest or rank < series.latest:
            return None
        if study_values(facts) != study.seen or series_values(facts) != series.seen:
            return None
        return study, series

    def _entities(self, arrival: Arrival, rank: str) -> tuple[KnownStudy, KnownEntity]:
        facts = arrival.facts
        organization = self._organization_id(arrival.organization)
        study = enter_study(self._connection, organization, facts, rank)
        key = (arrival.organization, facts.study)
        before = self._known.studies.get(key)
        if before is not None and before.id == study.id:
            study.series = before.series
        series = enter_series(self._connection, study, facts, rank)
        study.series[facts.series] = series
        self._known.studies[key] = study
        return study, series

    def _insert(self, arrival: Arrival, organization: int, series: int) -> bool:
        facts, place = arrival.facts, arrival.placement
        cursor = self._connection.execute(
            "INSERT INTO instance (organization, series, uid, sop_class, transfer_syntax, number,"
            " frames, digest, data_set_length, volume, offset, length, key_id, source, received,"
            " transfer, attributes)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (organization, uid) DO NOTHING",
            (
                organization,
                series,
                facts.sop_instance,
                facts.sop_class,
                facts.transfer_syntax,
                _bounded(facts.integer(_NUMBER)),
                _frames(facts),
                arrival.digest,
                arrival.data_set_length,
                self._volume_of(place),
                place.offset,
                place.length,
                place.key_id,
                arrival.source,
                arrival.received,
                arrival.transfer,
                pack(facts),
            ),
        )
        return cursor.rowcount == 1

    def _taken(self, arrival: Arrival) -> Verdict | Clash | None:
        """Return the answer for an arrival whose SOP Instance UID has a row, None without one."""
        facts, place = arrival.facts, arrival.placement
        row = self._connection.execute(
            "SELECT i.id, i.digest, v.name, i.offset, i.length, i.key_id, i.transfer_syntax,"
            " i.data_set_length, i.received, i.deleted"
            " FROM instance i JOIN volume v ON v.id = i.volume"
            " WHERE i.organization = ? AND i.uid = ?",
            (self._organization_id(arrival.organization), facts.sop_instance),
        ).fetchone()
        if row is None:
            return None
        instance, digest, volume, offset, length, key_id, syntax, size, received, deleted = row
        if digest != arrival.digest:
            original = Placement(volume=volume, offset=offset, length=length, key_id=key_id)
            return Clash(
                original=original,
                transfer_syntax=syntax,
                data_set_length=size,
                deleted=bool(deleted),
            )
        self._tally.seen(self._organization_id(arrival.organization), arrival.received)
        if (volume, offset) == (place.volume, place.offset):
            return Verdict.STORED
        if (arrival.received, place.volume, place.offset) < (received, volume, offset):
            self._replace(arrival, instance)
        return Verdict.DELETED if deleted else Verdict.SAME

    def _replace(self, arrival: Arrival, instance: int) -> None:
        """Let the row name the earlier of two equal records, as it would after a rebuild."""
        place = arrival.placement
        self._connection.execute(
            "UPDATE instance SET transfer_syntax = ?, data_set_length = ?, volume = ?, offset = ?,"
            " length = ?, key_id = ?, source = ?, received = ?, transfer = ? WHERE id = ?",
            (
                arrival.facts.transfer_syntax,
                arrival.data_set_length,
                self._volume_of(place),
                place.offset,
                place.length,
                place.key_id,
                arrival.source,
                arrival.received,
                arrival.transfer,
                instance,
            ),
        )
        self._entities(arrival, arrival_rank(arrival.received, arrival.facts.sop_instance))

    def _organization_id(self, name: str) -> int:
        known = self._known.organizations
        if name not in known:
            self._connection.execute(
                "INSERT INTO organization (name) VALUES (?) ON CONFLICT (name) DO NOTHING", (name,)
            )
            known[name] = self._id("SELECT id FROM organization WHERE name = ?", name)
        return known[name]

    def _volume_id(self, name: str) -> int:
        known = self._known.volumes
        if name not in known:
            self._connection.execute(
                "INSERT INTO volume (name, position) VALUES (?, 0) ON CONFLICT (name) DO NOTHING",
                (name,),
            )
            known[name] = self._id("SELECT id FROM volume WHERE name = ?", name)
        return known[name]

    def _volume_of(self, place: Placement) -> int:
        return self._volume_id(place.volume)  # a large object has a volume of its own

    def _id(self, sql: str, name: str) -> int:
        row = self._connection.execute(sql, (name,)).fetchone()
        if row is None:
            raise AssertionError("a row that was just made is not there")
        number: int = row[0]
        return number


def _frames(facts: Facts) -> int:
    """Return the number of frames, 0 for what has no pixels."""
    raw = facts.raw
    if levels.ROWS not in raw or levels.COLUMNS not in raw:
        return 0
    return facts.frames if levels.NUMBER_OF_FRAMES in raw else 1


def _bounded(number: int | None) -> int | None:
    return number if number is not None and abs(number) <= MAX_INTEGER else None
