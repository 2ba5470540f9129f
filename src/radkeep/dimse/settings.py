# SPDX-License-Identifier: Apache-2.0
"""Limits and deadlines of the DICOM door, each with its unit and its reason.

Invariant: what one peer can hold (descriptors, memory, time) is bounded by a number on this page.
"""

from dataclasses import dataclass
from typing import Final

from radkeep.dimse.wire.connection import DEFAULT_MAX_LENGTH

SEGMENT: Final = 278_528  # bytes; a PDU of the longest length, its headers and its command
FIRST_BUFFER: Final = 4_096  # bytes; a usual A-ASSOCIATE-RQ of up to 20 contexts
HANDOVER: Final = 131_072  # bytes gathered before the ingest thread is woken inside a data set
TURN: Final = 65_536  # bytes read at once outside a message: at most 750 echoes, 20 ms of the loop
CIPHERTEXT: Final = 262_144  # bytes of TLS records read at once inside a message
MIN_READ: Final = 8_192  # bytes; a segment with less room is replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class DimseSettings:
    """How the DICOM door behaves; the defaults are for production. Times are in seconds."""

    sealed: bool = False  # keys locked: every association is refused with 2/3/1
    max_length: int = DEFAULT_MAX_LENGTH  # bytes of a P-DATA-TF PDU, advertised and enforced
    window: int = 16  # outstanding C-STOREs of one association; gain is flat beyond 8

    silent: int = 8_192  # connections that sent nothing yet: a descriptor each, no buffer
    half_open: int = 256  # connections between first byte and association
    handshake_bytes: int = 33_554_432  # of all requests being received; usual ones take 4 KiB
    associations: int = 128  # at once
    associations_per_peer: int = 32  # of one AE title: four busy modalities cannot fill the house
    associations_per_source: int = 64  # of one address, whatever titles it calls itself
    reserved: int = 32  # associations that only peers with a certificate may have
    closing: int = 256  # connections that wait for the peer to close

    queued_per_association: int = 1_048_576  # bytes received and not yet taken by ingest
    queued: int = 33_554_432  # of all associations; beyond it each may queue one segment
    outstanding: int = 64  # unanswered C-STOREs of one association, whatever was negotiated
    found: int = 10_000  # matches of one C-FIND; then it ends with A700
    in_flight: int = 2_097_152  # bytes of one operation on their way to the peer
    report_answer: float = 30.0  # for a peer to take a report on the association that asked
    report_pauses: tuple[float, ...] = (0.0, 10.0, 60.0, 300.0, 1800.0)  # before each call of it
    workers: int = 2  # ingest threads; hashing and sealing run without the interpreter's lock

    first_byte: float = 30.0  # from connect; DCMTK and pynetdicom wait 30 s for the request
    artim: float = 10.0  # first byte to whole request, and our last word to the peer's close
    idle: float = 300.0  # associated, nothing under way; modalities pause between series
    stall: float = 60.0  # a message may always take this long ...
    min_rate: int = 8_192  # ... and one second more for each such number of bytes (64 kbit/s)
    total: float = 28_800.0  # an association: a working shift of 8 h
    answer: float = 120.0  # for the store to answer before the association counts as stuck
    grace: float = 10.0  # at shutdown, for what is under way
    incident_interval: float = 10.0  # equal incidents of one address become one record
    tick: float = 1.0  # how often deadlines are looked at
    recheck: float = 3.0  # between looks at whether associated devices are still registered
