# SPDX-License-Identifier: Apache-2.0
"""What an actor may do: closed lists, each value spelled ``scope:action``.

Invariant: every door asks for one of these permissions and for nothing else; roles, device
services and token scopes are only ways to give some of them.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from radkeep.domain.errors import InvalidRequestError


class Permission(StrEnum):
    """One kind of deed."""

    INSTANCE_STORE = "instance:store"
    STUDY_QUERY = "study:query"
    STUDY_READ = "study:read"
    STUDY_PULL = "study:pull"  # C-GET: to itself, over its own association
    STUDY_SEND = "study:send"  # C-MOVE: to a registered destination
    STUDY_EXPORT = "study:export"
    STUDY_DELETE = "study:delete"
    DEVICE_MANAGE = "device:manage"
    ZONE_MANAGE = "zone:manage"
    ACCOUNT_MANAGE = "account:manage"
    TOKEN_MANAGE = "token:manage"  # noqa: S105 - a name
    ORGANIZATION_MANAGE = "organization:manage"
    AUDIT_READ = "audit:read"
    ARCHIVE_VERIFY = "archive:verify"
    ARCHIVE_REBUILD = "archive:rebuild"
    QUARANTINE_MANAGE = "quarantine:manage"
    SYSTEM_STATUS = "system:status"
    METRICS_READ = "metrics:read"


EVERYTHING: Final = frozenset(Permission)


class Service(StrEnum):
    """What a DICOM device may ask for; C-ECHO is open to every registered device."""

    STORE = "store"
    FIND = "find"
    MOVE = "move"
    GET = "get"


class Scope(StrEnum):
    """What an API token may be used for."""

    DICOMWEB_READ = "dicomweb:read"
    DICOMWEB_WRITE = "dicomweb:write"
    DICOMWEB_DELETE = "dicomweb:delete"
    API_ACCOUNTS = "api:users"
    API_DEVICES = "api:devices"
    API_ZONES = "api:zones"
    API_TOKENS = "api:tokens"
    API_AUDIT = "api:audit"
    API_STATUS = "api:status"
    API_QUARANTINE = "api:quarantine"
    METRICS_READ = "metrics:read"


_SERVICE: Final[Mapping[Service, frozenset[Permission]]] = MappingProxyType(
    {
        Service.STORE: frozenset({Permission.INSTANCE_STORE}),
        Service.FIND: frozenset({Permission.STUDY_QUERY}),
        Service.MOVE: frozenset(
            {Permission.STUDY_QUERY, Permission.STUDY_READ, Permission.STUDY_SEND}
        ),
        Service.GET: frozenset(
            {Permission.STUDY_QUERY, Permission.STUDY_READ, Permission.STUDY_PULL}
        ),
    }
)

_SCOPE: Final[Mapping[Scope, frozenset[Permission]]] = MappingProxyType(
    {
        Scope.DICOMWEB_READ: frozenset({Permission.STUDY_QUERY, Permission.STUDY_READ}),
        Scope.DICOMWEB_WRITE: frozenset({Permission.INSTANCE_STORE}),
        Scope.DICOMWEB_DELETE: frozenset({Permission.STUDY_DELETE}),
        Scope.API_ACCOUNTS: frozenset({Permission.ACCOUNT_MANAGE}),
        Scope.API_DEVICES: frozenset({Permission.DEVICE_MANAGE}),
        Scope.API_ZONES: frozenset({Permission.ZONE_MANAGE}),
        Scope.API_TOKENS: frozenset({Permission.TOKEN_MANAGE}),
        Scope.API_AUDIT: frozenset({Permission.AUDIT_READ}),
        Scope.API_STATUS: frozenset({Permission.SYSTEM_STATUS}),
        Scope.API_QUARANTINE: frozenset({Permission.QUARANTINE_MANAGE}),
        Scope.METRICS_READ: frozenset({Permission.METRICS_READ}),
    }
)


def permissions_of_services(services: Iterable[Service]) -> frozenset[Permission]:
    """Return what a device with ``services`` may do."""
    return frozenset().union(*(_SERVICE[service] for service in services))


def permissions_of_scopes(scopes: Iterable[Scope]) -> frozenset[Permission]:
    """Return what a token with ``scopes`` may do."""
    return frozenset().union(*(_SCOPE[scope] for scope in scopes))


def parse_services(words: Iterable[str]) -> frozenset[Service]:
    """Return the services named by ``words``.

    Raises:
        InvalidRequestError: an unknown word.
    """
    try:
        return frozenset(Service(word) for word in words)
    except ValueError:
        raise InvalidRequestError(f"services are: {', '.join(Service)}") from None


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes named by ``words``.

    Raises:
        InvalidRequestError: an unknown word.
    """
    try:
        return frozenset(Scope(word) for word in words)
    except ValueError:
        raise InvalidRequestError(f"scopes are: {', '.join(Scope)}") from None
