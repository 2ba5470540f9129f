# SPDX-License-Identifier: Apache-2.0
"""Composition of the web application over a house; for the web process and for lone commands.

Invariant: both answer with the same routes, so a command means the same with and without a server;
only the viewer's files, which no command asks for, are left out of the latter.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from radkeep.app.authority import Office, RemoteOffice, TlsPair
from radkeep.app.house import House
from radkeep.app.server_certificates import ServerCertificates
from radkeep.app.trail import ReadPage, Trail
from radkeep.domain.actor import Actor
from radkeep.identity.deeds import Deeds
from radkeep.web.api.certificates import revocation_routes
from radkeep.web.api.routes import ApiParts, api_routes
from radkeep.web.application import application, health_routes
from radkeep.web.dicomweb.routes import dicomweb_routes
from radkeep.web.kit.authentication import Authentication
from radkeep.web.kit.refusals import Refusals
from radkeep.web.kit.routes import Kit, Surface
from radkeep.web.kit.threads import Threads
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.routes import PortalParts, page_surface, portal_routes
from radkeep.web.viewer.routes import viewer_routes
from radkeep.web.viewer.serving import Viewer


def web_application(
    house: House,
    read_audit: ReadPage,
    *,
    threads: Threads,
    origin: str,
    ready: Callable[[], bool],
    viewer: Viewer,
    office: Office | RemoteOffice,
    show: Callable[[TlsPair], None] = lambda _: None,
) -> ASGIApp:
    """Return all HTTP doors over ``house``.

    Args:
        house: the use cases.
        read_audit: reads pages of the audit log.
        threads: runs what blocks.
        origin: where people open pages: "https://HOST:PORT".
        ready: tells /readyz whether deeds can be done and audited now.
        viewer: the files below /viewer/.
        office: issues certificates.
        show: makes the web door show another certificate.
    """
    people, hostname = house.people, urlsplit(origin).hostname or ""
    kit = Kit(
        authentication=Authentication(
            sessions=people.sessions, tokens=people.tokens, organizations=people.organizations
        ),
        threads=threads,
        refusals=Refusals(audit=house.audit, clock=house.clock),
    )
    frames = Frames(demo=people.demo.is_demo())
    pages = page_surface(kit, frames)
    api = ApiParts(
        login=people.login,
        sessions=people.sessions,
        accounts=people.accounts,
        enrolment=people.enrolment,
        recovery=people.recovery,
        organizations=people.organizations,
        tokens=people.tokens,
        devices=people.devices,
        certificates=people.certificates,
        server_certificates=ServerCertificates(
            office,
            show,
            deeds=Deeds(policy=people.policy, audit=house.audit, clock=house.clock),
            clock=house.clock,
            hostname=hostname,
        ),
        echo=people.echo,
        knocks=people.knocks,
        zones=people.zones,
        demo=people.demo,
        deletions=house.deletions,
        status=_status(house),
        trail=Trail(read_audit, policy=people.policy, audit=house.audit, clock=house.clock),
        public_origin=origin,
    )
    portal = PortalParts(
        login=people.login,
        sessions=people.sessions,
        enrolment=people.enrolment,
        demo=people.demo,
        search=house.search,
        fetch=house.fetch,
    )
    data = Surface(kit=kit)
    return application(
        [
            *dicomweb_routes(
                data,
                store=house.store,
                search=house.search,
                fetch=house.fetch,
                deletions=house.deletions,
            ),
            *viewer_routes(pages, viewer),
            *portal_routes(kit, portal, frames),
            *api_routes(kit, api),
            *revocation_routes(data, certificates=people.certificates),
            *health_routes(data, ready=ready),
        ],
        not_found=pages,
    )


def _status(house: House) -> Callable[[Actor], Mapping[str, object]]:
    def status(actor: Actor) -> Mapping[str, object]:
        return {
            "version": version("radkeep"),
            "archive": asdict(house.catalog.statistics(actor.organization)),
        }

    return status
