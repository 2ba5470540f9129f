# SPDX-License-Identifier: Apache-2.0
"""How an installation begins: its nature, its first organization, its first person.

Invariant: whether it is a demo is decided here and can never change; no password exists afterwards,
only a one-time link.
"""

from dataclasses import dataclass
from typing import Final

from radkeep.domain.actor import Actor
from radkeep.domain.errors import AlreadyExistsError
from radkeep.identity import actors, ports
from radkeep.identity.accounts import Accounts
from radkeep.identity.deeds import Deeds
from radkeep.identity.enrolment import Enrolment, Link
from radkeep.identity.organizations import Organizations
from radkeep.identity.records import Account, Organization
from radkeep.identity.roles import FOUNDER, Role

PROFILE: Final = "profile"  # setting: "demo" or "production"
DEMO: Final = "demo"
PRODUCTION: Final = "production"
# RFC 2606 reserves .invalid: no mail to these people can reach anybody.
DEMO_PEOPLE: Final[tuple[tuple[str, str, frozenset[Role]], ...]] = (
    ("administrator@demo.invalid", "Ada Admin", FOUNDER),
    ("radiologist@demo.invalid", "Rosa Radiologist", frozenset({Role.RADIOLOGIST})),
    ("technologist@demo.invalid", "Theo Technologist", frozenset({Role.TECHNOLOGIST})),
    ("referrer@demo.invalid", "Rafa Referrer", frozenset({Role.REFERRING_PHYSICIAN})),
    ("secretary@demo.invalid", "Sam Secretary", frozenset({Role.SECRETARY})),
    ("security@demo.invalid", "Sol Security", frozenset({Role.SECURITY_OFFICER})),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """A new installation."""

    organization: Organization
    administrator: Account | None
    enrolment: Link | None


class Founding:
    """Makes the content of a new registry."""

    def __init__(
        self,
        *,
        settings: ports.SettingStore,
        organizations: Organizations,
        accounts: Accounts,
        enrolment: Enrolment,
        deeds: Deeds,
    ) -> None:
        self._settings = settings
        self._organizations = organizations
        self._accounts = accounts
        self._enrolment = enrolment
        self._deeds = deeds

    def found(
        self, actor: Actor, organization: str, *, administrator: str = "", demo: bool = False
    ) -> Founded:
        """Make the first organization, and its administrator or, in a demo, the demo's people.

        Args:
            actor: the host's operator, serving all organizations.
            organization: its name.
            administrator: an e-mail address; "" leaves the first account for later.
            demo: for good; a demo has no administrator besides its own people.

        Raises:
            ForbiddenError: ``actor`` is not the host's operator.
            AlreadyExistsError: the registry has been founded.
            InvalidRequestError: not a name or e-mail address.
        """
        self._deeds.require_at_host(actor, "found")
        if self._settings.get(PROFILE) is not None:
            raise AlreadyExistsError("this installation has begun already")
        made = self._organizations.create(actor, organization)
        self._settings.fix(PROFILE, DEMO if demo else PRODUCTION)
        within = actors.local(int(actor.id.partition(":")[2]), organization=made.id)
        if demo:
            for email, name, roles in DEMO_PEOPLE:
                self._accounts.create(within, email, name=name, roles=roles, demo=True)
        if demo or not administrator:
            return Founded(organization=made, administrator=None, enrolment=None)
        account = self._accounts.create(within, administrator, roles=FOUNDER)
        link = self._enrolment.create_link(within, account.email)
        return Founded(organization=made, administrator=account, enrolment=link)
