# SPDX-License-Identifier: Apache-2.0
"""Rows of a search as DICOM JSON objects (PS3.18 Section 10.6.3 and Annex F).

Invariant: what a level must return is there, empty when nothing is known; ModalitiesInStudy always
has a Value array, for a viewer's whole list fails without one. Text is UTF-8.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from radkeep.database.catalog.columns import DEPTH
from radkeep.database.catalog.packing import unpack
from radkeep.database.engine import Row
from radkeep.dicom.json_values import UTF_8
from radkeep.dicom.query import Level, Query

_RAW: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_REQUIRED: Final = MappingProxyType(  # PS3.18 Tables 10.6.3-3 to 10.6.3-5
    {
        Level.STUDY: {
            "00080020": "DA",
            "00080030": "TM",
            "00080050": "SH",
            "00080090": "PN",
            "00100010": "PN",
            "00100020": "LO",
            "00100030": "DA",
            "00100040": "CS",
            "00200010": "SH",
        },
        Level.SERIES: {"00080060": "CS", "00200011": "IS"},
        Level.INSTANCE: {"00200013": "IS"},
    }
)


def as_json(level: Level, query: Query, row: Row) -> bytes:
    """Return the object for ``row`` of a statement of ``catalog.plan``."""
    levels = _levels(level, row)
    answer = {"00080056": {"vr": "CS", "Value": ["ONLINE"]}} | levels[level]
    answer["0020000D"] = _uid(row[0])
    if level is not Level.STUDY:
        answer["0020000E"] = _uid(row[5])
    wanted = query.include
    for upper in (Level.SERIES, Level.STUDY):
        if upper not in levels or upper is level:
            continue
        if wanted == "all" or not _scoped(query, upper):
            answer = levels[upper] | answer
        else:
            names = [f"{tag:08X}" for tag in wanted]
            answer = {name: levels[upper][name] for name in names if name in levels[upper]} | answer
    return encoded(answer)


def encoded(answer: Mapping[str, object]) -> bytes:
    """Return the object ``answer`` in JSON; it names its character set if it is not ASCII."""
    text = _ENCODER.encode(answer)
    return text if text.isascii() else _ENCODER.encode({**answer, "00080005": UTF_8})


def everything(level: Level, row: Row) -> dict[str, Any]:
    """Return all that is known of ``row``, its upper levels too, decoded, for matching."""
    merged: dict[str, object] = {}
    for attributes in _levels(level, row).values():
        merged |= attributes
    decoded: dict[str, Any] = msgspec.json.decode(_ENCODER.encode(merged))
    return decoded


def _levels(level: Level, row: Row) -> Mapping[Level, dict[str, object]]:
    study_uid, modalities, series, instances, attributes = row[:5]
    levels = {
        Level.STUDY: attributes_of(Level.STUDY, attributes)
        | {
            "00080061": {"vr": "CS", "Value": modalities.split("\\") if modalities else []},
            "0020000D": _uid(study_uid),
            "00201206": _count(series),
            "00201208": _count(instances),
        }
    }
    if DEPTH[level] >= DEPTH[Level.SERIES]:
        levels[Level.SERIES] = attributes_of(Level.SERIES, row[7]) | {
            "0020000E": _uid(row[5]),
            "00201209": _count(row[6]),
        }
    if level is Level.INSTANCE:
        levels[Level.INSTANCE] = attributes_of(Level.INSTANCE, unpack(row[10], row[11])) | {
            "00080016": _uid(row[9]),
            "00080018": _uid(row[8]),
        }
    return levels


def attributes_of(level: Level, attributes: str | bytes) -> dict[str, object]:
    """Return the attributes of a row, with those that its level must return though empty."""
    empty: dict[str, object] = {tag: {"vr": vr} for tag, vr in _REQUIRED[level].items()}
    known = _RAW.decode(attributes)
    known.pop("00080005", None)  # of the instance; the answer has its own
    return empty | known


def _scoped(query: Query, upper: Level) -> bool:
    return (query.study if upper is Level.STUDY else query.series) is not None


def _uid(uid: str) -> dict[str, object]:
    return {"vr": "UI", "Value": [uid]}


def _count(number: int) -> dict[str, object]:
    return {"vr": "IS", "Value": [number]}
