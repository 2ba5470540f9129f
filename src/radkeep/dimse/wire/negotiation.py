# SPDX-License-Identifier: Apache-2.0
"""What an association acceptor answers to a request (PS3.8 Section 7.1.1, PS3.7 Annex D.3).

Invariant: the answer holds exactly one result for each proposed context, one transfer syntax for
each accepted one, and grants nothing that was not asked for.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from radkeep.dimse.wire.items import (
    ContextOutcome,
    ContextResult,
    OperationsWindow,
    ProposedContext,
    RoleSelection,
    UserInformation,
)
from radkeep.dimse.wire.pdu import AssociateAccept, AssociateRequest

VERIFICATION: Final = "1.2.840.10008.1.1"
UNLIMITED: Final = 0  # in an operations window and as a maximum length


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What we are ready to do as association acceptor."""

    supports: Callable[[str], bool]  # abstract syntax -> we are SCP of it
    supports_as_scu: Callable[[str], bool] = lambda _: False  # we may be SCU (C-GET) of it
    readable: Callable[[str], Collection[str] | None] = lambda _: None  # abstract syntax -> the
    # transfer syntaxes we can use; None: every one
    extends: Callable[[str, bytes], bytes | None] = lambda *_: None  # SOP class, what is asked ->
    # what we agree to (PS3.7 Annex D.3.3.5); None: nothing is said
    max_length: int  # bytes of a P-DATA-TF PDU's variable field
    window: int  # operations that the peer may have outstanding
    implementation_class: str
    implementation_version: str


def negotiate(
    request: AssociateRequest, offer: Offer
) -> tuple[AssociateAccept, Mapping[int, Context]]:
    """Return the answer and the accepted contexts by identifier.

    Of the transfer syntaxes the requestor's first is taken: it knows best what it has stored,
    and we keep what we receive, so we understand them all equally well.
    """
    results = tuple(_result(proposed, offer) for proposed in request.contexts)
    contexts = {
        proposed.id: Context(proposed.id, proposed.abstract_syntax, result.transfer_syntax)
        for proposed, result in zip(request.contexts, results, strict=True)
        if result.outcome == ContextOutcome.ACCEPTANCE
    }
    user = UserInformation(
        max_length=offer.max_length,
        implementation_class=offer.implementation_class,
        implementation_version=offer.implementation_version,
        window=_window(request.user.window, offer),
        roles=_roles(request.user.roles, contexts, offer),
        extended=_extended(request.user.extended, contexts, offer),
    )
    accept = AssociateAccept(
        called=request.called, calling=request.calling, contexts=results, user=user
    )
    return accept, contexts


def _result(proposed: ProposedContext, offer: Offer) -> ContextResult:
    if not offer.supports(proposed.abstract_syntax):
        return ContextResult(proposed.id, ContextOutcome.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    readable = offer.readable(proposed.abstract_syntax)
    for syntax in proposed.transfer_syntaxes:
        if readable is None or syntax in readable:
            return ContextResult(proposed.id, ContextOutcome.ACCEPTANCE, syntax)
    return ContextResult(proposed.id, ContextOutcome.TRANSFER_SYNTAXES_NOT_SUPPORTED)


def _window(asked: OperationsWindow | None, offer: Offer) -> OperationsWindow | None:
    """Answer only who asked; no answer means one operation at a time (PS3.7 Annex D.3.3.3)."""
    if asked is None:
        return None
    invoked = offer.window if asked.invoked == UNLIMITED else min(asked.invoked, offer.window)
    return OperationsWindow(invoked, 1)  # we invoke nothing that could overlap


def _roles(
    asked: tuple[RoleSelection, ...], contexts: Mapping[int, Context], offer: Offer
) -> tuple[RoleSelection, ...]:
    """Answer for accepted SOP classes; "no" to a role is never turned into "yes"."""
    accepted = {context.abstract_syntax for context in contexts.values()}
    return tuple(
        RoleSelection(role.sop_class, role.scu, role.scp and offer.supports_as_scu(role.sop_class))
        for role in asked
        if role.sop_class in accepted
    )


def _extended(
    asked: tuple[tuple[str, bytes], ...], contexts: Mapping[int, Context], offer: Offer
) -> tuple[tuple[str, bytes], ...]:
    """Answer for accepted SOP classes whose service knows what is asked."""
    accepted = {context.abstract_syntax for context in contexts.values()}
    answers = ((uid, offer.extends(uid, said)) for uid, said in asked if uid in accepted)
    return tuple((uid, answer) for uid, answer in answers if answer is not None)
