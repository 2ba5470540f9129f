# SPDX-License-Identifier: Apache-2.0
"""The state machine of the upper layer: PS3.8 Table 9-10, as printed there.

Invariant: every change of an association's state is a cell of this table; an empty cell is an
event that cannot happen, so reaching one is a bug of ours.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from radkeep.dimse.wire.errors import LocalProtocolError


class Role(Enum):
    """Which side of the association we are; only the release collision (AR-8) asks."""

    REQUESTOR = "requestor"
    ACCEPTOR = "acceptor"


class State(Enum):
    """PS3.8 Tables 9-1 to 9-5."""

    __hash__ = object.__hash__  # members are single; Enum's own would cost a call at each look-up

    IDLE = "Sta1"
    AWAITING_REQUEST = "Sta2"  # transport open, ARTIM runs
    DECIDING = "Sta3"  # A-ASSOCIATE-RQ is here, the local user has not answered
    CONNECTING = "Sta4"
    AWAITING_ANSWER = "Sta5"  # A-ASSOCIATE-RQ sent
    ESTABLISHED = "Sta6"
    RELEASING = "Sta7"  # A-RELEASE-RQ sent
    RELEASE_ASKED = "Sta8"  # A-RELEASE-RQ received, the local user has not answered
    COLLISION_REQUESTOR_DECIDING = "Sta9"
    COLLISION_ACCEPTOR_WAITING = "Sta10"
    COLLISION_REQUESTOR_WAITING = "Sta11"
    COLLISION_ACCEPTOR_DECIDING = "Sta12"
    CLOSING = "Sta13"  # nothing more to say, ARTIM runs until the transport is closed


class Trigger(Enum):
    """The rows of PS3.8 Table 9-10."""

    __hash__ = object.__hash__

    ASSOCIATE_REQUEST = "Evt1"
    TRANSPORT_CONFIRMED = "Evt2"
    ACCEPT_PDU = "Evt3"
    REJECT_PDU = "Evt4"
    TRANSPORT_OPENED = "Evt5"
    REQUEST_PDU = "Evt6"
    ACCEPT_RESPONSE = "Evt7"
    REJECT_RESPONSE = "Evt8"
    DATA_REQUEST = "Evt9"
    DATA_PDU = "Evt10"
    RELEASE_REQUEST = "Evt11"
    RELEASE_REQUEST_PDU = "Evt12"
    RELEASE_REPLY_PDU = "Evt13"
    RELEASE_RESPONSE = "Evt14"
    ABORT_REQUEST = "Evt15"
    ABORT_PDU = "Evt16"
    TRANSPORT_CLOSED = "Evt17"
    ARTIM_EXPIRED = "Evt18"
    INVALID_PDU = "Evt19"


class Action(Enum):
    """PS3.8 Tables 9-6 to 9-9."""

    __hash__ = object.__hash__

    AE_1 = "AE-1"  # open the transport
    AE_2 = "AE-2"  # send A-ASSOCIATE-RQ
    AE_3 = "AE-3"  # tell the user: accepted
    AE_4 = "AE-4"  # tell the user: rejected; close the transport
    AE_5 = "AE-5"  # start ARTIM
    AE_6 = "AE-6"  # stop ARTIM, tell the user: asked (we leave every rejection to the user)
    AE_7 = "AE-7"  # send A-ASSOCIATE-AC
    AE_8 = "AE-8"  # send A-ASSOCIATE-RJ, start ARTIM
    DT_1 = "DT-1"  # send P-DATA-TF
    DT_2 = "DT-2"  # tell the user: data
    AR_1 = "AR-1"  # send A-RELEASE-RQ
    AR_2 = "AR-2"  # tell the user: asked to release
    AR_3 = "AR-3"  # tell the user: released; close the transport
    AR_4 = "AR-4"  # send A-RELEASE-RP, start ARTIM
    AR_5 = "AR-5"  # stop ARTIM
    AR_6 = "AR-6"  # tell the user: data, though we asked to release
    AR_7 = "AR-7"  # send P-DATA-TF, though we were asked to release
    AR_8 = "AR-8"  # both asked to release
    AR_9 = "AR-9"  # send A-RELEASE-RP
    AR_10 = "AR-10"  # tell the user: released
    AA_1 = "AA-1"  # send A-ABORT (service user), start ARTIM
    AA_2 = "AA-2"  # stop ARTIM, close the transport
    AA_3 = "AA-3"  # tell the user: aborted; close the transport
    AA_4 = "AA-4"  # tell the user: the transport is gone
    AA_5 = "AA-5"  # stop ARTIM
    AA_6 = "AA-6"  # ignore the PDU
    AA_7 = "AA-7"  # send A-ABORT
    AA_8 = "AA-8"  # send A-ABORT (service provider), tell the user, start ARTIM


_TABLE_9_10: Final = """
        Sta1 Sta2 Sta3 Sta4 Sta5 Sta6 Sta7 Sta8 Sta9 Sta10 Sta11 Sta12 Sta13
Evt1    AE-1 -    -    -    -    -    -    -    -    -     -     -     -
Evt2    -    -    -    AE-2 -    -    -    -    -    -     -     -     -
Evt3    -    AA-1 AA-8 -    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt4    -    AA-1 AA-8 -    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt5    AE-5 -    -    -    -    -    -    -    -    -     -     -     -
Evt6    -    AE-6 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-7
Evt7    -    -    AE-7 -    -    -    -    -    -    -     -     -     -
Evt8    -    -    AE-8 -    -    -    -    -    -    -     -     -     -
Evt9    -    -    -    -    -    DT-1 -    AR-7 -    -     -     -     -
Evt10   -    AA-1 AA-8 -    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt11   -    -    -    -    -    AR-1 -    -    -    -     -     -     -
Evt12   -    AA-1 AA-8 -    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-6
Evt13   -    AA-1 AA-8 -    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3  AA-8  AA-6
Evt14   -    -    -    -    -    -    -    AR-4 AR-9 -     -     AR-4  -
Evt15   -    -    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1  AA-1  -
Evt16   -    AA-2 AA-3 -    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3  AA-3  AA-2
Evt17   -    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4  AA-4  AR-5
Evt18   -    AA-2 -    -    -    -    -    -    -    -     -     -     AA-2
Evt19   -    AA-1 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8  AA-8  AA-7
"""

_NEXT: Final = """
AE-1 Sta4   AE-2 Sta5   AE-3 Sta6   AE-4 Sta1   AE-5 Sta2   AE-6 Sta3   AE-7 Sta6   AE-8 Sta13
DT-1 Sta6   DT-2 Sta6
AR-1 Sta7   AR-2 Sta8   AR-3 Sta1   AR-4 Sta13  AR-5 Sta1   AR-6 Sta7   AR-7 Sta8
AR-9 Sta11  AR-10 Sta12
AA-1 Sta13  AA-2 Sta1   AA-3 Sta1   AA-4 Sta1   AA-5 Sta1   AA-6 Sta13  AA-7 Sta13  AA-8 Sta13
"""


def _read_table(text: str) -> Mapping[Trigger, Mapping[State, Action]]:
    header, *rows = [line.split() for line in text.strip().splitlines()]
    states = [State(name) for name in header]
    return {
        Trigger(name): {
            state: Action(cell) for state, cell in zip(states, cells, strict=True) if cell != "-"
        }
        for name, *cells in rows
    }


def _read_next(text: str) -> Mapping[Action, State]:
    words = text.split()
    return {Action(a): State(s) for a, s in zip(words[::2], words[1::2], strict=True)}


TABLE: Final = _read_table(_TABLE_9_10)
NEXT: Final = _read_next(_NEXT)  # AR-8 is missing: it depends on the role
ARTIM_STATES: Final = frozenset({State.AWAITING_REQUEST, State.CLOSING})


class Machine:
    """The state of one association."""

    __slots__ = ("role", "state")

    def __init__(self, role: Role) -> None:
        self.role = role
        self.state = State.IDLE

    def look(self, trigger: Trigger) -> Action:
        """Return what ``trigger`` would do, without doing it.

        Raises:
            LocalProtocolError: the cell is empty.
        """
        action = TABLE[trigger].get(self.state)
        if action is None:
            raise LocalProtocolError(f"{trigger.name} cannot happen in state {self.state.name}")
        return action

    def step(self, trigger: Trigger) -> Action:
        """Enter the next state and return what has to be done.

        Raises:
            LocalProtocolError: the cell is empty.
        """
        action = self.look(trigger)
        if action is not Action.AR_8:
            self.state = NEXT[action]
        elif self.role is Role.REQUESTOR:
            self.state = State.COLLISION_REQUESTOR_DECIDING
        else:
            self.state = State.COLLISION_ACCEPTOR_WAITING
        return action
