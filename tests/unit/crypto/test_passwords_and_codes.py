# SPDX-License-Identifier: Apache-2.0
"""Passwords, one-time codes and tokens: right ones pass, all others raise."""

import base64
import time
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from argon2 import extract_parameters

from radkeep.crypto import digest, otp, passwords, tokens
from radkeep.domain.errors import IntegrityError, InvalidRequestError, UnauthenticatedError

RFC_6238 = b"12345678901234567890"  # Appendix B


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_a_password_passes_and_no_other_does() -> None:
    stored = passwords.hash_password("Amélie's horse")
    assert passwords.verify_password(stored, "Ame\u0301lie's horse") is None  # other spelling
    for attempt in ("", "amélie's horse", "x" * 2000):
        with pytest.raises(passwords.WrongPasswordError):
            passwords.verify_password(stored, attempt)
    assert not passwords.needs_rehash(stored)
    assert passwords.needs_rehash(stored.replace("t=3", "t=2"))


def test_the_cost_is_that_of_rfc_9106() -> None:
    cost = extract_parameters(passwords.hash_password("x"))
    assert (cost.time_cost, cost.memory_cost, cost.parallelism) == (3, 65_536, 4)
    assert cost == extract_parameters(passwords._NOBODY)


def test_no_account_takes_as_long_as_a_wrong_password() -> None:
    stored = passwords.hash_password("x")

    def best(account: str | None) -> float:
        elapsed = []
        for _ in range(3):
            start = time.perf_counter()
            with pytest.raises(UnauthenticatedError):
                passwords.verify_password(account, "y")
            elapsed.append(time.perf_counter() - start)
        return min(elapsed)

    assert 0.4 < best(None) / best(stored) < 2.5


def test_what_is_not_a_hash_is_damage() -> None:
    with pytest.raises(IntegrityError):
        passwords.verify_password("plain text", "plain text")


def test_a_password_has_a_length() -> None:
    with pytest.raises(InvalidRequestError):
        passwords.hash_password("x" * 1025)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_of_rfc_6238(seconds: int, code: str) -> None:
    assert otp.code_at(RFC_6238, otp.step_at(at(seconds))) == code
    assert otp.verify(RFC_6238, code, now=at(seconds)) == seconds // 30


def test_a_code_is_good_once_and_for_a_step_around() -> None:
    now = at(1_000_000)
    step = otp.step_at(now)
    code = otp.code_at(RFC_6238, step)
    assert otp.verify(RFC_6238, f"{code[:3]} {code[3:]}", now=now) == step
    for near in (-30, 30):
        assert otp.verify(RFC_6238, code, now=at(1_000_000 + near)) == step
    for far in (-60, 60):
        with pytest.raises(otp.WrongCodeError):
            otp.verify(RFC_6238, code, now=at(1_000_000 + far))
    for after in (step, step + 1):
        with pytest.raises(otp.WrongCodeError):
            otp.verify(RFC_6238, code, now=now, after=after)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345"])
def test_what_is_not_a_code_is_refused(code: str) -> None:
    with pytest.raises(otp.WrongCodeError):
        otp.verify(RFC_6238, code, now=at(59))


def test_the_provisioning_address_holds_the_secret() -> None:
    secret = otp.new_secret()
    parts = urlsplit(otp.provisioning_uri(secret, account="a b@clinic.example", issuer="Rad: keep"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Rad: keep:a b@clinic.example"
    query = parse_qs(parts.query)
    assert base64.b32decode(query["secret"][0]) == secret
    assert query["issuer"] == ["Rad: keep"]
    assert (query["digits"], query["period"], query["algorithm"]) == (["6"], ["30"], ["SHA1"])


def test_tokens_are_long_and_known_by_their_digest() -> None:
    token = tokens.new_token()
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert token != tokens.new_token()
    assert tokens.token_digest(token) != tokens.token_digest(token + "x")
    assert tokens.token_digest(token) != digest.sha256(token.encode())


def test_digests() -> None:
    assert digest.sha256(b"a", memoryview(b"bc")).hex().startswith("ba7816bf8f01cfea")
    key, message = b"Jefe", b"what do ya want for nothing?"  # RFC 4231 Section 4.3
    assert digest.hmac_sha256(key, message).hex().startswith("5bdcc146bf60754e6a042426")
    assert digest.equal(b"x", b"x")
    assert not digest.equal(b"x", b"y")
