# SPDX-License-Identifier: Apache-2.0
"""What recovery and verification find. Nothing here names a patient or an object of one."""

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What is wrong with bytes of a volume."""

    DAMAGE = "damage"  # something that was durable is not as it was written
    TORN = "torn"  # a last group that was never acknowledged was cut off: harmless
    INCOMPLETE = "incomplete"  # a record of the last group is not whole; most likely as TORN


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that is not as it should be."""

    volume: str
    offset: int  # bytes from the start of the volume file
    kind: FindingKind
    detail: str
