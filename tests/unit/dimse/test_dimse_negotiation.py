# SPDX-License-Identifier: Apache-2.0
"""What an acceptor grants, and that it grants nothing else."""

from radkeep.dimse.wire.items import (
    ContextOutcome,
    OperationsWindow,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from radkeep.dimse.wire.negotiation import VERIFICATION, Offer, negotiate
from radkeep.dimse.wire.pdu import AssociateRequest

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"


def _offer(window: int = 16) -> Offer:
    return Offer(
        supports=lambda uid: uid in (VERIFICATION, CT),
        max_length=262_144,
        window=window,
        implementation_class="2.25.1",
        implementation_version="RADKEEP",
    )


def _request(*contexts: ProposedContext, **user: object) -> AssociateRequest:
    return AssociateRequest(
        called="A", calling="B", contexts=contexts, user=UserInformation(**user)
    )


def test_each_context_gets_one_answer_and_the_first_syntax() -> None:
    request = _request(
        ProposedContext(1, CT, (JPEG, EXPLICIT, IMPLICIT)),
        ProposedContext(3, CT, (IMPLICIT,)),
        ProposedContext(5, "1.2.3", (IMPLICIT,)),
        ProposedContext(7, CT, ()),
        ProposedContext(9, CT, ("1.3.6.1.4.1.99999.1",)),  # private: kept as it comes
    )
    accept, contexts = negotiate(request, _offer())
    assert [(r.id, r.outcome) for r in accept.contexts] == [
        (1, ContextOutcome.ACCEPTANCE),
        (3, ContextOutcome.ACCEPTANCE),
        (5, ContextOutcome.ABSTRACT_SYNTAX_NOT_SUPPORTED),
        (7, ContextOutcome.TRANSFER_SYNTAXES_NOT_SUPPORTED),
        (9, ContextOutcome.ACCEPTANCE),
    ]
    assert accept.contexts[0].transfer_syntax == JPEG
    assert set(contexts) == {1, 3, 9}
    assert accept.user.max_length == 262_144


def test_the_window_is_the_smaller_one_and_answered_only_if_asked() -> None:
    def window(asked: OperationsWindow | None) -> OperationsWindow | None:
        return negotiate(_request(window=asked), _offer(8))[0].user.window

    assert window(None) is None
    assert window(OperationsWindow(4, 4)) == OperationsWindow(4, 1)
    assert window(OperationsWindow(64, 1)) == OperationsWindow(8, 1)
    assert window(OperationsWindow(0, 0)) == OperationsWindow(8, 1)


def test_roles_are_answered_for_accepted_classes_and_never_widened() -> None:
    request = _request(
        ProposedContext(1, CT, (IMPLICIT,)),
        roles=(RoleSelection(CT, scu=True, scp=True), RoleSelection("1.2.3", scu=True, scp=True)),
    )
    accept, _ = negotiate(request, _offer())
    assert accept.user.roles == (RoleSelection(CT, scu=True, scp=False),)


def test_identity_and_extended_negotiation_are_tolerated() -> None:
    request = _request(
        ProposedContext(1, CT, (IMPLICIT,)),
        identity=UserIdentity(2, response_requested=True, primary=b"user", secondary=b"secret"),
        extended=((CT, b"\1\1"),),
    )
    accept, contexts = negotiate(request, _offer())
    assert accept.user.identity_response is None
    assert accept.user.extended == ()
    assert set(contexts) == {1}
