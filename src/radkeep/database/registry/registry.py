# SPDX-License-Identifier: Apache-2.0
"""The registry: all its aggregates over one encrypted file.

Invariant: the file is at the schema of this version and commits with ``synchronous=FULL``, since
nothing can derive it again.
"""

from pathlib import Path

from radkeep.database.engine import Database
from radkeep.database.migrate import migrate, steps_of
from radkeep.database.registry.accounts import SqlAccounts
from radkeep.database.registry.certificates import SqlCertificates
from radkeep.database.registry.credentials import SqlCredentials
from radkeep.database.registry.deletions import SqlDeletions
from radkeep.database.registry.devices import SqlDevices
from radkeep.database.registry.enrolments import SqlEnrolments
from radkeep.database.registry.knocks import SqlKnocks
from radkeep.database.registry.organizations import SqlOrganizations
from radkeep.database.registry.sessions import SqlSessions
from radkeep.database.registry.settings import SqlDemoLinks, SqlSettings
from radkeep.database.registry.sign_ins import SqlSignIns
from radkeep.database.registry.tokens import SqlTokens
from radkeep.database.registry.zones import SqlZones


class SqlRegistry:
    """Satisfies ``identity.ports.Registry``. Thread-safe; several processes may have one open."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Open the registry at ``path`` and bring it to this version's schema.

        Raises:
            IntegrityError: ``key`` is not its key, or the file is damaged.
            ConfigError: it was made by a newer version.
        """
        self._database = Database(path, key, synchronous="FULL")
        migrate(self._database, steps_of("registry"))
        self.organizations = SqlOrganizations(self._database)
        self.accounts = SqlAccounts(self._database)
        self.credentials = SqlCredentials(self._database)
        self.enrolments = SqlEnrolments(self._database)
        self.sign_ins = SqlSignIns(self._database)
        self.sessions = SqlSessions(self._database)
        self.tokens = SqlTokens(self._database)
        self.devices = SqlDevices(self._database)
        self.certificates = SqlCertificates(self._database)
        self.zones = SqlZones(self._database)
        self.knocks = SqlKnocks(self._database)
        self.settings = SqlSettings(self._database)
        self.deletions = SqlDeletions(self._database)
        self.demo_links = SqlDemoLinks(self._database)

    @property
    def database(self) -> Database:
        """Return the file, for backup and verification."""
        return self._database

    def close(self) -> None:
        """Close the file."""
        self._database.close()
