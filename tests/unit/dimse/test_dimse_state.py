# SPDX-License-Identifier: Apache-2.0
"""PS3.8 Table 9-10, all 13 x 19 cells, in the machine and in the connection that lives by it.

The table below is typed by column from the standard, not copied from the code's, which is by row;
pynetdicom's transcription is the second opinion.
"""

from collections.abc import Callable, Mapping

import pytest
from pynetdicom import fsm

from radkeep.dimse.wire import pdu
from radkeep.dimse.wire.connection import Aborted, Connection, Event
from radkeep.dimse.wire.errors import LocalProtocolError, RemoteProtocolError
from radkeep.dimse.wire.items import ContextResult, ProposedContext
from radkeep.dimse.wire.negotiation import Context
from radkeep.dimse.wire.state import NEXT, TABLE, Action, Machine, Role, State, Trigger

# State: "event action" for each cell that is not empty.
COLUMNS = {
    1: "1 AE-1, 5 AE-5",
    2: "3 AA-1, 4 AA-1, 6 AE-6, 10 AA-1, 12 AA-1, 13 AA-1, 16 AA-2, 17 AA-5, 18 AA-2, 19 AA-1",
    3: "3 AA-8, 4 AA-8, 6 AA-8, 7 AE-7, 8 AE-8, 10 AA-8, 12 AA-8, 13 AA-8,"
    "15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    4: "2 AE-2, 15 AA-2, 17 AA-4",
    5: "3 AE-3, 4 AE-4, 6 AA-8, 10 AA-8, 12 AA-8, 13 AA-8, 15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    6: "3 AA-8, 4 AA-8, 6 AA-8, 9 DT-1, 10 DT-2, 11 AR-1, 12 AR-2, 13 AA-8,"
    "15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    7: "3 AA-8, 4 AA-8, 6 AA-8, 10 AR-6, 12 AR-8, 13 AR-3, 15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    8: "3 AA-8, 4 AA-8, 6 AA-8, 9 AR-7, 10 AA-8, 12 AA-8, 13 AA-8, 14 AR-4,"
    "15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    9: "3 AA-8, 4 AA-8, 6 AA-8, 10 AA-8, 12 AA-8, 13 AA-8, 14 AR-9,"
    "15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    10: "3 AA-8, 4 AA-8, 6 AA-8, 10 AA-8, 12 AA-8, 13 AR-10, 15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    11: "3 AA-8, 4 AA-8, 6 AA-8, 10 AA-8, 12 AA-8, 13 AR-3, 15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    12: "3 AA-8, 4 AA-8, 6 AA-8, 10 AA-8, 12 AA-8, 13 AA-8, 14 AR-4,"
    "15 AA-1, 16 AA-3, 17 AA-4, 19 AA-8",
    13: "3 AA-6, 4 AA-6, 6 AA-7, 10 AA-6, 12 AA-6, 13 AA-6, 16 AA-2, 17 AR-5, 18 AA-2, 19 AA-7",
}
FOLLOWING = {  # Tables 9-6 to 9-9; AR-8 depends on the role
    1: "AE-4 AR-3 AR-5 AA-2 AA-3 AA-4 AA-5",
    2: "AE-5",
    3: "AE-6",
    4: "AE-1",
    5: "AE-2",
    6: "AE-3 AE-7 DT-1 DT-2",
    7: "AR-1 AR-6",
    8: "AR-2 AR-7",
    11: "AR-9",
    12: "AR-10",
    13: "AE-8 AR-4 AA-1 AA-6 AA-7 AA-8",
}
PRINTED: Mapping[tuple[str, str], str] = {
    (f"Evt{cell.split()[0]}", f"Sta{state}"): cell.split()[1]
    for state, cells in COLUMNS.items()
    for cell in cells.split(",")
}
AFTER: Mapping[str, str] = {
    action: f"Sta{state}" for state, actions in FOLLOWING.items() for action in actions.split()
}


def _in(state: State, role: Role = Role.ACCEPTOR) -> Machine:
    machine = Machine(role)
    machine.state = state
    return machine


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("trigger", Trigger)
def test_cell(trigger: Trigger, state: State, role: Role) -> None:
    expected = PRINTED.get((trigger.value, state.value))
    machine = _in(state, role)
    if expected is None:
        with pytest.raises(LocalProtocolError):
            machine.step(trigger)
        assert machine.state is state
        return
    assert machine.look(trigger) is Action(expected)
    assert machine.state is state
    assert machine.step(trigger) is Action(expected)
    collision = "Sta9" if role is Role.REQUESTOR else "Sta10"
    assert machine.state.value == AFTER.get(expected, collision)


def test_table_is_whole() -> None:
    assert set(TABLE) == set(Trigger)
    assert sum(len(row) for row in TABLE.values()) == len(PRINTED)
    assert set(NEXT) == set(Action) - {Action.AR_8}
    assert {Action(action) for action in AFTER} == set(NEXT)


def test_pynetdicom_reads_the_table_as_we_do() -> None:
    assert fsm.TRANSITION_TABLE == PRINTED
    for action, state in AFTER.items():
        assert state in fsm.ACTIONS[action][2], action


# --- the same cells, through bytes ---

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
REQUEST = pdu.AssociateRequest(
    called="RADKEEP", calling="CT1", contexts=(ProposedContext(1, CT, (EXPLICIT,)),)
)
ACCEPT = pdu.AssociateAccept(
    called="RADKEEP", calling="CT1", contexts=(ContextResult(1, 0, EXPLICIT),)
)
PDUS: Mapping[Trigger, bytes] = {
    Trigger.ACCEPT_PDU: pdu.encode(ACCEPT),
    Trigger.REJECT_PDU: pdu.encode(pdu.AssociateReject(1, 1, 3)),
    Trigger.REQUEST_PDU: pdu.encode(REQUEST),
    Trigger.DATA_PDU: pdu.encode(
        pdu.DataTransfer((pdu.PresentationData(1, is_command=True, last=False, value=b"a"),))
    ),
    Trigger.RELEASE_REQUEST_PDU: pdu.encode(pdu.ReleaseRequest()),
    Trigger.RELEASE_REPLY_PDU: pdu.encode(pdu.ReleaseReply()),
    Trigger.ABORT_PDU: pdu.encode(pdu.Abort(2, 0)),
    Trigger.INVALID_PDU: b"\x55\0\0\0\0\0",
}
SAYS_ABORT = {"AA-1": pdu.Abort(0), "AA-7": pdu.Abort(2), "AA-8": pdu.Abort(2)}


def _hear(connection: Connection, *triggers: Trigger) -> list[Event]:
    events: list[Event] = []
    for trigger in triggers:
        data = PDUS[trigger]
        assert connection.receive(memoryview(data), events) == len(data)
    return events


def _established(role: Role) -> Connection:
    connection = Connection(role)
    contexts = {1: Context(1, CT, EXPLICIT)}
    if role is Role.REQUESTOR:
        connection.request(REQUEST)
        _hear(connection, Trigger.ACCEPT_PDU)
        connection.use(contexts)
    else:
        _hear(connection, Trigger.REQUEST_PDU)
        connection.accept(ACCEPT, contexts)
    return connection


def _requested() -> Connection:
    connection = Connection(Role.ACCEPTOR)
    _hear(connection, Trigger.REQUEST_PDU)
    return connection


def _releasing(role: Role, *heard: Trigger, confirm: bool = False) -> Connection:
    connection = _established(role)
    connection.release()
    _hear(connection, *heard)
    if confirm:
        connection.confirm_release()
    return connection


def _asked(*, confirm: bool = False) -> Connection:
    connection = _established(Role.ACCEPTOR)
    _hear(connection, Trigger.RELEASE_REQUEST_PDU)
    if confirm:
        connection.confirm_release()
    return connection


REACH: Mapping[State, Callable[[], Connection]] = {  # Sta1 and Sta4 lie outside a connection
    State.AWAITING_REQUEST: lambda: Connection(Role.ACCEPTOR),
    State.DECIDING: _requested,
    State.AWAITING_ANSWER: lambda: Connection(Role.REQUESTOR),
    State.ESTABLISHED: lambda: _established(Role.ACCEPTOR),
    State.RELEASING: lambda: _releasing(Role.REQUESTOR),
    State.RELEASE_ASKED: _asked,
    State.COLLISION_REQUESTOR_DECIDING: lambda: _releasing(
        Role.REQUESTOR, Trigger.RELEASE_REQUEST_PDU
    ),
    State.COLLISION_ACCEPTOR_WAITING: lambda: _releasing(
        Role.ACCEPTOR, Trigger.RELEASE_REQUEST_PDU
    ),
    State.COLLISION_REQUESTOR_WAITING: lambda: _releasing(
        Role.REQUESTOR, Trigger.RELEASE_REQUEST_PDU, confirm=True
    ),
    State.COLLISION_ACCEPTOR_DECIDING: lambda: _releasing(
        Role.ACCEPTOR, Trigger.RELEASE_REQUEST_PDU, Trigger.RELEASE_REPLY_PDU
    ),
    State.CLOSING: lambda: _asked(confirm=True),
}


@pytest.mark.parametrize("state", REACH)
@pytest.mark.parametrize("trigger", PDUS)
def test_what_a_pdu_does(trigger: Trigger, state: State) -> None:
    connection = REACH[state]()
    assert connection.state is state
    action = PRINTED[trigger.value, state.value]
    role = connection._machine.role
    if action in SAYS_ABORT:
        with pytest.raises(RemoteProtocolError) as caught:
            _hear(connection, trigger)
        answer = pdu.decode(pdu.PduType.ABORT, connection.abort_for(caught.value)[6:])
        assert isinstance(answer, pdu.Abort)
        assert answer.source == SAYS_ABORT[action].source
    else:
        events = _hear(connection, trigger)
        quiet = action in ("AA-6", "DT-2", "AR-6")  # data: half a command says nothing yet
        assert len(events) == (0 if quiet else 1)
        assert (events == [Aborted(2, 0)]) is (trigger is Trigger.ABORT_PDU)
    collision = "Sta9" if role is Role.REQUESTOR else "Sta10"
    assert connection.state.value == AFTER.get(action, collision)


@pytest.mark.parametrize("state", REACH)
def test_what_our_abort_and_the_ends_of_transport_and_patience_do(state: State) -> None:
    aborting = REACH[state]()
    action = PRINTED.get(("Evt15", state.value))
    assert aborting.abort() == (b"" if action is None else pdu.encode(pdu.Abort(0)))
    assert aborting.state.value == (state.value if action is None else AFTER[action])

    losing = REACH[state]()
    action = PRINTED["Evt17", state.value]
    assert losing.transport_closed() is (action == "AA-4")
    assert losing.state is State.IDLE

    waiting = REACH[state]()
    assert waiting.artim_runs is (("Evt18", state.value) in PRINTED)
    if waiting.artim_runs:
        waiting.artim_expired()
        assert waiting.state is State.IDLE
    else:
        with pytest.raises(LocalProtocolError):
            waiting.artim_expired()


@pytest.mark.parametrize("state", REACH)
@pytest.mark.parametrize(
    ("trigger", "say"),
    [
        (Trigger.ACCEPT_RESPONSE, lambda c: c.accept(ACCEPT, {})),
        (Trigger.REJECT_RESPONSE, lambda c: c.reject(pdu.AssociateReject(1, 1, 3))),
        (Trigger.DATA_REQUEST, lambda c: c.send_data(1, b"data")),
        (Trigger.RELEASE_REQUEST, lambda c: c.release()),
        (Trigger.RELEASE_RESPONSE, lambda c: c.confirm_release()),
    ],
)
def test_what_we_may_say(
    trigger: Trigger, say: Callable[[Connection], bytes], state: State
) -> None:
    connection = REACH[state]()
    action = PRINTED.get((trigger.value, state.value))
    if action is None:
        with pytest.raises(LocalProtocolError):
            say(connection)
        assert connection.state is state
    else:
        assert say(connection)
        assert connection.state.value == AFTER[action]
