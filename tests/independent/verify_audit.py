# SPDX-License-Identifier: Apache-2.0
"""Verifies an audit log from docs/formats/audit-log.md alone: no radkeep in here.

    python verify_audit.py DIRECTORY PUBLIC_KEY_HEX [PAYLOAD_KEY_HEX]

Prints the first fault and exits with 1, or the size and root that it found and exits with 0. It
reads the whole log into memory and computes the tree by the recursive definition of RFC 6962, on
purpose unlike the server's own verifier.
"""

import base64
import hashlib
import importlib.util
import json
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_spec = importlib.util.spec_from_file_location(
    "independent_sealed_parts", Path(__file__).with_name("sealed_parts.py")
)
sealed_parts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sealed_parts)


class BadError(Exception):
    """The log is not what was written."""


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def root(entries: list[bytes]) -> bytes:
    if not entries:
        return sha()
    if len(entries) == 1:
        return sha(b"\x00", entries[0])
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return sha(b"\x01", root(entries[:split]), root(entries[split:]))


def open_note(note: str, public_key: bytes) -> list[str]:
    name = "radkeep/audit/" + sha(public_key).hex()[:16]
    text, signature_lines = note.rsplit("\n\n", 1)
    text += "\n"
    wanted = sha(name.encode(), b"\n\x01", public_key)[:4]
    for line in signature_lines.splitlines():
        dash, signer, encoded = line.split(" ")
        raw = base64.b64decode(encoded, validate=True)
        if dash == "\u2014" and signer == name and raw[:4] == wanted:
            Ed25519PublicKey.from_public_bytes(public_key).verify(raw[4:], text.encode())
            return text.splitlines()
    raise BadError("no signature of the log")


def read_checkpoint(directory: Path, public_key: bytes) -> tuple[int, bytes]:
    try:
        name, size, encoded, *_ = open_note((directory / "checkpoint").read_text(), public_key)
    except Exception as error:
        raise BadError(f"checkpoint: {error!r}") from error
    if name != "radkeep/audit/" + sha(public_key).hex()[:16]:
        raise BadError("checkpoint of another log")
    return int(size), base64.b64decode(encoded)


def read_erased(directory: Path, public_key: bytes) -> set[int]:
    path = directory / "erasures"
    if not path.exists():
        return set()
    title, *lines = open_note(path.read_text(), public_key)
    if title != "radkeep/erasures/1":
        raise BadError("erasures of another version")
    ranges = [map(int, line.split(" ")) for line in lines]
    return {index for first, last in ranges for index in range(first, last + 1)}


def verify(directory: Path, public_key: bytes, payload_key: bytes | None = None) -> dict:
    size, signed_root = read_checkpoint(directory, public_key)
    erased = read_erased(directory, public_key)
    entries: list[bytes] = []
    opened: list[dict | None] = []
    for tree_path in sorted(directory.glob("*.tree")):
        first = int(tree_path.stem)
        if first != len(entries):
            raise BadError(f"entry {len(entries)}: a file is missing")
        tree, payloads = tree_path.read_bytes(), tree_path.with_suffix(".payloads").read_bytes()
        if tree[:16] != b"RKAUDT1\n" + struct.pack(">Q", first):
            raise BadError(f"entry {first}: header")
        if payloads[:16] != b"RKAUDP1\n" + struct.pack(">Q", first):
            raise BadError(f"entry {first}: header of payloads")
        place = 16
        for at in range(16, len(tree) - 47, 48):
            index, record = len(entries), tree[at : at + 48]
            start, length, _remaining = struct.unpack(">QII", record[:16])
            payload = payloads[start : start + length]
            if start != place:
                raise BadError(f"entry {index}: not at its place")
            if index not in erased and sha(record[:16], payload) != record[16:]:
                raise BadError(f"entry {index}: payload")
            place = start + length
            entries.append(record)
            if payload_key is not None and index not in erased:
                opened.append(open_entry(public_key, payload_key, index, payload))
            else:
                opened.append(None)
    if len(entries) < size:
        raise BadError(f"entry {len(entries)}: truncated")
    if root(entries[:size]) != signed_root:
        raise BadError("root")
    return {"size": size, "root": signed_root.hex(), "entries": opened, "erased": sorted(erased)}


def open_entry(public_key: bytes, payload_key: bytes, index: int, payload: bytes) -> dict:
    log = "radkeep/audit/" + sha(public_key).hex()[:16]
    context = sealed_parts.make_context(log, struct.pack(">Q", index), "audit-payload", 1)
    value = json.loads(sealed_parts.open_part(payload_key, context, payload))
    if value["index"] != index:
        raise BadError(f"entry {index}: payload of another entry")
    return value


def main() -> int:
    directory, *keys = sys.argv[1:]
    try:
        found = verify(Path(directory), *map(bytes.fromhex, keys))
    except BadError as fault:
        print(fault)
        return 1
    print(found["size"], found["root"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
