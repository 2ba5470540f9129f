# SPDX-License-Identifier: Apache-2.0
"""Which attributes SQL can match and sort: the only source of column names in a search.

Invariant: text of a query never becomes SQL; a tag picks an entry here, its values are bound.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import Final

from radkeep.dicom.levels import (
    ACCESSION_NUMBER,
    MODALITIES_IN_STUDY,
    MODALITY,
    PATIENT_ID,
    PATIENT_NAME,
    REFERRING_PHYSICIAN,
    SERIES_UID,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY_DATE,
    STUDY_UID,
)
from radkeep.dicom.query import Level

DEPTH: Final = MappingProxyType({Level.STUDY: 0, Level.SERIES: 1, Level.INSTANCE: 2})

MAX_INTEGER: Final = 2**63 - 1  # of SQL


class Role(StrEnum):
    """Whose name a row of ``study_name`` holds."""

    PATIENT = "patient"
    REFERRING = "referring"


class Form(Enum):
    """How a column is compared."""

    TEXT = auto()
    TIME = auto()  # a key of lower precision covers what it begins
    NUMBER = auto()
    MODALITY = auto()  # rows of study_modality
    NAME = auto()  # rows of study_name


@dataclass(frozen=True, slots=True)
class Column:
    """Where an attribute stands: y is the study, s the series, i the instance."""

    level: Level
    name: str  # with its table's letter; "" where nothing can be sorted by it
    form: Form = Form.TEXT
    index: str = ""  # finds rows by this column


_STUDY: Final = {
    STUDY_UID: Column(Level.STUDY, "y.uid", index="study_uid"),
    STUDY_DATE: Column(Level.STUDY, "y.date", index="study_date"),
    0x00080030: Column(Level.STUDY, "y.time", Form.TIME),
    ACCESSION_NUMBER: Column(Level.STUDY, "y.accession", index="study_accession"),
    0x00200010: Column(Level.STUDY, "y.study_id", index="study_study_id"),
    0x00081030: Column(Level.STUDY, "y.description"),
    PATIENT_ID: Column(Level.STUDY, "y.patient_id", index="study_patient"),
    0x00100030: Column(Level.STUDY, "y.birth_date", index="study_birth_date"),
    0x00100040: Column(Level.STUDY, "y.sex"),
    PATIENT_NAME: Column(Level.STUDY, "y.name_key", Form.NAME),
    REFERRING_PHYSICIAN: Column(Level.STUDY, "", Form.NAME),
    MODALITIES_IN_STUDY: Column(Level.STUDY, "", Form.MODALITY),
    0x00201206: Column(Level.STUDY, "y.series", form=Form.NUMBER),
    0x00201208: Column(Level.STUDY, "y.instances", form=Form.NUMBER),
}
_SERIES: Final = {
    SERIES_UID: Column(Level.SERIES, "s.uid", index="series_uid"),
    MODALITY: Column(Level.SERIES, "s.modality"),
    0x00200011: Column(Level.SERIES, "s.number", form=Form.NUMBER),
    0x0008103E: Column(Level.SERIES, "s.description"),
    0x00180015: Column(Level.SERIES, "s.body_part"),
    0x00201209: Column(Level.SERIES, "s.instances", form=Form.NUMBER),
}
_INSTANCE: Final = {
    SOP_INSTANCE: Column(Level.INSTANCE, "i.uid", index="instance_uid"),
    SOP_CLASS: Column(Level.INSTANCE, "i.sop_class"),
    0x00200013: Column(Level.INSTANCE, "i.number", form=Form.NUMBER),
}
ROLES: Final = MappingProxyType({PATIENT_NAME: Role.PATIENT, REFERRING_PHYSICIAN: Role.REFERRING})
COLUMNS: Final = MappingProxyType(_STUDY | _SERIES | _INSTANCE)
