# SPDX-License-Identifier: Apache-2.0
"""What keeps a data directory sound: verify volumes, verify the audit log, rebuild the catalog.

Invariant: verification changes nothing and needs no lock; a rebuild needs the lock and replaces
the catalog only when it is whole.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from radkeep.app.audit_key import AUDIT_KEY_FILE, read_audit_key
from radkeep.app.layout import Layout
from radkeep.app.prompt import ask
from radkeep.app.rebuilding import rebuild
from radkeep.app.serving import unlocking
from radkeep.app.unlocked import audit_reader, mirror, provider
from radkeep.archive.findings import Finding, FindingKind
from radkeep.archive.keyring import Keyring
from radkeep.archive.verify import roots, verify
from radkeep.audit.events import EventType
from radkeep.audit.verify import verify as verify_log
from radkeep.config import load
from radkeep.ingest.store import matches_digest


class ArchiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """What verification of the volumes found."""

    damaged: int
    findings: Sequence[str]


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What verification of the audit log found."""

    entries: int
    sound: bool
    faults: Sequence[str]


def verify_archive(layout: Layout, passphrase_file: str | None, *, full: bool) -> ArchiveReport:
    """Check volumes and keyring; with ``full`` every byte and every digest.

    With ``full`` also that every volume which the audit log saw sealed is there, with that root.

    Raises:
        WrongPassphraseError: the passphrase does not open the keys.
        IntegrityError: the keyring itself is damaged.
    """
    config = load(layout.data)
    root = provider(layout, config.keys, ask, passphrase_file=passphrase_file).unlock()
    keyring = Keyring.open(layout.keyring, mirror(layout, config.keys), root)
    inspect = matches_digest if full else None
    found = list(verify(layout.volumes, keys=keyring, full=full, inspect=inspect))
    if full:
        found += _gone(layout, keyring)
    return ArchiveReport(
        damaged=sum(each.kind is FindingKind.DAMAGE for each in found),
        findings=[f"{each.volume} at {each.offset}: {each.kind}: {each.detail}" for each in found],
    )


def _gone(layout: Layout, keyring: Keyring) -> Iterator[Finding]:
    """Compare the volumes with what the audit log says of each when it was sealed."""
    there = roots(layout.volumes)
    told = {  # the last word on each: a cut while sealing makes recovery seal again
        entry.event.detail.get("volume", ""): entry.event.digest
        for entry in audit_reader(layout, keyring).read()
        if entry.event.type is EventType.VOLUME_SEALED
    }
    for name, digest in told.items():
        if name not in there:
            yield Finding(name, 0, FindingKind.DAMAGE, "a sealed volume is gone")
        elif there[name] != bytes.fromhex(digest):
            yield Finding(name, 0, FindingKind.DAMAGE, "the seal is not the one in the audit log")


def rebuild_catalog(layout: Layout, passphrase_file: str | None) -> int:
    """Make the catalog again from the volumes; return the number of records read.

    Raises:
        ConfigError: a server runs.
        WrongPassphraseError: the passphrase does not open the keys.
        ArchiveFullError: no room for the new catalog.
    """
    config = load(layout.data)
    with unlocking(layout, config, ask, passphrase_file=passphrase_file) as unlocked:
        return rebuild(unlocked)


def verify_audit(layout: Layout, key: Path | None) -> AuditReport:
    """Check the audit log with its public key alone.

    Args:
        layout: the data directory.
        key: a copy of ``audit.pub`` that was kept elsewhere; without it the one beside the log
            is believed, which whoever can write there could have replaced.

    Raises:
        ConfigError: the public key is not there or no such key.
    """
    report = verify_log(layout.audit, read_audit_key(key or layout.data / AUDIT_KEY_FILE))
    return AuditReport(
        entries=report.size,
        sound=report.intact,
        faults=[fault.text for fault in report.faults],
    )
