# SPDX-License-Identifier: Apache-2.0
"""Verification service class (PS3.4 Annex A): whoever was admitted gets an echo.

Invariant: an echo touches no other room, so it answers while storage is busy.
"""

from radkeep.dicom.status import SUCCESS
from radkeep.dimse.wire.commands import Command, response


def answer(request: Command) -> Command:
    """Return the C-ECHO-RSP (PS3.7 Section 9.3.5.2)."""
    return response(request, SUCCESS)
