# SPDX-License-Identifier: Apache-2.0
"""Certificates and keys that others bring are looked at before they are believed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from radkeep.crypto.certificate_facts import client_facts, facts_of, public_key_of, server_pair
from radkeep.crypto.certificates import (
    issue_device,
    issue_server,
    new_authority,
    new_key,
    revocation_list,
)
from radkeep.domain.errors import InvalidRequestError

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOST = "pacs.clinic.example"
SEED, SERVER = b"r" * 32, b"s" * 32


def made(
    key: Any = None,  # noqa: ANN401 - a private key
    *,
    use: x509.ObjectIdentifier | None = None,
    names: tuple[str, ...] = (HOST,),
    begins: datetime = NOW - timedelta(days=1),
    signer: tuple[x509.Certificate, Any] | None = None,
) -> tuple[x509.Certificate, Any]:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"N{x509.random_serial_number()}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(signer[0].subject if signer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=10))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
    )
    if use is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    return builder.sign(signer[1] if signer else key, SHA256()), key


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def secret(key: Any) -> bytes:  # noqa: ANN401
    encoded: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def test_a_fit_pair_passes_and_comes_back_in_order() -> None:
    root = made()
    leaf = made(use=ExtendedKeyUsageOID.SERVER_AUTH, signer=root)
    chain, key = server_pair(pem(leaf[0], root[0]), secret(leaf[1]), HOST, now=NOW)
    assert chain == pem(leaf[0], root[0])
    assert key == secret(leaf[1])
    wild = made(names=("*.clinic.example",))
    server_pair(pem(wild[0]), secret(wild[1]), HOST, now=NOW)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (lambda: (b"", b""), "not a PEM certificate"),
        (lambda: (pem(made()[0]), secret(made()[1])), "does not belong"),
        (lambda: _with(made(names=("other.example",))), "not for pacs"),
        (lambda: _with(made(names=("*.example",))), "is not for pacs"),
        (lambda: _with(made(begins=NOW - timedelta(days=30))), "expired"),
        (lambda: _with(made(begins=NOW + timedelta(days=1))), "not valid yet"),
        (lambda: _with(made(use=ExtendedKeyUsageOID.CLIENT_AUTH)), "not for TLS servers"),
        (lambda: _with(made(rsa.generate_private_key(65_537, 1_024))), "at least 2048"),
        (lambda: _with(made(ec.generate_private_key(ec.SECP192R1()))), "at least 256"),
        (lambda: (pem(made()[0], made()[0]), b""), "out of order"),
        (lambda: (pem(*[made()[0]] * 11), b""), "too many"),
        (lambda: (pem((one := made())[0]), _locked(one[1])), "unencrypted"),
    ],
)
def test_unfit_pairs_are_refused(pair: Any, words: str) -> None:  # noqa: ANN401 - a thunk
    with pytest.raises(InvalidRequestError, match=words):
        server_pair(*pair(), HOST, now=NOW)


def _with(pair: tuple[x509.Certificate, Any]) -> tuple[bytes, bytes]:
    return pem(pair[0]), secret(pair[1])


def _locked(key: Any) -> bytes:  # noqa: ANN401
    lock = BestAvailableEncryption(b"secret")
    encoded: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    return encoded


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        (lambda: pem(made()[0], made()[0]), "alone"),
        (lambda: pem(made(use=ExtendedKeyUsageOID.SERVER_AUTH)[0]), "not for TLS clients"),
        (lambda: pem(made(begins=NOW - timedelta(days=30))[0]), "expired"),
        (lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a PEM"),
    ],
)
def test_unfit_certificates_of_devices_are_refused(chain: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(InvalidRequestError, match=words):
        client_facts(chain(), now=NOW)


def test_only_strong_public_keys_are_certified() -> None:
    authority = new_authority(SEED, [HOST], now=NOW).certificate
    weak = [
        rsa.generate_private_key(65_537, 1_024).public_key(),
        dsa.generate_private_key(2_048).public_key(),
        ec.generate_private_key(ec.SECP192R1()).public_key(),
    ]
    for key in weak:
        public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(InvalidRequestError):
            issue_device(authority, SEED, public, "CT1", now=NOW)
    strong = rsa.generate_private_key(65_537, 2_048).public_key()
    public = strong.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert facts_of(issue_device(authority, SEED, public, "CT1", now=NOW)).names == [
        "urn:radkeep:device:CT1"
    ]


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    for look in (facts_of, public_key_of):
        with pytest.raises(InvalidRequestError):
            look(data)


def test_the_revocation_list_names_what_is_revoked_and_grows_in_number() -> None:
    authority = new_authority(SEED, [HOST], now=NOW).certificate
    parsed = x509.load_pem_x509_certificate(authority)
    first = x509.load_der_x509_crl(revocation_list(authority, SEED, [], now=NOW))
    later = NOW + timedelta(seconds=1)
    second = x509.load_der_x509_crl(revocation_list(authority, SEED, [(2**150, NOW)], now=later))
    key = parsed.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert first.is_signature_valid(key)
    assert second.is_signature_valid(key)
    assert first.issuer == parsed.subject
    assert [each.serial_number for each in second] == [2**150]
    numbers = [
        each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        for each in (first, second)
    ]
    assert numbers[0] < numbers[1]


def test_certificates_say_where_the_list_is_and_what_they_are_for() -> None:
    authority = new_authority(SEED, [HOST], now=NOW).certificate
    place = "https://pacs.clinic.example:8443/pki/ca.crl"
    _, public = new_key()
    device = issue_device(authority, SEED, public, "CT1", now=NOW, crl=place)
    door = issue_server(authority, SEED, SERVER, HOST, now=NOW, crl=place, client=True)
    for each in (device, door.certificate):
        points = x509.load_pem_x509_certificate(each).extensions.get_extension_for_class(
            x509.CRLDistributionPoints
        )
        assert points.value[0].full_name == [x509.UniformResourceIdentifier(place)]
    client_facts(device, now=NOW)
    client_facts(door.certificate, now=NOW)
