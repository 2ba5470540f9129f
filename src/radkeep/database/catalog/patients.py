# SPDX-License-Identifier: Apache-2.0
"""Patients, who have no table: they are what the studies say of them.

Invariant: one patient is one Patient ID of one issuer; where no ID is known, one name and birth
date. What is returned is from the newest study that matches.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final, Literal

import msgspec

from radkeep.database.catalog.rows import attributes_of, encoded
from radkeep.database.engine import Connection, Row
from radkeep.dicom.levels import PATIENT
from radkeep.dicom.query import Level

STUDIES: Final = 0x00201200  # Number of Patient Related Studies
SERIES: Final = 0x00201202  # ... Series
INSTANCES: Final = 0x00201204  # ... Instances
COUNTS: Final = (STUDIES, SERIES, INSTANCES)

_TAGS: Final = frozenset(f"{tag:08X}" for tag in PATIENT)
_IDENTITY: Final = ("00100020", "00100021")  # Patient ID and its issuer
_INSTEAD: Final = ("00100010", "00100030")  # name and birth date
_COUNT: Final = (
    "SELECT count(*), sum(p.series), sum(p.instances)"
    " FROM study y CROSS JOIN study p INDEXED BY study_patient"
    " ON p.organization = y.organization AND p.patient_id = y.patient_id"
    " AND p.hidden = 0"
    " AND (y.patient_id <> '' OR (p.name_key = y.name_key AND p.birth_date = y.birth_date))"
    " WHERE y.organization = ? AND y.uid = ?"
)
_raw: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def patients(
    connection: Connection,
    organization: int,
    studies: Iterable[Row],
    wanted: tuple[int, ...] | Literal["all"],
) -> Iterator[bytes]:
    """Yield each patient of ``studies``, rows of ``catalog.plan``, once, in their order."""
    seen: set[tuple[bytes, ...]] = set()
    for row in studies:
        known = attributes_of(Level.STUDY, row[4])
        named = _IDENTITY if _value(known, "00100020") else _INSTEAD
        who = (named[0].encode(), *(_value(known, tag) for tag in named))
        if who in seen:
            continue
        seen.add(who)
        answer = {tag: value for tag, value in known.items() if tag in _TAGS}
        answer["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
        if wanted == "all" or wants_counts(wanted):
            answer |= counts(connection, organization, row[0])
        yield encoded(answer)


def wants_counts(wanted: Collection[int] | Literal["all"]) -> bool:
    """Tell whether the numbers of ``counts`` are asked for by name."""
    return wanted != "all" and any(tag in wanted for tag in COUNTS)


def with_counts(connection: Connection, organization: int, study: str, row: bytes) -> bytes:
    """Return an encoded ``row`` with the numbers of the patient that ``study`` belongs to."""
    return encoded(_raw.decode(row) | counts(connection, organization, study))


def counts(connection: Connection, organization: int, study: str) -> dict[str, object]:
    """Return the numbers of the patient that ``study`` belongs to."""
    found = connection.execute(_COUNT, (organization, study)).fetchone() or (0, 0, 0)
    return {
        f"{tag:08X}": {"vr": "IS", "Value": [number or 0]}
        for tag, number in zip(COUNTS, found, strict=True)
    }


def _value(known: dict[str, object], tag: str) -> bytes:
    """Return the encoded element, empty when it has no value."""
    value = known.get(tag)
    return bytes(value) if isinstance(value, msgspec.Raw) else b""
