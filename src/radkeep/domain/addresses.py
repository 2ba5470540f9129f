# SPDX-License-Identifier: Apache-2.0
"""Network addresses of peers, and the party that each of them counts for.

Invariant: one peer has one spelling, and one customer of a network is one source, however many
addresses it has.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from radkeep.domain.errors import InvalidRequestError

NOWHERE: Final = "elsewhere"  # the source of all that has no network address


def peer_address(text: str) -> IPv4Address | IPv6Address:
    """Return the address of a peer as sockets give it; IPv4 within IPv6 becomes IPv4.

    Raises:
        InvalidRequestError: it is no address.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        raise InvalidRequestError("this is not a network address") from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def source_of(address: str) -> str:
    """Return the party that ``address`` counts for in limits: itself, or its IPv6 /64.

    One IPv6 customer has at least a /64 (RFC 6177); counting single addresses would count nothing.
    """
    try:
        peer = peer_address(address)
    except InvalidRequestError:
        return NOWHERE
    if isinstance(peer, IPv6Address):
        return str(IPv6Network((peer, 64), strict=False))
    return str(peer)
