# SPDX-License-Identifier: Apache-2.0
"""Roles of people, as a table to be read aloud.

Invariant: no role that manages people or machines reads studies, and no clinical role manages
anything; who does both holds two roles, and everyone can see it.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from radkeep.domain.errors import InvalidRequestError
from radkeep.identity.permissions import Permission


class Role(StrEnum):
    """What somebody does in an organization."""

    ADMINISTRATOR = "administrator"
    SECURITY_OFFICER = "security-officer"
    RADIOLOGIST = "radiologist"
    TECHNOLOGIST = "technologist"
    REFERRING_PHYSICIAN = "referring-physician"
    SECRETARY = "secretary"


ROLES: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.ADMINISTRATOR: frozenset(
            {
                Permission.ACCOUNT_MANAGE,
                Permission.DEVICE_MANAGE,
                Permission.ZONE_MANAGE,
                Permission.TOKEN_MANAGE,
                Permission.QUARANTINE_MANAGE,
                Permission.ARCHIVE_VERIFY,
                Permission.ARCHIVE_REBUILD,
                Permission.STUDY_DELETE,
                Permission.SYSTEM_STATUS,
                Permission.METRICS_READ,
            }
        ),
        Role.SECURITY_OFFICER: frozenset(
            {
                Permission.AUDIT_READ,
                Permission.ARCHIVE_VERIFY,
                Permission.ACCOUNT_MANAGE,
                Permission.ZONE_MANAGE,
                Permission.SYSTEM_STATUS,
                Permission.METRICS_READ,
            }
        ),
        Role.RADIOLOGIST: frozenset(
            {
                Permission.STUDY_QUERY,
                Permission.STUDY_READ,
                Permission.STUDY_EXPORT,
            }
        ),
        Role.TECHNOLOGIST: frozenset(
            {
                Permission.INSTANCE_STORE,
                Permission.STUDY_QUERY,
                Permission.STUDY_READ,
            }
        ),
        Role.REFERRING_PHYSICIAN: frozenset(
            {
                Permission.STUDY_QUERY,
                Permission.STUDY_READ,
            }
        ),
        Role.SECRETARY: frozenset({Permission.STUDY_QUERY}),
    }
)

# In a new clinic one person does everything, until others are invited and roles handed over.
FOUNDER: Final = frozenset(
    {Role.ADMINISTRATOR, Role.SECURITY_OFFICER, Role.RADIOLOGIST, Role.TECHNOLOGIST}
)


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """Return everything that a holder of ``roles`` may do."""
    return frozenset().union(*(ROLES[role] for role in roles))


def parse_roles(words: Iterable[str]) -> frozenset[Role]:
    """Return the roles named by ``words``.

    Raises:
        InvalidRequestError: an unknown word.
    """
    try:
        return frozenset(Role(word) for word in words)
    except ValueError:
        raise InvalidRequestError(f"roles are: {', '.join(Role)}") from None
