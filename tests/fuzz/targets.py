# SPDX-License-Identifier: Apache-2.0
"""Every fuzz target by name; the invariants stand in the modules that hold them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz import targets_dicom as dicom
from tests.fuzz import targets_wire as wire


@dataclass(frozen=True)
class Target:
    """What to do with any bytes, and bytes that are worth changing."""

    check: Callable[[bytes], None]
    seeds: Callable[[Sequence[Path]], Iterable[bytes]]
    longest: int = 4_096  # bytes of an input
    share: int = 1  # of the time


def _none(_: Sequence[Path]) -> Iterable[bytes]:
    return ()


TARGETS: Final[Mapping[str, Target]] = {
    "stream": Target(wire.check_stream, wire.seeds_of_streams, share=3),
    "pdu": Target(wire.check_pdu, wire.seeds_of_pdus, share=2),
    "command": Target(wire.check_command, wire.seeds_of_commands, longest=1_024),
    "data-set": Target(dicom.check_data_set, dicom.seeds_of_data_sets, share=3),
    "generated": Target(dicom.check_generated, _none, longest=2_048),
    "identifier": Target(dicom.check_identifier, dicom.seeds_of_identifiers, longest=1_024),
    "key": Target(dicom.check_key, dicom.seeds_of_keys, longest=512),
    "text": Target(dicom.check_text, dicom.seeds_of_text, longest=512),
    "multipart": Target(dicom.check_multipart, dicom.seeds_of_multipart, longest=2_048),
    "media-type": Target(dicom.check_media_type, dicom.seeds_of_media_types, longest=512),
}
