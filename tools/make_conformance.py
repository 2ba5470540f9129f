#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write docs/conformance.md, the DICOM conformance statement (PS3.2), from the code's own tables.

Invariant: what is said of services, contexts, roles, negotiation and statuses was asked of the
objects that negotiate and answer; nothing of it is typed here.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import radkeep.dimse.scu
from radkeep.config import Config, ServerConfig
from radkeep.dicom import charsets, status
from radkeep.dicom.classes import is_storage, storage_classes
from radkeep.dicom.commitment import STORAGE_COMMITMENT
from radkeep.dicom.dictionary import keyword_of, vr_of
from radkeep.dicom.levels import BY_LEVEL
from radkeep.dicom.native import DECODABLE
from radkeep.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from radkeep.dicom.recode import SOURCES, TARGETS
from radkeep.dicom.syntaxes import all_syntaxes
from radkeep.dimse import desk, find_scp, move_scp, suboperations
from radkeep.dimse.association import UNRECOGNIZED_OPERATION
from radkeep.dimse.models import LEVEL_NAMES, MODELS, UNIQUE, agree
from radkeep.dimse.ports import Rooms
from radkeep.dimse.server import DimseServer
from radkeep.dimse.settings import DimseSettings
from radkeep.dimse.wire.commands import CommandField
from radkeep.dimse.wire.connection import MAX_ASSOCIATE
from radkeep.dimse.wire.items import APPLICATION_CONTEXT
from radkeep.dimse.wire.negotiation import VERIFICATION, Offer
from radkeep.domain.errors import RadkeepError
from radkeep.ingest import store as ingest_store

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "conformance.md"
WIDTH: Final = 140  # columns
_COMMENT: Final = re.compile(r"^ *(?P<name>\w+): .*?  # (?P<comment>.+)$", re.MULTILINE)
_ROOTS: Final = {"1": "Patient Root", "2": "Study Root", "3": "Patient/Study Only"}
_OPERATIONS: Final = {
    CommandField.C_FIND: "FIND",
    CommandField.C_MOVE: "MOVE",
    CommandField.C_GET: "GET",
}
_EXTENDED: Final = {
    CommandField.C_FIND: (
        "relational queries",
        "combined date-time matching",
        "fuzzy matching of names",
        "time zone adjustment",
        "enhanced multi-frame conversion",
    ),
    CommandField.C_MOVE: ("relational retrieval", "enhanced multi-frame conversion"),
    CommandField.C_GET: ("relational retrieval", "enhanced multi-frame conversion"),
}


class _Nobody:
    """Stands in for the rooms behind the door, which are never asked here."""

    def __getattr__(self, name: str) -> "_Nobody":
        return _Nobody()


def page() -> str:
    """Return the text of docs/conformance.md."""
    offer, services = _negotiator()
    parts = (
        _overview(offer, services),
        _model(services),
        _contexts(offer),
        _policies(offer),
        _behavior(services),
        _initiation(),
        _configuration(),
        _media(),
        _character_sets(),
        _security(),
        _annexes(),
    )
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _negotiator() -> tuple[Offer, frozenset[int]]:
    """Return what a server with every room offers, and the requests that it answers."""
    nobody: Any = _Nobody()
    rooms = Rooms(**{each.name: nobody for each in dataclasses.fields(Rooms)})
    server = DimseServer(admission=nobody, store=nobody, supports=is_storage, rooms=rooms)
    return server._offer, frozenset(server._services)  # noqa: SLF001 - the tables themselves


# --- 1 and 2 ---


def _overview(offer: Offer, services: frozenset[int]) -> str:
    rows = [("Verification", "yes" if _user("Verification") else "", "yes")]
    rows.append(
        ("Storage", "for C-MOVE and C-GET" if CommandField.C_MOVE in services else "", "yes")
    )
    for field, name in _OPERATIONS.items():
        if field in services:
            rows.append((f"Query/Retrieve: C-{name}", "yes" if _user(f"C-{name}") else "", "yes"))
    if CommandField.N_ACTION in services:
        rows.append(("Storage Commitment Push Model", "", "yes"))
    return "\n".join(
        [
            "# DICOM conformance statement",
            "",
            _paragraph(
                f"Radkeep {_version()}, after PS3.2. Made from the code by `make docs`; do not",
                "edit it here. What is not there yet is in [status](status.md), settings and",
                "errors are in the [reference](reference.md).",
            ),
            "",
            "## 1 Overview",
            "",
            _paragraph(
                "Radkeep is an archive. It receives, keeps, finds and gives out instances over",
                f"DIMSE as application entity `{ServerConfig().ae_title}` and over DICOMweb.",
            ),
            "",
            _table(("network service", "user (SCU)", "provider (SCP)"), rows),
            _table(
                ("implementation", "value"),
                [
                    ("Implementation Class UID", f"`{offer.implementation_class}`"),
                    ("Implementation Version Name", f"`{offer.implementation_version}`"),
                    ("Application Context Name", f"`{APPLICATION_CONTEXT}`"),
                ],
            ),
        ]
    )


def _version() -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert found is not None  # noqa: S101 - the build needs it, too
    return found[1]


def _model(services: frozenset[int]) -> str:
    names = [
        "C-STORE",
        "C-ECHO",
        *sorted(f"{CommandField(f).name.replace('_', '-')}" for f in services),
    ]
    return "\n".join(
        [
            "## 2 Implementation model",
            "",
            _paragraph(
                "One application entity accepts associations and answers",
                f"{', '.join(names)}. It opens associations only to registered devices: on behalf",
                "of a C-MOVE, to report a storage commitment, and to test a device by C-ECHO.",
                "Success of a C-STORE means that the instance is durable, encrypted, findable and",
                "audited. Everything received is kept, bit for bit, in its own transfer syntax.",
            ),
        ]
    )


# --- 3 ---


def _contexts(offer: Offer) -> str:
    every = (VERIFICATION, STORAGE_COMMITMENT, *MODELS)
    rows = [_context(offer, uid) for uid in every if offer.supports(uid)]
    return "\n".join(
        [
            "## 3 Presentation contexts accepted",
            "",
            _table(("SOP class", "UID", "transfer syntaxes", "role", "extended negotiation"), rows),
            _paragraph(
                "*Any* is every transfer syntax of section 9.2, and every one that the standard",
                "adds or a vendor makes. Of several the first that the requester names is taken.",
                "As SCU (*both*) Radkeep acts after a C-GET, if role selection gives it the role.",
                "Storage SOP classes besides those of section 9.1 are taken if they are private,",
                "or below the standard's root of storage classes.",
            ),
            "",
            _paragraph(
                "Storage: all classes of section 9.1,",
                _syntaxes(offer, next(iter(storage_classes()))) + ",",
                "role " + _role(offer, next(iter(storage_classes()))) + ".",
            ),
        ]
    )


def _context(offer: Offer, uid: str) -> Sequence[str]:
    return _name(uid), f"`{uid}`", _syntaxes(offer, uid), _role(offer, uid), _extended(uid)


def _name(uid: str) -> str:
    if uid in MODELS:
        field, _ = MODELS[uid]
        return f"{_ROOTS[uid.split('.')[-2]]} Query/Retrieve: {_OPERATIONS[field]}"
    return {VERIFICATION: "Verification", STORAGE_COMMITMENT: "Storage Commitment Push Model"}[uid]


def _syntaxes(offer: Offer, uid: str) -> str:
    readable = offer.readable(uid)
    if readable is None:
        return "any transfer syntax"
    return ", ".join(all_syntaxes()[each].name for each in readable)


def _role(offer: Offer, uid: str) -> str:
    return "both" if offer.supports_as_scu(uid) else "SCP"


def _extended(uid: str) -> str:
    if uid not in MODELS:
        return "none"
    names = _EXTENDED[MODELS[uid][0]]
    answer = agree(uid, b"\1" * len(names)) or b""
    return ", ".join(name for name, ours in zip(names, answer, strict=True) if ours) or "none"


# --- 4 ---


def _policies(offer: Offer) -> str:
    settings = DimseSettings()
    remarks = {m["name"]: m["comment"] for m in _COMMENT.finditer(inspect.getsource(DimseSettings))}
    rows = [
        (f"`{each.name}`", f"{getattr(settings, each.name):,}", remarks.get(each.name, ""))
        for each in dataclasses.fields(DimseSettings)
        if isinstance(getattr(settings, each.name), int | float) and each.name != "sealed"
    ]
    rejections = [
        (f"{each.result}/{each.source}/{each.reason}", why)
        for each, why in (
            (desk.NOT_RECOGNIZED, "not admitted: one word for every reason, see section 8"),
            (desk.SEALED, "the keys are locked, or the server is stopping"),
            (desk.OVERLOADED, "all associations, or all of this peer, are in use; try again"),
        )
    ]
    return "\n".join(
        [
            "## 4 Association policies",
            "",
            _paragraph(
                f"A P-DATA-TF PDU may have {offer.max_length:,} bytes, offered and enforced; an",
                f"association PDU {MAX_ASSOCIATE:,} bytes. Asynchronous operations: up to",
                f"{offer.window} C-STORE operations outstanding where the requester asks for the",
                "window, else one. Limits and deadlines (times in seconds):",
            ),
            "",
            _table(("limit", "value", "remark"), rows),
            _table(("A-ASSOCIATE-RJ", "meaning"), rejections),
            _paragraph(
                "An association ends by A-ABORT of the service provider (2/x) after a violation of",
                "PS3.8, and of the service user (0/0) when a deadline of the table has passed.",
                "After its last word Radkeep only waits for the transport's end: it sends no",
                "second A-ABORT to an A-ASSOCIATE-RQ that comes then (AA-7 of PS3.8 Table 9-10).",
            ),
        ]
    )


# --- 5 ---


def _behavior(services: frozenset[int]) -> str:
    lines = ["## 5 Services provided", "", "### 5.1 Storage", ""]
    lines += [
        _paragraph(
            "The same instance again is a success: the same bytes, or for uncompressed transfer",
            "syntaxes the same elements. Other content under a SOP Instance UID is refused and",
            "quarantined; what was there stays. The data set's UIDs must be those of the command.",
        ),
        "",
        _table(("status", "errors"), _statuses()),
    ]
    if CommandField.C_FIND in services:
        lines += ["### 5.2 Query", "", *_queries()]
    if CommandField.C_GET in services:
        lines += ["### 5.3 Retrieve", "", *_retrievals()]
    if CommandField.N_ACTION in services:
        lines += [
            "### 5.4 Storage commitment",
            "",
            _paragraph(
                "An instance is committed when all its stored bytes were read again and have the",
                "digest of what was received. N-EVENT-REPORT goes over the association that asked,",
                f"within {DimseSettings().report_answer:g} s, else over a new one to the device's",
                "registered host and port, again after",
                f"{', '.join(f'{pause:g}' for pause in DimseSettings().report_pauses)} s.",
            ),
        ]
    return "\n".join(lines)


def _statuses() -> Iterator[Sequence[str]]:
    words: dict[int, set[str]] = {}
    for error in _every_error():
        raised = error.__new__(error)
        RadkeepError.__init__(raised, "")
        words.setdefault(status.store_status(raised), set()).add(f"`{error.code}`")
    yield f"0x{status.SUCCESS:04X}", "success"
    words[UNRECOGNIZED_OPERATION] = {"a request that the context is not for"}
    for code, names in sorted(words.items()):
        yield f"0x{code:04X}", ", ".join(sorted(names))


def _every_error() -> Iterable[type[RadkeepError]]:
    importlib.import_module(ingest_store.__name__)
    for room in ("dimse", "ingest", "archive", "identity", "audit", "dicom"):
        package = importlib.import_module(f"radkeep.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"radkeep.{room}."):
            importlib.import_module(module.name)
    waiting, found = [RadkeepError], set[type[RadkeepError]]()
    rooms = ("radkeep.dimse", "radkeep.ingest", "radkeep.archive", "radkeep.domain",
             "radkeep.identity.policy", "radkeep.audit", "radkeep.dicom")  # fmt: skip
    while waiting:
        below = waiting.pop().__subclasses__()
        found.update(error for error in below if error.__module__.startswith(rooms))
        waiting += below
    return sorted(found, key=lambda error: error.code)


def _queries() -> Iterator[str]:
    yield _paragraph(
        "Single values, lists of UIDs, universal matching, wildcards, ranges of dates and times,",
        "and sequences are matched (PS3.4 Section C.2.2.2); names without regard to case and",
        "accents. Unique keys of higher levels are needed unless relational queries are agreed",
        f"on. At most {DimseSettings().found:,} matches are answered. Statuses besides those of",
        "5.1:",
    )
    yield ""
    yield _table(
        ("status", "meaning"),
        [
            (f"0x{find_scp.PENDING:04X}", "a match; every key is supported"),
            (f"0x{find_scp.PENDING_WITHOUT_SOME:04X}", "a match; some keys are not supported"),
            (f"0x{find_scp.CANCELLED:04X}", "cancelled by C-CANCEL"),
            (f"0x{status.OUT_OF_RESOURCES:04X}", "more matches than are answered; those came"),
            (f"0x{status.DATA_SET_MISMATCH:04X}", "the identifier does not fit the SOP class"),
        ],
    )
    rows = [
        (
            LEVEL_NAMES[level],
            f"`{keyword_of(UNIQUE[level])}`",
            ", ".join(f"`{keyword_of(tag)}`" for tag in sorted(find_scp._supported(level))),  # noqa: SLF001
        )
        for level in BY_LEVEL
    ]
    yield _table(("level", "unique key", "keys"), rows)


def _retrievals() -> Iterator[str]:
    sources = ", ".join(sorted(all_syntaxes()[uid].name for uid in SOURCES))
    decoded = ", ".join(sorted(all_syntaxes()[uid].name for uid in DECODABLE))
    targets = " or ".join(all_syntaxes()[uid].name for uid in TARGETS)
    yield _paragraph(
        "Instances leave as they are stored. If the peer does not take that and they are in",
        f"{sources}, they are rewritten to {targets}; images in one of",
        f"{decoded} are decoded without loss for that. What cannot be sent is a failed",
        "sub-operation; only damage found in the middle of an instance ends the association.",
        "Statuses besides those of 5.1:",
    )
    yield ""
    yield _table(
        ("status", "meaning"),
        [
            (f"0x{suboperations.PENDING:04X}", "sub-operations continue"),
            (f"0x{suboperations.SOME_FAILED:04X}", "some sub-operations failed or had a warning"),
            (f"0x{suboperations.ALL_FAILED:04X}", "all sub-operations failed"),
            (f"0x{suboperations.CANCELLED:04X}", "cancelled by C-CANCEL"),
            (f"0x{move_scp.UNKNOWN_DESTINATION:04X}", "C-MOVE: the destination is not registered"),
            (f"0x{status.DATA_SET_MISMATCH:04X}", "the identifier does not fit the SOP class"),
        ],
    )


# --- 6 to 8 ---


def _users() -> Mapping[str, str]:
    """Return what we use of others, by the classes of ``dimse.scu`` that are named for it."""
    found = {}
    for module in pkgutil.iter_modules(radkeep.dimse.scu.__path__, "radkeep.dimse.scu."):
        for name, each in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(each) and name.endswith("Scu") and each.__module__ == module.name:
                found[name.removesuffix("Scu")] = _first(each)
    return found


def _first(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0].replace("``", "`")


def _user(service: str) -> bool:
    wanted = {"Verification": "Echo"}.get(service, service.removeprefix("C-").capitalize())
    return wanted in _users()


def _initiation() -> str:
    rows = [(name, text) for name, text in sorted(_users().items())]
    rows.append(("Store", "Sends to the destination of a C-MOVE; each class in the syntax kept."))
    rows.append(("Report", "Brings N-EVENT-REPORT of storage commitment to a device."))
    return "\n".join(
        [
            "## 6 Associations initiated",
            "",
            _paragraph(
                "Only to registered devices with host and port, in plaintext only where a zone of",
                "the organization allows their address. Radkeep's title is the one by which it was",
                "called.",
            ),
            "",
            _table(("as user", "for"), rows),
        ]
    )


def _configuration() -> str:
    server = Config().server
    return "\n".join(
        [
            "## 7 Network interfaces and configuration",
            "",
            _paragraph(
                f"TCP/IP, version 4 or 6. AE title `{server.ae_title}` (`server.ae_title`); bound",
                f"to `{server.host}` (`server.host`), plaintext port",
                f"{server.dimse_port or 'none'} (`server.dimse_port`), {_tls()} Devices with AE",
                "title, addresses, host, port and services, and zones, are kept in the registry",
                "(`radkeep device`, `radkeep zone`).",
            ),
        ]
    )


def _tls() -> str:
    source = inspect.getsource(ServerConfig)
    remark = {m["name"]: m["comment"] for m in _COMMENT.finditer(source)}
    port = ServerConfig().dimse_tls_port
    if "not yet" in remark.get("dimse_tls_port", ""):
        return f"TLS port {port} (`server.dimse_tls_port`) is reserved and not yet served."
    return f"TLS port {port} (`server.dimse_tls_port`)."


def _media() -> str:
    return "\n".join(
        [
            "## 8 Media, character sets and security",
            "",
            "### 8.1 Media interchange",
            "",
            _paragraph(
                "None of the application profiles of PS3.11. `radkeep import` reads DICOM files in",
                "folders and archives; `radkeep export` and DICOMweb write DICOM files (PS3.10)",
                f"with `{IMPLEMENTATION_CLASS_UID}` and `{IMPLEMENTATION_VERSION_NAME}` in their",
                "file meta information and an empty preamble.",
            ),
        ]
    )


def _character_sets() -> str:
    names = sorted(filter(None, charsets._CODECS))  # noqa: SLF001 - the table itself
    found = ", ".join(f"`{_spelled(name)}`" for name in names)
    return "\n".join(
        [
            "### 8.2 Character sets",
            "",
            _paragraph(
                "Read, with code extensions, and without regard to blanks, dashes and underscores",
                f"in their names: {found}. What a character set cannot say becomes U+FFFD in",
                "answers; stored bytes are never changed. Query answers are ASCII or `ISO_IR 192`.",
            ),
        ]
    )


def _spelled(key: str) -> str:
    """Return a defined term as PS3.3 writes it; the table's keys are without blanks."""
    return re.sub(r"^ISO2022(IR)?", lambda m: f"ISO 2022 {'IR ' if m[1] else ''}", key).replace(
        "ISOIR", "ISO_IR "
    )


def _security() -> str:
    return "\n".join(
        [
            "### 8.3 Security",
            "",
            _paragraph(
                "A device is admitted by AE title, called title, address and zone; user identity",
                "negotiation is read and never relied on.",
                f"{_tls()}",
                "Every refusal without a verified certificate is the same; the true reason is in",
                "the audit log (PS3.15 Section A.5) and in `radkeep device list --pending`. See",
                "[attack model](attack-model.md).",
            ),
        ]
    )


# --- 9 ---


def _annexes() -> str:
    classes = [
        (name.removesuffix("retired").strip(), f"`{uid}`")
        for uid, name in storage_classes().items()
    ]
    syntaxes = [(each.name, f"`{uid}`") for uid, each in all_syntaxes().items()]
    private = sorted(tag for tags in BY_LEVEL.values() for tag in tags if vr_of(tag) == "UN")
    return "\n".join(
        [
            "## 9 Tables",
            "",
            "### 9.1 Storage SOP classes",
            "",
            _table(("name", "UID"), classes),
            "### 9.2 Transfer syntaxes",
            "",
            _table(("name", "UID"), syntaxes),
            "### 9.3 Private elements",
            "",
            "None is written." if not private else ", ".join(map(hex, private)),
        ]
    )


def _paragraph(*lines: str) -> str:
    return textwrap.fill(" ".join(lines), WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
