# SPDX-License-Identifier: Apache-2.0
"""Every PDU survives the wire; any bytes give a PDU or our error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import pdu as oracle

from radkeep.dimse.wire import items, pdu
from radkeep.dimse.wire.errors import AbortReason, RemoteProtocolError

uids = st.from_regex(r"[1-9](\.(0|[1-9][0-9]{0,5})){0,8}", fullmatch=True)
titles = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), max_size=16
)
shorts = st.integers(0, 0xFFFF)
octets = st.integers(0, 255)
ids = st.integers(0, 127).map(lambda n: 2 * n + 1)

windows = st.builds(items.OperationsWindow, shorts, shorts)
roles = st.builds(items.RoleSelection, uids, st.booleans(), st.booleans())
identities = st.builds(
    items.UserIdentity, octets, st.booleans(), st.binary(max_size=40), st.binary(max_size=40)
)
users = st.builds(
    items.UserInformation,
    max_length=st.one_of(st.just(0), st.integers(7, 0xFFFFFFFF)),
    implementation_class=st.one_of(st.just(""), uids),
    implementation_version=titles,
    window=st.none() | windows,
    roles=st.lists(roles, max_size=3).map(tuple),
    extended=st.lists(st.tuples(uids, st.binary(max_size=9)), max_size=3).map(tuple),
    common_extended=st.lists(st.binary(max_size=9), max_size=2).map(tuple),
    identity=st.none() | identities,
    identity_response=st.none() | st.binary(max_size=9),
)
proposed = st.builds(items.ProposedContext, ids, uids, st.lists(uids, max_size=4).map(tuple))
accepted = st.builds(items.ContextResult, ids, st.just(0), uids)
refused = st.builds(items.ContextResult, ids, st.integers(1, 4))


def _unique(contexts: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(contexts, max_size=5, unique_by=lambda c: c.id).map(tuple)


fragments = st.builds(
    pdu.PresentationData, octets, st.booleans(), st.booleans(), st.binary(max_size=50)
)
pdus = st.one_of(
    st.builds(
        pdu.AssociateRequest,
        called=titles,
        calling=titles,
        contexts=_unique(proposed),
        user=users,
        application_context=uids,
        version=shorts,
    ),
    st.builds(
        pdu.AssociateAccept,
        called=titles,
        calling=titles,
        contexts=_unique(accepted | refused),
        user=users,
        application_context=uids,
        version=shorts,
    ),
    st.builds(pdu.AssociateReject, octets, octets, octets),
    st.builds(pdu.DataTransfer, st.lists(fragments, max_size=4).map(tuple)),
    st.just(pdu.ReleaseRequest()),
    st.just(pdu.ReleaseReply()),
    st.builds(pdu.Abort, octets, octets),
)


def _decode(raw: bytes) -> pdu.Pdu:
    kind, length = pdu.HEADER.unpack_from(raw)
    assert length == len(raw) - pdu.HEADER.size
    return pdu.decode(kind, raw[pdu.HEADER.size :])


@given(pdus)
def test_round_trip(value: pdu.Pdu) -> None:
    assert _decode(pdu.encode(value)) == value


@given(octets, st.binary(max_size=300))
def test_any_bytes_give_a_pdu_or_our_error(kind: int, body: bytes) -> None:
    try:
        pdu.decode(kind, body)
    except RemoteProtocolError as error:
        AbortReason(error.reason)


@given(pdus, st.data())
def test_a_damaged_pdu_gives_a_pdu_or_our_error(value: pdu.Pdu, data: st.DataObject) -> None:
    raw = bytearray(pdu.encode(value))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(octets)
    cut = data.draw(st.integers(6, len(raw)))
    try:
        pdu.decode(raw[0], bytes(raw[6:cut]))
    except RemoteProtocolError as error:
        AbortReason(error.reason)


def test_acceptance_reads_the_same_elsewhere() -> None:
    raw = pdu.encode(
        pdu.AssociateAccept(
            called="RADKEEP",
            calling="CT1",
            contexts=(
                items.ContextResult(1, 0, "1.2.840.10008.1.2.1"),
                items.ContextResult(3, 3),
            ),
            user=items.UserInformation(
                max_length=262_144,
                implementation_class="2.25.7",
                implementation_version="RADKEEP",
                window=items.OperationsWindow(8, 1),
                roles=(items.RoleSelection("1.2.840.10008.5.1.4.1.1.2", scu=True, scp=False),),
            ),
        )
    )
    theirs = oracle.A_ASSOCIATE_AC()
    theirs.decode(raw)
    assert [(c.presentation_context_id, c.result) for c in theirs.presentation_context] == [
        (1, 0),
        (3, 3),
    ]
    assert theirs.presentation_context[0].transfer_syntax == "1.2.840.10008.1.2.1"
    assert theirs.user_information.maximum_length == 262_144
    assert theirs.user_information.async_ops_window.maximum_number_operations_invoked == 8
    assert theirs.called_ae_title.strip() == "RADKEEP"


def test_items_are_counted_before_they_cost_time() -> None:
    body = bytes(68) + b"\x99\0\0\0" * (items.MAX_ITEMS + 1)
    with pytest.raises(RemoteProtocolError, match="too many"):
        pdu.decode(pdu.PduType.ASSOCIATE_RQ, body)


@pytest.mark.parametrize(
    "context",
    [
        bytes((2, 0, 0, 0)) + items.item(0x30, b"1.2"),  # even identifier
        bytes((1, 0, 0, 0)),  # no abstract syntax
        bytes((1, 0, 0, 0)) + items.item(0x30, b"1.2") * 2,
        bytes((1, 0, 0, 0)) + items.item(0x30, b"../../etc"),
        bytes((1, 0, 0, 0)) + items.item(0x30, b"1" * 65),
        bytes((1, 0, 0, 0)) + b"\x30\0\xff\xff1.2",  # longer than what holds it
        b"\1",
    ],
)
def test_bad_contexts_are_refused(context: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        pdu.decode(pdu.PduType.ASSOCIATE_RQ, bytes(68) + items.item(0x20, context))


def test_a_context_identifier_twice_is_refused() -> None:
    one = items.write_proposed(items.ProposedContext(1, "1.2", ("1.2.840.10008.1.2",)))
    with pytest.raises(RemoteProtocolError, match="share"):
        pdu.decode(pdu.PduType.ASSOCIATE_RQ, bytes(68) + one + one)


@given(payload=st.binary(max_size=200), room=st.integers(7, 60), is_command=st.booleans())
def test_fragments_join_to_the_payload(payload: bytes, room: int, *, is_command: bool) -> None:
    parts = [
        _decode(raw) for raw in pdu.fragments(5, payload, is_command=is_command, max_length=room)
    ]
    values = [value for part in parts for value in part.values]
    assert b"".join(value.value for value in values) == payload
    assert [value.last for value in values] == [False] * (len(values) - 1) + [True]
    assert all(value.is_command is is_command and value.context_id == 5 for value in values)
    assert all(len(value.value) + 6 <= room for value in values)
