# SPDX-License-Identifier: Apache-2.0
"""Which attributes belong to which level (PS3.18 Tables 10.6.3-3 to 10.6.3-5, PS3.4 C.6).

Invariant: the scanner extracts exactly these, and what it needs to tell frames apart.
"""

from typing import Final

from radkeep.dicom.query import Level

PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
STUDY_DATE: Final = 0x00080020
ACCESSION_NUMBER: Final = 0x00080050
REFERRING_PHYSICIAN: Final = 0x00080090
MODALITY: Final = 0x00080060
MODALITIES_IN_STUDY: Final = 0x00080061  # made by the catalog, in no instance
STUDY_UID: Final = 0x0020000D
SERIES_UID: Final = 0x0020000E
SOP_CLASS: Final = 0x00080016
SOP_INSTANCE: Final = 0x00080018
SPECIFIC_CHARACTER_SET: Final = 0x00080005
NUMBER_OF_FRAMES: Final = 0x00280008
ROWS: Final = 0x00280010
COLUMNS: Final = 0x00280011
SAMPLES: Final = 0x00280002
PHOTOMETRIC: Final = 0x00280004
BITS_ALLOCATED: Final = 0x00280100

PATIENT: Final = (
    PATIENT_NAME,
    PATIENT_ID,
    0x00100021,  # Issuer of Patient ID
    0x00100030,  # Patient's Birth Date
    0x00100032,  # Patient's Birth Time
    0x00100040,  # Patient's Sex
)
STUDY: Final = (
    STUDY_DATE,
    0x00080030,  # Study Time
    ACCESSION_NUMBER,
    0x00080080,  # Institution Name
    REFERRING_PHYSICIAN,
    0x00081030,  # Study Description
    0x00081032,  # Procedure Code Sequence
    0x00080201,  # Timezone Offset From UTC
    *PATIENT,
    0x00101010,  # Patient's Age
    0x00101020,  # Patient's Size
    0x00101030,  # Patient's Weight
    STUDY_UID,
    0x00200010,  # Study ID
)
SERIES: Final = (
    0x00080021,  # Series Date
    0x00080031,  # Series Time
    MODALITY,
    0x00080070,  # Manufacturer
    0x00081010,  # Station Name
    0x0008103E,  # Series Description
    0x00081050,  # Performing Physician's Name
    0x00081090,  # Manufacturer's Model Name
    0x00180015,  # Body Part Examined
    0x00181030,  # Protocol Name
    SERIES_UID,
    0x00200011,  # Series Number
    0x00200060,  # Laterality
    0x00400244,  # Performed Procedure Step Start Date
    0x00400245,  # Performed Procedure Step Start Time
    0x00400260,  # Performed Protocol Code Sequence
    0x00400275,  # Request Attributes Sequence
)
INSTANCE: Final = (
    0x00080008,  # Image Type
    SOP_CLASS,
    SOP_INSTANCE,
    0x00080022,  # Acquisition Date
    0x00080023,  # Content Date
    0x0008002A,  # Acquisition DateTime
    0x00080032,  # Acquisition Time
    0x00080033,  # Content Time
    0x00200012,  # Acquisition Number
    0x00200013,  # Instance Number
    NUMBER_OF_FRAMES,
    ROWS,
    COLUMNS,
    BITS_ALLOCATED,
    0x00420010,  # Document Title
)
_PIXELS: Final = (SAMPLES, PHOTOMETRIC)

BY_LEVEL: Final[dict[Level, tuple[int, ...]]] = {
    Level.PATIENT: PATIENT,
    Level.STUDY: STUDY,
    Level.SERIES: SERIES,
    Level.INSTANCE: INSTANCE,
}
WANTED: Final = frozenset({SPECIFIC_CHARACTER_SET, *STUDY, *SERIES, *INSTANCE, *_PIXELS})
