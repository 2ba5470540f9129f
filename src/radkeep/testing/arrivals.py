# SPDX-License-Identifier: Apache-2.0
"""Arrivals as the archive hands them to the catalog, made up, and a catalog's answers compared.

Invariant: equal arguments give equal arrivals; no two patients, UIDs or digests are alike by
chance.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from radkeep.dicom.facts import Facts
from radkeep.dicom.query import ALL, Level, Query
from radkeep.domain.placement import Placement
from radkeep.domain.uid import Uid
from radkeep.ingest.ports import Arrival
from radkeep.retrieval.ports import CatalogReader, StoredInstance

ROOT: Final = "1.2.826.0.1.3680043.8.498.1"
CT: Final = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
_NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_PAGE: Final = 97  # rows; not a divisor of round numbers, so that pages end anywhere


def facts(
    study: int = 1,
    series: int = 1,
    number: int = 1,
    *,
    texts: Mapping[int, str] | None = None,
    transfer_syntax: str = EXPLICIT,
) -> Facts:
    """Return the facts of a CT image; ``texts`` replaces or (with "") empties attributes.

    Patient, dates and accession number follow from ``study``.
    """
    values = {
        0x00080005: "ISO_IR 192",
        0x00080008: "ORIGINAL\\PRIMARY\\AXIAL",
        0x00080016: CT,
        0x00080018: f"{ROOT}.{study}.{series}.{number}",
        0x00080020: f"2026{study % 12 + 1:02d}{study % 28 + 1:02d}",
        0x00080023: f"2026{study % 12 + 1:02d}{study % 28 + 1:02d}",
        0x00080030: f"{study % 24:02d}3000",
        0x00080033: f"{study % 24:02d}3015",
        0x00080050: f"ACC{study:08d}",
        0x00080060: "CT",
        0x00080070: "Radkeep Phantoms",
        0x00080090: "Referring^Rita",
        0x00081030: "CT head without contrast",
        0x0008103E: f"Axial {series} mm",
        0x00100010: f"Phantom^Patient{study}",
        0x00100020: f"PID{study:07d}",
        0x00100030: "19700101",
        0x00100040: "F",
        0x00180015: "HEAD",
        0x0020000D: f"{ROOT}.{study}",
        0x0020000E: f"{ROOT}.{study}.{series}",
        0x00200010: f"S{study}",
        0x00200011: f"{series}",
        0x00200012: "1",
        0x00200013: f"{number}",
    }
    raw = {tag: text.encode() for tag, text in (values | dict(texts or {})).items()}
    binary = {0x00280010: 512, 0x00280011: 512, 0x00280100: 16}
    raw |= {tag: value.to_bytes(2, "little") for tag, value in binary.items()}
    return Facts.of(raw, transfer_syntax)


def arrival(
    of: Facts,
    *,
    organization: str = "clinic",
    content: str = "",
    volume: str = "a" * 32,
    offset: int = 0,
    second: int = 0,
    source: str = "CT1",
) -> Arrival:
    """Return the arrival of ``of``; another ``content`` gives another digest.

    ``second`` is when it was received, counted from an arbitrary noon.
    """
    return Arrival(
        organization=organization,
        facts=of,
        digest=hashlib.sha256(f"{of.sop_instance}/{content}".encode()).digest(),
        data_set_length=525_000,
        placement=Placement(volume=volume, offset=offset, length=530_000, key_id=b"k" * 16),
        source=source,
        received=_time(second),
        transfer=f"transfer-{of.study}",
    )


def ct_series(
    study: int, series: int, count: int, *, organization: str = "clinic", volume: str = "a" * 32
) -> Sequence[Arrival]:
    """Return the arrivals of a whole CT series, one after the other in one volume."""
    start = (study * 1_000 + series) * 1_000
    return [
        arrival(
            facts(study, series, number + 1),
            organization=organization,
            volume=volume,
            offset=(start + number) * 530_000,
            second=number,
        )
        for number in range(count)
    ]


def all_rows(
    catalog: CatalogReader, organization: str, level: Level, query: Query | None = None
) -> Iterator[bytes]:
    """Yield every row that matches, page after page."""
    asked = query or Query()
    offset = 0
    more = True
    while more:
        page = catalog.search(
            organization,
            level,
            Query(
                filters=asked.filters,
                include=asked.include,
                order=asked.order,
                study=asked.study,
                series=asked.series,
                limit=_PAGE,
                offset=offset,
            ),
        )
        yield from page.rows
        offset += len(page.rows)
        more = page.more


def snapshot(catalog: CatalogReader, organizations: Iterable[str]) -> Mapping[str, object]:
    """Return everything that ``catalog`` answers, so that two catalogs can be compared.

    Rows of equal study date have no order of their own; the snapshot sorts them.
    """
    answers: dict[str, object] = {}
    for organization in organizations:
        for level in (Level.STUDY, Level.SERIES, Level.INSTANCE):
            rows = all_rows(catalog, organization, level, Query(include=ALL))
            answers[f"{organization}/{level}"] = sorted(rows)
        answers[f"{organization}/stored"] = _stored(catalog, organization)
    return answers


def study_uids(rows: Iterable[bytes]) -> Sequence[Uid]:
    """Return the Study Instance UIDs of ``rows``, in their order."""
    return [Uid(msgspec.json.decode(row)["0020000D"]["Value"][0]) for row in rows]


def _stored(catalog: CatalogReader, organization: str) -> Sequence[StoredInstance]:
    studies = sorted(study_uids(all_rows(catalog, organization, Level.STUDY)))
    return [found for study in studies for found in catalog.instances(organization, study)]


def _time(second: int) -> str:
    return (_NOON + timedelta(seconds=second)).isoformat(timespec="milliseconds")
