# SPDX-License-Identifier: Apache-2.0
"""Search results as the list of studies and the page of one study show them.

Invariant: pure; every row that the catalog returns becomes a line, whatever it lacks.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from radkeep.web.portal import json_text
from radkeep.web.portal.json_text import Row
from radkeep.web.portal.pages.frame import Fact
from radkeep.web.portal.pages.studies import Patient, SeriesRow, StudyRow

_UNNAMED: Final = "No name"
_UNDESCRIBED: Final = "No description"

# PS3.3 Section C.7.3.1.1.1: these describe images of other series, and the viewer draws none
# of them alone. A study of nothing else would open as a black page.
_NO_PICTURE: Final = frozenset({"KO", "PR", "REG", "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SEG"})

STUDY_UID: Final = "0020000D"
STUDY_DESCRIPTION: Final = "00081030"
ACCESSION: Final = "00080050"
REFERRER: Final = "00080090"
_STUDY_DATE: Final = "00080020"
_STUDY_TIME: Final = "00080030"
_BIRTH: Final = "00100030"


def study_address(uid: str) -> str:
    """Return the address of a study's page."""
    return f"/studies/{uid}"


def viewer_address(uid: str) -> str:
    """Return the address that opens a study in the viewer."""
    return f"/viewer/viewer?StudyInstanceUIDs={uid}"


def has_pictures(modalities: Collection[str]) -> bool:
    """Tell whether the viewer has something to show of a study with these modalities."""
    return not modalities or not _NO_PICTURE.issuperset(modalities)


def study_rows(rows: Iterable[bytes], *, may_view: bool) -> tuple[StudyRow, ...]:
    """Return the lines of the list, which lead to the viewer if the reader may look inside."""
    return tuple(_study_row(json_text.decode(row), may_view=may_view) for row in rows)


def _study_row(row: Row, *, may_view: bool) -> StudyRow:
    uid = json_text.text(row, STUDY_UID)
    modalities = json_text.values(row, "00080061")
    return StudyRow(
        href=study_address(uid),
        viewer=viewer_address(uid) if may_view and has_pictures(modalities) else "",
        patient=json_text.name(row, "00100010") or _UNNAMED,
        patient_id=json_text.text(row, "00100020"),
        birth=json_text.day(row, _BIRTH),
        when=study_time(row),
        modalities=modalities,
        description=json_text.text(row, STUDY_DESCRIPTION),
        accession=json_text.text(row, ACCESSION),
        series=json_text.text(row, "00201206"),
        instances=json_text.text(row, "00201208"),
    )


def study_time(row: Row) -> str:
    """Return when a study began."""
    return json_text.moment(row, _STUDY_DATE, _STUDY_TIME)


def description(row: Row) -> str:
    """Return what a study is called."""
    return json_text.text(row, STUDY_DESCRIPTION) or _UNDESCRIBED


def patient(row: Row) -> Patient:
    """Return who a study is of."""
    birth = json_text.day(row, _BIRTH)
    sex = json_text.text(row, "00100040")
    return Patient(
        name=json_text.name(row, "00100010") or _UNNAMED,
        id=json_text.text(row, "00100020"),
        birth=birth,
        age=json_text.age(birth, json_text.day(row, _STUDY_DATE)),
        sex=json_text.SEXES.get(sex, sex),
    )


def series_rows(rows: Iterable[bytes]) -> tuple[SeriesRow, ...]:
    """Return the lines of the table of series, by their number."""
    found = (json_text.decode(row) for row in rows)
    ordered = sorted(found, key=lambda row: json_text.whole(row, "00200011"))
    return tuple(
        SeriesRow(
            number=json_text.text(row, "00200011"),
            modality=json_text.text(row, "00080060"),
            description=json_text.text(row, "0008103E") or _UNDESCRIBED,
            body_part=json_text.text(row, "00180015"),
            when=json_text.moment(row, "00080021", "00080031"),
            instances=json_text.whole(row, "00201209"),
        )
        for row in ordered
    )


# Keys of ``InstanceHead.origin`` in the order and words in which people read them.
_ORIGIN: Final = {
    "received": "Received",
    "source": "Sent by",
    "kind": "Known as",
    "address": "From address",
    "protocol": "Through",
}
_PROTOCOLS: Final = {"c-store": "C-STORE", "stow-rs": "STOW-RS"}


def origin_facts(origin: Mapping[str, str]) -> tuple[Fact, ...]:
    """Return where an instance came from."""
    shown = {key: origin.get(key, "") for key in _ORIGIN}
    shown["received"] = _moment(shown["received"])
    shown["protocol"] = _PROTOCOLS.get(shown["protocol"], shown["protocol"])
    return tuple(Fact(name=_ORIGIN[key], value=value) for key, value in shown.items() if value)


def _moment(iso: str) -> str:
    try:
        return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return iso
