# SPDX-License-Identifier: Apache-2.0
"""The words for an error on the wire: C-STORE status and STOW-RS Failure Reason are the same.

Sources: PS3.7 Annex C, PS3.4 Table B.2-1, PS3.18 Table I.2-2.
Invariant: every error has a word; a code's own word wins over that of its kind.
"""

from typing import Final

from radkeep.domain.errors import Kind, RadkeepError

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
INVALID_ARGUMENT: Final = 0x0115
CLASS_INSTANCE_CONFLICT: Final = 0x0119
CLASS_NOT_SUPPORTED: Final = 0x0122
NO_SUCH_ACTION: Final = 0x0123
NOT_AUTHORIZED: Final = 0x0124
RESOURCE_LIMITATION: Final = 0x0213  # of the DIMSE-N services
OUT_OF_RESOURCES: Final = 0xA700
DATA_SET_MISMATCH: Final = 0xA900  # Data Set does not match SOP Class
CANNOT_UNDERSTAND: Final = 0xC000
INVALID_UID: Final = 0xC001
INSTANCE_CONFLICT: Final = 0xC010  # other content under this SOP Instance UID: quarantined
INSTANCE_DELETED: Final = 0xC011  # people deleted it; sending it again does not bring it back

BY_KIND: Final = {
    Kind.INVALID: CANNOT_UNDERSTAND,
    Kind.UNSUPPORTED: CLASS_NOT_SUPPORTED,
    Kind.UNAUTHENTICATED: NOT_AUTHORIZED,
    Kind.FORBIDDEN: NOT_AUTHORIZED,
    Kind.NOT_FOUND: NO_SUCH_INSTANCE,
    Kind.CONFLICT: INSTANCE_CONFLICT,
    Kind.TOO_LARGE: OUT_OF_RESOURCES,
    Kind.THROTTLED: OUT_OF_RESOURCES,
    Kind.NO_ROOM: OUT_OF_RESOURCES,
    Kind.INTEGRITY: PROCESSING_FAILURE,
    Kind.UNAVAILABLE: OUT_OF_RESOURCES,  # told so, senders try again later
}

BY_CODE: Final = {
    "identifier-mismatch": DATA_SET_MISMATCH,  # PS3.4 Tables C.4-1 to C.4-3
    "invalid-uid": INVALID_UID,
    "instance-deleted": INSTANCE_DELETED,
    "uid-mismatch": DATA_SET_MISMATCH,
    "keys-locked": PROCESSING_FAILURE,
    "audit-unavailable": PROCESSING_FAILURE,
}


def store_status(error: RadkeepError) -> int:
    """Return the C-STORE status, which is the STOW-RS Failure Reason too, for ``error``."""
    return BY_CODE.get(error.code, BY_KIND[error.kind])
