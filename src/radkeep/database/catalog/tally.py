# SPDX-License-Identifier: Apache-2.0
"""The counts that searches and the status page show, kept so that nobody ever has to count.

Invariant: at each commit a count equals the number of rows that it counts; what is deleted does
not count, and a series or study counts while something in it does.
"""

from collections import defaultdict
from collections.abc import Mapping

from radkeep.database.catalog.entities import update_modalities
from radkeep.database.catalog.known import KnownEntity, KnownStudy
from radkeep.database.engine import Connection


class Tally:
    """What one transaction adds, so that each row is updated once for the whole group."""

    def __init__(self) -> None:
        self._series: defaultdict[int, int] = defaultdict(int)  # instances by series
        self._studies: defaultdict[int, int] = defaultdict(int)  # instances by study
        self._study_of: dict[int, int] = {}  # by series
        self._organization_of: dict[int, int] = {}  # by study
        self._organizations: dict[int, defaultdict[str, int]] = {}
        self._received: dict[int, str] = {}  # the latest, by organization

    def instance(
        self, study: KnownStudy, series: KnownEntity, data_set_length: int, received: str
    ) -> None:
        """Count a new instance of ``series``."""
        self._series[series.id] += 1
        self._studies[study.id] += 1
        self._study_of[series.id] = study.id
        self._organization_of[study.id] = study.organization
        counts = self._of(study.organization)
        counts["instances"] += 1
        counts["bytes"] += data_set_length
        self.seen(study.organization, received)

    def seen(self, organization: int, received: str) -> None:
        """Note that something was received, new or not."""
        self._received[organization] = max(self._received.get(organization, ""), received)

    def write(self, connection: Connection) -> None:
        """Add everything to the rows."""
        shown = self._write_series(connection)
        for study, added in self._studies.items():
            row = connection.execute(
                "UPDATE study SET instances = instances + ?, series = series + ?"
                " WHERE id = ? RETURNING instances",
                (added, shown[study], study),
            ).fetchone()
            if row is not None and row[0] == added:
                self._of(self._organization_of[study])["studies"] += 1
                connection.execute("UPDATE study SET hidden = 0 WHERE id = ? AND hidden", (study,))
            if shown[study]:
                update_modalities(connection, study)
        for organization, received in self._received.items():
            counts = self._of(organization)
            connection.execute(
                "UPDATE organization SET studies = studies + ?, series = series + ?,"
                " instances = instances + ?, bytes = bytes + ?, received = max(received, ?)"
                " WHERE id = ?",
                (
                    counts["studies"],
                    counts["series"],
                    counts["instances"],
                    counts["bytes"],
                    received,
                    organization,
                ),
            )

    def _write_series(self, connection: Connection) -> Mapping[int, int]:
        """Return how many series show up in each study: new ones, and ones that were empty."""
        shown: defaultdict[int, int] = defaultdict(int)
        for series, added in self._series.items():
            row = connection.execute(
                "UPDATE series SET instances = instances + ? WHERE id = ? RETURNING instances",
                (added, series),
            ).fetchone()
            if row is not None and row[0] == added:
                study = self._study_of[series]
                shown[study] += 1
                self._of(self._organization_of[study])["series"] += 1
        return shown

    def _of(self, organization: int) -> defaultdict[str, int]:
        return self._organizations.setdefault(organization, defaultdict(int))
