# SPDX-License-Identifier: Apache-2.0
"""What records look like in JSON: a stable form, apart from how the registry keeps them.

Invariant: no secret and no digest of one appears, except where a secret is shown once to whoever
just made it.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.echo import Echo
from radkeep.identity.enrolment import Enrolled, Link
from radkeep.identity.records import Account, Certificate, Device, Knock, Organization, Token, Zone

Json = dict[str, Any]


def answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return ``value`` as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def done() -> Response:
    """Return the answer of a deed that has none."""
    return Response(None, HTTPStatus.NO_CONTENT)


def actor_json(actor: Actor) -> Json:
    """Return who somebody is and what they may do."""
    return {
        "kind": actor.kind,
        "id": actor.id,
        "name": actor.name,
        "organization": actor.organization,
        "permissions": sorted(actor.permissions),
        "demo": actor.demo,
    }


def account_json(account: Account) -> Json:
    """Return a person."""
    return {
        "id": account.id,
        "organization": account.organization,
        "email": account.email,
        "name": account.name,
        "roles": sorted(account.roles),
        "created": account.created,
        "disabled": account.disabled,
        "enrolled": account.enrolled,
    }


def link_json(link: Link, origin: str) -> Json:
    """Return an enrolment link; ``url`` is where its person opens it."""
    return {
        "email": link.email,
        "url": f"{origin}/enrol?token={quote(link.token, safe='')}",
        "token": link.token,
        "expires": link.expires,
    }


def enrolled_json(enrolled: Enrolled) -> Json:
    """Return what a person keeps; shown this once."""
    return {
        "email": enrolled.account.email,
        "totp_uri": enrolled.totp_uri,
        "recovery_codes": list(enrolled.recovery_codes),
    }


def device_json(device: Device) -> Json:
    """Return a DICOM device."""
    return {
        "ae_title": device.ae_title,
        "organization": device.organization,
        "from": _texts(device.addresses),
        "allow": sorted(device.services),
        "host": device.host,
        "port": device.port,
        "tls": device.tls,
        "created": device.created,
    }


def certificate_json(certificate: Certificate) -> Json:
    """Return a device's certificate."""
    return {
        "ae_title": certificate.ae_title,
        "fingerprint": certificate.fingerprint,
        "serial": f"{certificate.serial:x}",
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "imported": certificate.imported,
        "begins": certificate.begins,
        "expires": certificate.expires,
        "revoked": certificate.revoked,
    }


def echo_json(echo: Echo) -> Json:
    """Return what an echo test showed."""
    return {
        "ae_title": echo.device.ae_title,
        "host": echo.device.host,
        "port": echo.device.port,
        "answered": echo.answered,
        "reason": echo.reason,
    }


def knock_json(knock: Knock) -> Json:
    """Return a peer that was refused."""
    return {
        "ae_title": knock.calling,
        "called": knock.called,
        "address": knock.address,
        "reason": knock.reason,
        "first": knock.first,
        "last": knock.last,
        "count": knock.count,
    }


def zone_json(zone: Zone) -> Json:
    """Return a part of the network."""
    return {
        "name": zone.name,
        "organization": zone.organization,
        "networks": _texts(zone.networks),
        "plaintext": zone.plaintext,
        "reason": zone.reason,
        "review": zone.review,
        "created": zone.created,
    }


def token_json(token: Token) -> Json:
    """Return what is known of a token; never the token."""
    return {
        "id": token.id,
        "name": token.name,
        "organization": token.organization,
        "scopes": sorted(token.scopes),
        "created": token.created,
        "created_by": token.created_by,
        "expires": token.expires,
        "used": token.used,
        "revoked": token.revoked,
    }


def organization_json(organization: Organization) -> Json:
    """Return a clinic."""
    return {"id": organization.id, "name": organization.name, "created": organization.created}


def _texts(values: Iterable[object]) -> list[str]:
    return [str(value) for value in values]
