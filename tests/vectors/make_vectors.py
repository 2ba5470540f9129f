# SPDX-License-Identifier: Apache-2.0
"""Makes the golden vectors again: run only when a format gets a new version.

Sealed parts come from the independent writer, so ours is checked against it and not against
itself; the audit log comes from ours, and the independent verifier reads it.
"""

import base64
import hashlib
import importlib.util
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from radkeep.audit.erasure import erase
from radkeep.audit.events import Event, EventId
from radkeep.audit.log import LogWriter
from radkeep.crypto.sign import SigningKey

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location(
    "sealed_parts", HERE.parent / "independent" / "sealed_parts.py"
)
independent = importlib.util.module_from_spec(spec)
spec.loader.exec_module(independent)


def known(label: str, length: int) -> bytes:
    """Return bytes that anyone can make again: SHAKE-256 of the label."""
    return hashlib.shake_256(label.encode()).digest(length)


def sealed_parts() -> list[dict]:
    vectors = []
    for length in (0, 1, 15, 16, 1000, 65_535, 65_536, 65_537):
        key, salt = known(f"key {length}", 32), known(f"salt {length}", 32)
        object_id, plain = known(f"object {length}", 16), known(f"plain {length}", length)
        organization, part, version = "org-1", "body", 1
        context = independent.make_context(organization, object_id, part, version)
        sealed = independent.seal_part(key, salt, context, plain)
        vector = {
            "organization": organization,
            "object_id": object_id.hex(),
            "part": part,
            "version": version,
            "context": context.hex(),
            "key": key.hex(),
            "plain": f"SHAKE-256 of 'plain {length}', {length} bytes",
            "length": length,
            "header": sealed[:64].hex(),
            "sealed_sha256": hashlib.sha256(sealed).hexdigest(),
        }
        if length <= 1000 or length == 65_537:
            vector["sealed"] = base64.b64encode(sealed).decode()
        vectors.append(vector)
    return vectors


def wrapped_key() -> dict:
    kek, key, salt, context = (known(f"wrap {n}", 32) for n in ("kek", "key", "salt", "context"))
    wrapped = independent.seal_part(kek, salt, independent.WRAP_LABEL + context, key)
    return {
        "kek": kek.hex(),
        "context": context.hex(),
        "wrapped": wrapped.hex(),
        "key": key.hex(),
    }


class Fixed:
    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def audit_log() -> dict:
    signing, payload_key = SigningKey(known("audit signing", 32)), known("audit payloads", 32)
    events = [
        Event(
            event=EventId.QUERY,
            time=datetime(2026, 3, 1, 11, 59, number, tzinfo=UTC),
            actor_kind="person",
            actor_id=f"account-{number}",
            organization="org-1",
            patient="",
            detail={"keys": "PatientName,StudyDate"},
        )
        for number in range(11)
    ]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "audit"
        with LogWriter(
            directory, signing=signing, payload_key=payload_key, clock=Fixed(), segment=4
        ) as log:
            for group in ((0, 1), (1, 4), (4, 5), (5, 8), (8, 11)):
                log.append([("web", event) for event in events[slice(*group)]])
        erase(directory, [2, 6, 7], signing=signing)
        files = {
            path.name: base64.b64encode(path.read_bytes()).decode()
            for path in sorted(directory.iterdir())
        }
    return {
        "public_key": signing.public.raw.hex(),
        "payload_key": payload_key.hex(),
        "erased": [2, 6, 7],
        "actors": [event.actor_id for event in events],
        "files": files,
    }


def main() -> None:
    sealed = {"parts": sealed_parts(), "wrapped_key": wrapped_key()}
    (HERE / "sealed-parts.json").write_text(json.dumps(sealed, indent=1) + "\n")
    (HERE / "audit-log.json").write_text(json.dumps(audit_log(), indent=1) + "\n")


if __name__ == "__main__":
    main()
