# SPDX-License-Identifier: Apache-2.0
"""The counts that searches and the status page show, kept so that nobody ever has to count.

Invariant: at each commit a count equals the number of rows that it counts.
"""

from collections import defaultdict
from collections.abc import Mapping

from radkeep.database.catalog.known import KnownEntity, KnownStudy
from radkeep.database.engine import Connection


class Tally:
    """What one transaction adds, so that each row is updated once for the whole group."""

    def __init__(self) -> None:
        self._series: defaultdict[int, int] = defaultdict(int)  # instances by series
        self._studies: defaultdict[int, int] = defaultdict(int)  # instances by study
        self._new_series: defaultdict[int, int] = defaultdict(int)  # by study
        self._organizations: dict[int, defaultdict[str, int]] = {}
        self._received: dict[int, str] = {}  # the latest, by organization

    def study(self, organization: int) -> None:
        """Count a new study."""
        self._of(organization)["studies"] += 1

    def series(self, organization: int, study: int) -> None:
        """Count a new series of ``study``."""
        self._new_series[study] += 1
        self._of(organization)["series"] += 1

    def instance(
        self, study: KnownStudy, series: KnownEntity, data_set_length: int, received: str
    ) -> None:
        """Count a new instance of ``series``."""
        self._series[series.id] += 1
        self._studies[study.id] += 1
        counts = self._of(study.organization)
        counts["instances"] += 1
        counts["bytes"] += data_set_length
        self.seen(study.organization, received)

    def seen(self, organization: int, received: str) -> None:
        """Note that something was received, new or not."""
        self._received[organization] = max(self._received.get(organization, ""), received)

    def write(self, connection: Connection) -> None:
        """Add everything to the rows."""
        for statement, added in (
            ("UPDATE series SET instances = instances + ? WHERE id = ?", self._series),
            ("UPDATE study SET instances = instances + ? WHERE id = ?", self._studies),
            ("UPDATE study SET series = series + ? WHERE id = ?", self._new_series),
        ):
            if added:  # a statement for no rows still costs a turn of the interpreter's lock
                connection.executemany(statement, _pairs(added))
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

    def _of(self, organization: int) -> defaultdict[str, int]:
        return self._organizations.setdefault(organization, defaultdict(int))


def _pairs(counts: Mapping[int, int]) -> list[tuple[int, int]]:
    return [(count, row) for row, count in counts.items()]
