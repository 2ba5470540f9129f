# SPDX-License-Identifier: Apache-2.0
"""Errors that we raise on purpose: what went wrong, never how a protocol says it.

Invariant: a message holds no patient data and no path, so any peer may read it. Edges translate:
``dicom.status`` for DIMSE and STOW, ``web.kit.problems`` for HTTP, ``cli`` for exit codes.
"""

from enum import Enum, auto
from typing import ClassVar


class Kind(Enum):
    """The few ways in which a request can go wrong."""

    INVALID = auto()
    UNSUPPORTED = auto()
    UNAUTHENTICATED = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    CONFLICT = auto()
    TOO_LARGE = auto()
    THROTTLED = auto()
    NO_ROOM = auto()
    INTEGRITY = auto()
    UNAVAILABLE = auto()


class RadkeepError(Exception):
    """Base of every deliberate error. Subclasses fix ``kind`` and a unique, stable ``code``."""

    kind: ClassVar[Kind]
    code: ClassVar[str]


class InvalidUidError(RadkeepError):
    """A UID breaks PS3.5 Section 9.1."""

    kind, code = Kind.INVALID, "invalid-uid"


class InvalidRequestError(RadkeepError):
    """A request does not have the form its standard gives it."""

    kind, code = Kind.INVALID, "invalid-request"


class UndecodableError(RadkeepError):
    """Bytes that claim to be a DICOM data set are not one, or go beyond a limit of the reader."""

    kind, code = Kind.INVALID, "undecodable-data-set"


class UidMismatchError(RadkeepError):
    """A request names other UIDs than the data set it carries."""

    kind, code = Kind.INVALID, "uid-mismatch"


class UnsupportedError(RadkeepError):
    """A well-formed request asks for something this server does not do."""

    kind, code = Kind.UNSUPPORTED, "unsupported"


class DamagedPixelsError(RadkeepError):
    """Pixel data, or a document, is not what its attributes and its syntax say."""

    kind, code = Kind.UNSUPPORTED, "damaged-pixels"


class NotDecodableError(UnsupportedError):
    """Nothing here decodes this transfer syntax or kind of image, or it is none."""

    code = "not-decodable"


class UnauthenticatedError(RadkeepError):
    """Nobody has proved who is asking."""

    kind, code = Kind.UNAUTHENTICATED, "sign-in-required"


class ForbiddenError(RadkeepError):
    """The actor may not do this."""

    kind, code = Kind.FORBIDDEN, "not-permitted"


class NotFoundError(RadkeepError):
    """The object does not exist, or the actor may not know that it does."""

    kind, code = Kind.NOT_FOUND, "not-found"


class InstanceConflictError(RadkeepError):
    """Other content is already stored under this SOP Instance UID; the new one is in quarantine."""

    kind, code = Kind.CONFLICT, "instance-conflict"


class InstanceDeletedError(RadkeepError):
    """The instance was deleted; undoing that brings it back, sending it again does not."""

    kind, code = Kind.CONFLICT, "instance-deleted"


class AlreadyExistsError(RadkeepError):
    """Something with this name exists."""

    kind, code = Kind.CONFLICT, "already-exists"


class TooLargeError(RadkeepError):
    """A request or object is over its limit."""

    kind, code = Kind.TOO_LARGE, "too-large"


class ThrottledError(RadkeepError):
    """Too many requests; a later one will be served."""

    kind, code = Kind.THROTTLED, "slow-down"


class ArchiveFullError(RadkeepError):
    """The archive has no room for the object."""

    kind, code = Kind.NO_ROOM, "archive-full"


class IntegrityError(RadkeepError):
    """Stored bytes are not what was written: damaged, truncated or forged."""

    kind, code = Kind.INTEGRITY, "integrity-failure"


class UnavailableError(RadkeepError):
    """A part of the server cannot answer now."""

    kind, code = Kind.UNAVAILABLE, "unavailable"


class LockedError(RadkeepError):
    """The keys are not unlocked."""

    kind, code = Kind.UNAVAILABLE, "keys-locked"


class WrongPassphraseError(RadkeepError):
    """The passphrase or root secret does not open this data directory."""

    kind, code = Kind.UNAUTHENTICATED, "wrong-passphrase"


class ConfigError(RadkeepError):
    """The configuration or the data directory is unsafe or wrong; nothing starts."""

    kind, code = Kind.INVALID, "bad-configuration"


class AuditUnavailableError(RadkeepError):
    """The deed cannot be audited, so it is not done."""

    kind, code = Kind.UNAVAILABLE, "audit-unavailable"
