# SPDX-License-Identifier: Apache-2.0
"""The one way in: every instance, whatever door it came through.

Invariant: a receipt means durable, encrypted, findable and its Begin audited; an error means that
nothing of the instance can be found, and that the refusal is in the audit log.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final

from radkeep.audit.events import Action, EventId
from radkeep.audit.guard import guarded
from radkeep.audit.ports import AuditLog
from radkeep.dicom.facts import Facts
from radkeep.dicom.head import InstanceHead
from radkeep.dicom.scanner import Identity, Scan, Scanner
from radkeep.domain.actor import Actor
from radkeep.domain.clock import Clock
from radkeep.domain.errors import (
    InstanceConflictError,
    InstanceDeletedError,
    RadkeepError,
    TooLargeError,
    UidMismatchError,
    UndecodableError,
)
from radkeep.domain.placement import Placement
from radkeep.identity.permissions import Permission
from radkeep.identity.policy import Policy
from radkeep.ingest.held import FREE, Held
from radkeep.ingest.ports import Arrival, OpenRecord, Recorder, Verdict
from radkeep.ingest.transfers import StudyTransfer, Transfer

MAX_PENDING_BYTES: Final = 24 << 20  # received before the Study Instance UID was seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer for an instance that is safe now."""

    verdict: Verdict  # STORED or SAME
    facts: Facts
    length: int  # bytes received


class Store:
    """Receives instances. Thread-safe; each ``Reception`` belongs to one thread."""

    def __init__(
        self, *, recorder: Recorder, policy: Policy, audit: AuditLog, clock: Clock, limit: int
    ) -> None:
        self._recorder = recorder
        self._policy = policy
        self._audit = audit
        self._clock = clock
        self._limit = limit
        self._open: set[Transfer] = set()  # set methods are atomic
        self._held = Held()

    def transfer(self, actor: Actor, *, session: str, protocol: str) -> Transfer:
        """Open a transfer for one association or request; ``Transfer.close`` ends it.

        Args:
            actor: who sends.
            session: names the association or request in the audit log.
            protocol: the door, as the audit log shall show it.

        Raises:
            ForbiddenError: ``actor`` may not store.
        """
        with guarded(
            self._audit,
            self._clock,
            actor,
            EventId.BEGIN_TRANSFERRING,
            action=Action.CREATE,
            detail={"protocol": protocol},
        ):
            self._policy.require(actor, Permission.INSTANCE_STORE, organization=actor.organization)
        transfer = Transfer(
            replace(actor, session=session),
            protocol=protocol,
            audit=self._audit,
            clock=self._clock,
            ended=self._open.discard,
        )
        self._open.add(transfer)
        return transfer

    def flush(self) -> None:
        """Audit what every open transfer received; the process calls it each second."""
        for transfer in self._open.copy():
            transfer.flush()

    def receive(
        self,
        transfer: Transfer,
        *,
        transfer_syntax: str | None,
        sop_class: str = "",
        sop_instance: str = "",
        study: str = "",
    ) -> "Reception":
        """Begin to receive one instance.

        Args:
            transfer: what it comes with.
            transfer_syntax: of the data set; None when the bytes are a DICOM file, which says it.
            sop_class: what the request says, "" when it says nothing; the same for the others.
            sop_instance: the data set must carry the UIDs that are named here.
            study: likewise.
        """
        declared = Declared(sop_class, sop_instance, study)
        return Reception(
            self._recorder,
            transfer,
            transfer_syntax,
            declared,
            limit=self._limit,
            held=self._held,
        )


@dataclass(frozen=True, slots=True)
class Declared:
    """What the request says of an instance; "" where it says nothing."""

    sop_class: str
    sop_instance: str
    study: str

    def check(self, identity: Identity) -> None:
        """Compare with what the data set says.

        Raises:
            UidMismatchError: they differ.
        """
        if self.sop_class and self.sop_class != identity.sop_class:
            raise UidMismatchError("the data set has another SOP Class UID than the request")
        if self.sop_instance and self.sop_instance != identity.sop_instance:
            raise UidMismatchError("the data set has another SOP Instance UID than the request")
        if self.study and self.study != identity.study:
            raise UidMismatchError("the data set belongs to another study than the request")


class Reception:
    """One instance on its way in. After an error it is over, and audited."""

    def __init__(
        self,
        recorder: Recorder,
        transfer: Transfer,
        transfer_syntax: str | None,
        declared: Declared,
        *,
        limit: int,
        held: Held,
    ) -> None:
        self._recorder = recorder
        self._all_held, self._held = held, 0  # bytes of all receptions, and of this one
        self._transfer = transfer
        self._declared = declared
        self._limit = limit
        self._scanner = Scanner(transfer_syntax)
        self._hash = hashlib.sha256(usedforsecurity=True)
        self._before = 0  # bytes still to come before the data set: preamble and file meta
        self._pending: list[bytes] = []  # before the study, and with it the key, is known
        self._length = 0
        self._record: OpenRecord | None = None
        self._study: StudyTransfer | None = None

    @property
    def identity(self) -> Identity | None:
        """Return who the instance says it is, once that was seen."""
        return self._scanner.identity

    def feed(self, data: memoryview) -> None:
        """Take more bytes; they may be overwritten when this returns.

        Raises:
            RadkeepError: the instance is refused; the reception is over.
        """
        try:
            self._feed(data)
        except RadkeepError as error:
            self._refuse(error)
            raise

    def finish(self) -> Future[Receipt]:
        """Say that all bytes came, and return the receipt to be.

        The future's error is a RadkeepError as well: InstanceConflictError after quarantine,
        InstanceDeletedError, ArchiveFullError, UnavailableError, IntegrityError.

        Raises:
            RadkeepError: the instance is refused; the reception is over.
        """
        try:
            return self._finish()
        except RadkeepError as error:
            self._refuse(error)
            raise

    def abandon(self) -> None:
        """Forget the instance: its sender went away or gave up."""
        if self._record is not None:
            self._record.abandon()
            self._record = None
        self._pending.clear()
        self._hold(0)

    def _hold(self, size: int) -> None:
        """Count what this reception keeps in memory, once it is more than usual."""
        if size > FREE or self._held:
            self._all_held.change(self._held, size)
            self._held = size

    def _feed(self, data: memoryview) -> None:
        self._length += len(data)
        if self._length > self._limit:
            raise TooLargeError("the instance is over the size limit")
        self._scanner.feed(data)
        if self._record is not None or self._open_record():
            self._take(data)
        else:
            self._pending.append(bytes(data))
        self._hold(self._scanner.held + (self._length if self._record is None else 0))

    def _take(self, data: memoryview) -> None:
        """Hash and record bytes; what precedes the data set is recorded only."""
        if self._before:
            cut = min(self._before, len(data))
            self._before -= cut
            self._hash.update(data[cut:])
        else:
            self._hash.update(data)
        if self._record is not None:
            self._record.write(data)

    def _open_record(self) -> bool:
        """Begin the record if it can be named by now, and give it what came before."""
        identity = self._scanner.identity
        if identity is None:
            if self._length > MAX_PENDING_BYTES:
                raise UndecodableError("no Study Instance UID in the first part of the data set")
            return False
        self._declared.check(identity)
        actor = self._transfer.actor
        self._study = self._transfer.study(identity.study, patient=identity.patient_id)
        self._record = self._recorder.open(actor.organization, identity.study)
        self._before = self._scanner.data_set_offset
        for piece in self._pending:
            self._take(memoryview(piece))
        self._pending.clear()
        return True

    def _finish(self) -> Future[Receipt]:
        scan = self._scanner.finish()
        if self._record is None:  # a data set that ends before it could be named while it came
            self._open_record()
        record, study = self._record, self._study
        if record is None or study is None:
            raise UndecodableError("the data set names no study")
        digest = self._hash.digest()
        received = self._transfer.now().isoformat(timespec="milliseconds")
        head = self._head(scan, digest, study.id, received)
        study.wait_begun()
        self._record = None  # from here on the writer owns it
        written = record.finish(head.encode(), _describe(head, scan.facts))
        self._hold(0)
        return self._receipt(written, scan, digest, study)

    def _head(self, scan: Scan, digest: bytes, transfer: str, received: str) -> InstanceHead:
        actor = self._transfer.actor
        return InstanceHead.of(
            scan,
            digest=digest,
            received_length=self._length,
            origin={
                "organization": actor.organization,
                "source": actor.name,
                "kind": actor.kind,
                "address": actor.address,
                "protocol": self._transfer.protocol,
                "transfer": transfer,
                "received": received,
            },
        )

    def _receipt(
        self, written: Future[Verdict], scan: Scan, digest: bytes, study: StudyTransfer
    ) -> Future[Receipt]:
        receipt: Future[Receipt] = Future()

        def settle(done: Future[Verdict]) -> None:
            error = done.exception()
            if error is None and done.result() is Verdict.CONFLICT:
                error = InstanceConflictError("other content is stored under this SOP Instance UID")
            if error is None and done.result() is Verdict.DELETED:
                error = InstanceDeletedError("this instance was deleted; undo that to have it back")
            if error is not None:
                if isinstance(error, RadkeepError):
                    self._transfer.refused(error, study.study)
                receipt.set_exception(error)
                return
            study.arrived(digest)
            receipt.set_result(
                Receipt(verdict=done.result(), facts=scan.facts, length=self._length)
            )

        written.add_done_callback(settle)
        return receipt

    def _refuse(self, error: RadkeepError) -> None:
        self._pending.clear()
        self.abandon()
        self._transfer.refused(error, self._study.study if self._study else None)


def _describe(head: InstanceHead, facts: Facts) -> Callable[[Placement], Arrival]:
    def describe(placement: Placement) -> Arrival:
        return Arrival(
            organization=head.origin["organization"],
            facts=facts,
            digest=head.digest,
            data_set_length=head.data_set_length,
            placement=placement,
            source=head.origin["source"],
            received=head.origin["received"],
            transfer=head.origin["transfer"],
        )

    return describe


def matches_digest(head: bytes, body: Callable[[int, int], Iterator[bytes]]) -> str:
    """Compare a record's data set with the digest in its head; return what is wrong, or "".

    Args:
        head: what ``Reception`` wrote.
        body: yields a range of what was received.
    """
    decoded = InstanceHead.decode(head)
    start, found = decoded.data_set_offset, hashlib.sha256()
    for piece in body(start, start + decoded.data_set_length):
        found.update(piece)
    same = hmac.compare_digest(found.digest(), decoded.digest)
    return "" if same else "a data set is not the one that was received"


def recorded(head: bytes, placement: Placement) -> Arrival:
    """Return the arrival that the record at ``placement`` once was, for replay and rebuild.

    Raises:
        IntegrityError: ``head`` is not what a ``Reception`` writes.
    """
    decoded = InstanceHead.decode(head)
    return _describe(decoded, Facts.from_head(decoded))(placement)
