# SPDX-License-Identifier: Apache-2.0
"""Probe TLS of both doors of a real server with foreign tools, and keep what they say.

    .venv/bin/python tools/tls_evidence.py [--folder docs/security/evidence]

writes ``openssl.txt``, ``testssl-dicom.txt``, ``testssl-web.txt`` and ``nmap.txt``, without names
of this machine, paths or colors. A tool that is not installed is named, and its file left alone.
Takes about five minutes.
"""

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from radkeep.testing.server import Installation, Server, found, serving

ROOT = Path(__file__).resolve().parents[1]
_DEADLINE = 600  # seconds for one tool
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_SUMMARY = re.compile(
    r"(Protocol *:|Cipher *:|New, |Verify return code|alert|Verification|error:|no peer|CONNECTED)"
)
PROBES = (
    ("TLS 1.3 with the device's certificate", ("-tls1_3",), True),
    ("TLS 1.2 with the device's certificate", ("-tls1_2",), True),
    ("TLS 1.3 without a certificate", ("-tls1_3",), False),
    ("TLS 1.2 without a certificate", ("-tls1_2",), False),
    ("TLS 1.1", ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), True),
    ("TLS 1.0", ("-tls1", "-cipher", "ALL:@SECLEVEL=0"), True),
    ("TLS 1.2, CBC alone", ("-tls1_2", "-cipher", "AES128-SHA256:ECDHE-ECDSA-AES128-SHA"), True),
    ("TLS 1.2, no forward secrecy", ("-tls1_2", "-cipher", "AES128-GCM-SHA256"), True),
    ("TLS 1.2, static DH and DHE", ("-tls1_2", "-cipher", "DH:DHE:@SECLEVEL=1"), True),
    ("TLS 1.2, ChaCha20-Poly1305", ("-tls1_2", "-cipher", "ECDHE+CHACHA20"), True),
)


@dataclass(frozen=True)
class Subject:
    """A running server with one device."""

    installation: Installation
    server: Server
    device: Path  # cert.pem, key.pem, ca.pem

    @property
    def ports(self) -> dict[str, int]:
        """Return the port of each door."""
        dimse = {name: int(self.server.ready[name].rpartition(":")[2]) for name in _PLACES}
        return {**dimse, "web": self.server.web}

    def scrubbed(self, text: str) -> str:
        """Return ``text`` without what belongs to this run and machine."""
        for name, port in self.ports.items():
            text = text.replace(
                str(port), {"dimse_tls": "2762", "dimse": "104", "web": "8443"}[name]
            )
        text = _COLOR.sub("", text).replace(str(self.device), "device")
        for path in (self.installation.data, self.device.parent, ROOT, Path.home()):
            text = text.replace(str(path), "…")
        text = text.replace(socket.gethostname(), "this-machine")
        return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


_PLACES = ("dimse_tls", "dimse")


def main() -> int:
    """Probe, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "security" / "evidence")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        installation = found(Path(place))
        flags = ("--web-port", str(_free_port()))  # known, so that certificates name the list
        with serving(installation, *flags) as server:
            device = Path(place) / "device"
            installation.run("device", "add", "CT1", "--from", "127.0.0.0/8")
            installation.run("device", "certificate", "CT1", "--out", str(device))
            subject = Subject(installation, server, device)
            for name, lines in _reports(subject):
                (folder / name).write_text(subject.scrubbed("\n".join(lines)))
                print(f"{name}: written")
    return 0


def _reports(subject: Subject) -> Iterator[tuple[str, Sequence[str]]]:
    if _has("openssl"):
        yield "openssl.txt", list(_openssl(subject))
    if _has("testssl"):
        ca = str(subject.installation.data / "tls" / "ca.pem")
        words = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--add-ca", ca]
        for door, name in (("dimse_tls", "dicom"), ("web", "web")):
            place = f"localhost:{subject.ports[door]}"
            said = _run([*words, "-p", "-s", "-f", "-S", "-U", place])
            lines = [
                line
                for line in said.splitlines()
                if not line.lstrip().startswith(("Start", "Done"))
            ]
            yield f"testssl-{name}.txt", lines
    if _has("nmap"):
        yield "nmap.txt", list(_nmap(subject))


def _openssl(subject: Subject) -> Iterator[str]:
    yield _run(["openssl", "version"])
    device = subject.device
    proof = ["-cert", str(device / "cert.pem"), "-key", str(device / "key.pem")]
    for what, options, proved in PROBES:
        yield f"\n## {what}\n"
        words = ["openssl", "s_client", "-connect", f"localhost:{subject.ports['dimse_tls']}"]
        words += ["-servername", "localhost", "-CAfile", str(device / "ca.pem"), *options]
        words += proof if proved else []
        yield "$ " + " ".join(words)
        # A question of DICOM, so that the server's answer to the handshake comes in time.
        said = _run(words, b"\x05\0\0\0\0\x04\0\0\0\0")
        yield from dict.fromkeys(line for line in said.splitlines() if _SUMMARY.search(line))
    yield "\n## The server's certificate\n"
    pem = _run(
        ["openssl", "s_client", "-connect", f"localhost:{subject.ports['dimse_tls']}", *proof]
    )
    yield _run(
        ["openssl", "x509", "-noout", "-subject", "-issuer", "-ext",
         "subjectAltName,extendedKeyUsage,keyUsage,crlDistributionPoints,basicConstraints"],
        pem.encode(),
    )  # fmt: skip


def _nmap(subject: Subject) -> Iterator[str]:
    for door in _PLACES:
        for script in ("dicom-ping", "dicom-brute"):
            port = str(subject.ports[door])
            words = ["nmap", "-Pn", "-sT", "-sV", "--version-light", "-p", port]
            said = _run([*words, "--script", f"+{script}", "127.0.0.1"])
            yield f"## {door}, {script}\n"
            yield from (
                line for line in said.splitlines() if not line.startswith(("Starting", "Nmap done"))
            )


def _run(words: Sequence[str], given: bytes = b"") -> str:
    done = subprocess.run(words, input=given, capture_output=True, timeout=_DEADLINE, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def _has(tool: str) -> bool:
    found_it = shutil.which(tool) is not None
    if not found_it:
        print(f"{tool} is not installed", file=sys.stderr)
    return found_it


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    raise SystemExit(main())
