# SPDX-License-Identifier: Apache-2.0
"""The private authority vouches for this server's names and for nothing else."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from radkeep.crypto.certificates import (
    Issued,
    fingerprint,
    issue_device,
    issue_server,
    new_authority,
    new_key,
)
from radkeep.domain.clock import SystemClock
from radkeep.domain.errors import IntegrityError

ROOT, SERVER = b"r" * 32, b"s" * 32
HOST = "pacs.clinic.example"


@pytest.fixture
def now() -> datetime:
    return SystemClock().now()


def context(purpose: ssl.Purpose, authority: Issued) -> ssl.SSLContext:
    made = ssl.create_default_context(purpose, cadata=authority.certificate.decode())
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


def load(made: ssl.SSLContext, folder: Path, issued: Issued) -> None:
    path = folder / f"{fingerprint(issued.certificate).hex()}.pem"
    path.write_bytes(issued.certificate + issued.key)
    made.load_cert_chain(path)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """Run one handshake in memory; raises ssl.SSLError if either side refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:  # what TLS 1.3 servers learn late comes with the first read
        try:
            end.read(1)
        except ssl.SSLWantReadError:
            continue


@pytest.mark.parametrize("name", [HOST, "localhost", "127.0.0.1", "::1"])
def test_clients_that_trust_the_authority_accept_the_server(
    name: str, now: datetime, tmp_path: Path
) -> None:
    authority = new_authority(ROOT, [HOST], now=now)
    issued = issue_server(authority.certificate, ROOT, SERVER, HOST, now=now)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(server, tmp_path, issued)
    shake_hands(context(ssl.Purpose.SERVER_AUTH, authority), server, name)


@pytest.mark.parametrize("host", ["bank.example", "192.0.2.1"])
def test_a_stolen_authority_cannot_speak_for_others(
    host: str, now: datetime, tmp_path: Path
) -> None:
    authority = new_authority(ROOT, [HOST], now=now)
    forged = issue_server(authority.certificate, ROOT, SERVER, host, now=now)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(server, tmp_path, forged)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake_hands(context(ssl.Purpose.SERVER_AUTH, authority), server, host)


def test_devices_are_clients_and_no_servers(now: datetime, tmp_path: Path) -> None:
    authority = new_authority(ROOT, [HOST], now=now)
    private, public = new_key()
    device = Issued(
        certificate=issue_device(authority.certificate, ROOT, public, "CT SCANNER_1", now=now),
        key=private,
    )
    server = context(ssl.Purpose.CLIENT_AUTH, authority)
    server.verify_mode = ssl.CERT_REQUIRED
    load(server, tmp_path, issue_server(authority.certificate, ROOT, SERVER, HOST, now=now))
    client = context(ssl.Purpose.SERVER_AUTH, authority)
    with pytest.raises(ssl.SSLError):
        shake_hands(client, server, HOST)
    load(client, tmp_path, device)
    shake_hands(client, server, HOST)
    imposter = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(imposter, tmp_path, device)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context(ssl.Purpose.SERVER_AUTH, authority), imposter, HOST)
    names = x509.load_pem_x509_certificate(device.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == ["urn:radkeep:device:CT%20SCANNER%5F1"]


def test_what_the_certificates_say(now: datetime) -> None:
    authority = new_authority(ROOT, [HOST, "10.0.0.5"], now=now)
    parsed = x509.load_pem_x509_certificate(authority.certificate)
    basic = parsed.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert (basic.value.ca, basic.value.path_length) == (True, 0)
    assert parsed.extensions.get_extension_for_class(x509.NameConstraints).critical
    leaf = x509.load_pem_x509_certificate(
        issue_server(authority.certificate, ROOT, SERVER, "10.0.0.5", now=now).certificate
    )
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=731)
    use = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(use) == [ExtendedKeyUsageOID.SERVER_AUTH]
    leaf.verify_directly_issued_by(parsed)


def test_keys_follow_from_their_seeds(now: datetime) -> None:
    first, second = (new_authority(ROOT, [HOST], now=now) for _ in range(2))
    assert first.key == second.key
    assert new_authority(SERVER, [HOST], now=now).key != first.key
    with pytest.raises(IntegrityError, match="not this installation"):
        issue_server(first.certificate, SERVER, SERVER, HOST, now=now)


def test_a_leaf_does_not_outlive_its_authority() -> None:
    authority = new_authority(ROOT, [HOST], now=datetime(2020, 1, 1, tzinfo=UTC))
    late = datetime(2029, 6, 1, tzinfo=UTC)
    leaf = issue_server(authority.certificate, ROOT, SERVER, HOST, now=late)
    end = x509.load_pem_x509_certificate(authority.certificate).not_valid_after_utc
    assert x509.load_pem_x509_certificate(leaf.certificate).not_valid_after_utc == end
