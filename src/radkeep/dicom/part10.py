# SPDX-License-Identifier: Apache-2.0
"""What we write before a data set that leaves as a file (PS3.10 Section 7).

Invariant: the preamble is zeroed, so that a file we give out is never also a program.
"""

from typing import Final

from radkeep.dicom.encode import Element, encode

IMPLEMENTATION_CLASS_UID: Final = "2.25.194702953860914857352671480953720163458"
IMPLEMENTATION_VERSION_NAME: Final = "RADKEEP"
_PREFIX: Final = bytes(128) + b"DICM"


def file_meta(
    sop_class: str, sop_instance: str, transfer_syntax: str, source_ae: str = ""
) -> bytes:
    """Return preamble, prefix and file meta information (PS3.10 Section 7.1).

    Args:
        sop_class: SOP Class UID of the data set.
        sop_instance: SOP Instance UID of the data set.
        transfer_syntax: UID of the syntax that the data set is in.
        source_ae: AE title of who sent it, left out when empty.
    """
    elements: list[Element] = [
        (0x00020001, "OB", b"\0\1"),
        (0x00020002, "UI", sop_class),
        (0x00020003, "UI", sop_instance),
        (0x00020010, "UI", transfer_syntax),
        (0x00020012, "UI", IMPLEMENTATION_CLASS_UID),
        (0x00020013, "SH", IMPLEMENTATION_VERSION_NAME),
    ]
    if source_ae:
        elements.append((0x00020016, "AE", source_ae))
    group = encode(elements)
    return _PREFIX + encode([(0x00020000, "UL", len(group))]) + group
