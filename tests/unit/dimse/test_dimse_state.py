# SPDX-License-Identifier: Apache-2.0
"""PS3.8 Table 9-10, cell by cell; pynetdicom's transcription is the second opinion."""

import pytest
from pynetdicom import fsm

from radkeep.dimse.wire.errors import LocalProtocolError
from radkeep.dimse.wire.state import NEXT, TABLE, Action, Machine, Role, State, Trigger


def _in(state: State, role: Role = Role.ACCEPTOR) -> Machine:
    machine = Machine(role)
    machine.state = state
    return machine


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("trigger", Trigger)
def test_cell(trigger: Trigger, state: State) -> None:
    expected = fsm.TRANSITION_TABLE.get((trigger.value, state.value))
    machine = _in(state)
    if expected is None:
        with pytest.raises(LocalProtocolError):
            machine.step(trigger)
        assert machine.state is state
        return
    assert machine.step(trigger) is Action(expected)
    following = fsm.ACTIONS[expected][2]
    names = (following,) if isinstance(following, str) else following
    assert machine.state.value in names


def test_table_is_whole() -> None:
    assert set(TABLE) == set(Trigger)
    assert sum(len(row) for row in TABLE.values()) == len(fsm.TRANSITION_TABLE)
    assert set(NEXT) == set(Action) - {Action.AR_8}


@pytest.mark.parametrize(
    ("role", "state"),
    [
        (Role.REQUESTOR, State.COLLISION_REQUESTOR_DECIDING),
        (Role.ACCEPTOR, State.COLLISION_ACCEPTOR_WAITING),
    ],
)
def test_release_collision_depends_on_the_role(role: Role, state: State) -> None:
    machine = _in(State.RELEASING, role)
    assert machine.step(Trigger.RELEASE_REQUEST_PDU) is Action.AR_8
    assert machine.state is state
