# SPDX-License-Identifier: Apache-2.0
"""Certificates of doors: renewed in time, kept sealed, and trust that follows the registry."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from radkeep.app.authority import TlsPair
from radkeep.app.dimse_tls import DimseTls
from radkeep.app.layout import Layout
from radkeep.app.renewal import MARGIN, Renewal
from radkeep.app.web_certificate import forget, keep, kept
from radkeep.crypto.certificate_facts import facts_of
from radkeep.crypto.certificates import issue_server, new_authority
from radkeep.domain.errors import IntegrityError, UnavailableError
from radkeep.testing.identity import START, FakeClock

SEED, KEY = b"r" * 32, b"k" * 32


class Pairs:
    """Issues certificates, unless it is away."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.asked, self.away = clock, 0, False
        self.authority = new_authority(SEED, ["localhost"], now=clock.now()).certificate

    def pair(self, door: str) -> TlsPair:
        assert door == "dimse"
        self.asked += 1
        if self.away:
            raise UnavailableError("away")
        made = issue_server(self.authority, SEED, KEY, "localhost", now=self.clock.now())
        return TlsPair(certificate=made.certificate, key=made.key)


def test_a_certificate_is_renewed_before_it_ends() -> None:
    clock = FakeClock()
    pairs, shown = Pairs(clock), list[TlsPair]()
    renewal = Renewal(pairs, "dimse", pairs.pair("dimse").certificate, shown.append, clock)
    clock.pass_(days=600)
    renewal.look()
    assert not shown
    clock.pass_(days=131 - MARGIN.days)
    pairs.away = True
    renewal.look()
    assert not shown
    pairs.away = False
    renewal.look()
    renewal.look()
    (pair,) = shown
    assert facts_of(pair.certificate).expires - clock.now() > timedelta(days=700)
    assert pairs.asked == 3


def test_an_imported_pair_lies_sealed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.tls.mkdir()
    assert kept(layout, KEY) is None
    keep(layout, KEY, b"certificate", b"private key")
    assert kept(layout, KEY) == (b"certificate", b"private key")
    (file,) = layout.tls.iterdir()
    assert b"private key" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(IntegrityError):
        kept(layout, SEED)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(IntegrityError):
        kept(layout, KEY)
    forget(layout)
    assert kept(layout, KEY) is None


def test_trust_follows_the_registry_and_a_context_is_made_only_then() -> None:
    pairs = Pairs(FakeClock(START))
    pair, other = pairs.pair("dimse"), pairs.pair("dimse")
    state = {"revision": 1, "pinned": list[bytes]()}
    tls = DimseTls(
        pair,
        authority=pairs.authority,
        revision=lambda: state["revision"],  # type: ignore[arg-type,return-value] # a number
        pinned=lambda: state["pinned"],  # type: ignore[arg-type,return-value] # a list
    )
    first = tls.context()
    state["pinned"] = [ssl.PEM_cert_to_DER_cert(other.certificate.decode())]
    tls.look()
    assert tls.context() is first  # no revision, no look
    state["revision"] = 2
    tls.look()
    second = tls.context()
    assert second is not first
    assert len(second.get_ca_certs()) == 1  # the authority's own; the other is no authority
    assert second.cert_store_stats()["x509"] == 2
    state["revision"] = 3
    tls.look()
    assert tls.context() is second
    assert second.verify_mode is ssl.CERT_REQUIRED
