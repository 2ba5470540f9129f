# SPDX-License-Identifier: Apache-2.0
"""Command sets: round trip, pynetdicom as oracle, any bytes give a command or our error."""

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode as decode_elsewhere

from radkeep.dimse.wire import commands
from radkeep.dimse.wire.commands import Command, CommandField, Element
from radkeep.dimse.wire.errors import RemoteProtocolError


def _element(number: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, number, len(value)) + value


ECHO = Command(
    {
        Element.COMMAND_FIELD: CommandField.C_ECHO,
        Element.MESSAGE_ID: 7,
        Element.DATA_SET_TYPE: 0x101,
    },
    {Element.AFFECTED_SOP_CLASS: "1.2.840.10008.1.1"},
)
numbers = st.dictionaries(st.sampled_from(sorted(commands._NUMBERS)), st.integers(0, 0xFFFF))
texts = st.dictionaries(
    st.sampled_from(sorted(commands._UIDS | commands._TEXTS)),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=70),
)


@given(numbers, texts, st.integers(0, 0xFFFF))
def test_round_trip(some: dict[int, int], words: dict[int, str], field: int) -> None:
    both = {Element.MESSAGE_ID: 1, Element.MESSAGE_ID_RESPONDED_TO: 2}
    command = Command(some | both | {Element.COMMAND_FIELD: field}, words)
    assert commands.decode(command.encode()) == command


@given(st.binary(max_size=200))
def test_any_bytes_give_a_command_or_our_error(data: bytes) -> None:
    try:
        command = commands.decode(data)
    except RemoteProtocolError:
        return
    assert command.message_id >= 0


@given(st.data())
def test_a_damaged_command_gives_a_command_or_our_error(data: st.DataObject) -> None:
    raw = bytearray(ECHO.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        commands.decode(bytes(raw))
    except RemoteProtocolError:
        return


def test_a_foreign_request_is_understood() -> None:
    primitive = C_STORE()
    primitive.MessageID = 9
    primitive.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    primitive.AffectedSOPInstanceUID = "1.2.3.45"
    primitive.Priority = 2
    primitive.DataSet = BytesIO(b"\0" * 8)
    theirs = C_STORE_RQ()
    theirs.primitive_to_message(primitive)
    theirs.command_set.CommandGroupLength = 0
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, True
    write_dataset(stream, theirs.command_set)
    command = commands.decode(stream.getvalue())
    assert command.field == CommandField.C_STORE
    assert command.message_id == 9
    assert command.sop_instance == "1.2.3.45"
    assert command.has_data_set


def test_our_response_reads_the_same_elsewhere() -> None:
    raw = commands.response(ECHO, 0xA700, comment="the archive has no room left").encode()
    theirs = decode_elsewhere(BytesIO(raw), is_implicit_vr=True, is_little_endian=True)
    assert theirs.CommandField == 0x8030
    assert theirs.MessageIDBeingRespondedTo == 7
    assert theirs.Status == 0xA700
    assert theirs.CommandDataSetType == 0x0101
    assert theirs.ErrorComment == "the archive has no room left"
    assert theirs.CommandGroupLength == len(raw) - 12


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _element(Element.COMMAND_FIELD, b"\x30\0"),  # no message identifier
        _element(Element.MESSAGE_ID, b"\1\0"),  # no command field
        _element(Element.COMMAND_FIELD, b"\x30\0") + _element(Element.MESSAGE_ID, b"\1"),
        _element(Element.COMMAND_FIELD, b"\x30\0", group=8),
        ECHO.encode()[:-1],
        ECHO.encode() + _element(Element.COMMAND_FIELD, b"\x30\0"),  # twice
        struct.pack("<HHI", 0, Element.MESSAGE_ID, 0xFFFFFFFF),
    ],
)
def test_bad_command_sets(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        commands.decode(data)
