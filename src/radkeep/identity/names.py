# SPDX-License-Identifier: Apache-2.0
"""Parses what people type to name things: once, at the door of a use case.

Invariant: what these functions return is short, printable and in one spelling, so that two names
that look alike to a reader are equal.
"""

import re
import unicodedata
from collections.abc import Iterable
from ipaddress import IPv6Network, ip_network
from typing import Final

from radkeep.domain.errors import InvalidRequestError
from radkeep.identity.records import Network

MAX_LABEL: Final = 64  # characters
MAX_EMAIL: Final = 254  # characters, RFC 5321 Section 4.5.3.1 less the brackets
MAX_NETWORKS: Final = 64  # of one device or zone
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_AE_TITLE: Final = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 Section 6.2: no backslash, no control
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_EMBEDDED: Final = 96  # bits before the IPv4 address in an IPv4-mapped one, RFC 4291 2.5.5.2


def label(text: str, what: str) -> str:
    """Return ``text`` as the name of a ``what``: 1 to 64 printable characters.

    Raises:
        InvalidRequestError: it is not.
    """
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not 0 < len(name) <= MAX_LABEL or not name.isprintable():
        raise InvalidRequestError(f"the name of a {what} has 1 to {MAX_LABEL} printable characters")
    return name


def email_address(text: str) -> str:
    """Return ``text`` as an e-mail address in lower case.

    Raises:
        InvalidRequestError: it is none.
    """
    address = unicodedata.normalize("NFKC", text).strip().lower()
    if len(address) > MAX_EMAIL or not _EMAIL.fullmatch(address) or not address.isprintable():
        raise InvalidRequestError("this is not an e-mail address")
    return address


def ae_title(text: str) -> str:
    """Return ``text`` as an AE title (PS3.5 Section 6.2), without the spaces around it.

    Raises:
        InvalidRequestError: it is none.
    """
    title = text.strip(" ")
    if not _AE_TITLE.fullmatch(title):
        raise InvalidRequestError("an AE title has 1 to 16 ASCII characters and no backslash")
    return title


def host_name(text: str) -> str:
    """Return ``text`` as a host name or address.

    Raises:
        InvalidRequestError: it is none.
    """
    if not _HOST.fullmatch(text):
        raise InvalidRequestError("this is not a host name or address")
    return text.lower()


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return addresses and networks in CIDR form, sorted and without doubles.

    ``localhost`` stands for the loopback networks.

    Raises:
        InvalidRequestError: one is none, its host bits are set, or there are more than 64.
    """
    words = [word for text in texts for word in (_LOOPBACK if text == "localhost" else (text,))]
    try:
        parsed = {_plain(ip_network(word.strip())) for word in words}
    except ValueError:
        raise InvalidRequestError(
            "an address is written as 10.0.0.7, a network as 10.0.0.0/24"
        ) from None
    if len(parsed) > MAX_NETWORKS:
        raise InvalidRequestError(f"at most {MAX_NETWORKS} networks, please")
    return tuple(sorted(parsed, key=lambda net: (net.version, int(net[0]), net.prefixlen)))


def _plain(network: Network) -> Network:
    if isinstance(network, IPv6Network) and network.prefixlen >= _EMBEDDED:
        embedded = network[0].ipv4_mapped
        if embedded is not None:
            return ip_network((embedded, network.prefixlen - _EMBEDDED))
    return network
