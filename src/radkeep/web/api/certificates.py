# SPDX-License-Identifier: Apache-2.0
"""Certificates of devices and of the server, and the list of revoked ones.

Invariant: a device's private key is never asked for and never sent; the list is public, as all
must be able to check it.
"""

from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.domain.errors import InvalidRequestError
from radkeep.identity.certificates import Certificates
from radkeep.identity.permissions import Permission
from radkeep.web.api.answers import answer, certificate_json
from radkeep.web.api.ports import ServerCertificates
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Contract, GuardedRoute, Surface

LIST: Final = "/pki/ca.crl"
_LIST_TYPE: Final = "application/pkix-crl"  # RFC 2585 Section 4.2
_CREATED: Final = HTTPStatus.CREATED
_MAX_BODY: Final = 262_144  # bytes: a chain and a key


class NewCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate to issue for a public key, or one to import; exactly one of them, PEM."""

    public_key: str = ""
    certificate: str = ""


class NewPair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate chain and its key, PEM."""

    certificate: str
    key: str


def device_certificate_routes(
    surface: Surface, path: str, *, certificates: Certificates
) -> list[GuardedRoute]:
    """Return the routes of devices' certificates."""

    def show(request: Incoming, actor: Actor) -> Response:
        return answer([certificate_json(c) for c in certificates.of(actor, _device(request))])

    def add(request: Incoming, actor: Actor) -> Response:
        new = request.decoded(NewCertificate)
        if bool(new.public_key) == bool(new.certificate):
            raise InvalidRequestError("send a public_key to certify, or a certificate to import")
        authority = certificates.authority().decode()
        if new.certificate:
            made = certificates.import_(actor, _device(request), new.certificate.encode())
            return answer({**certificate_json(made), "ca": authority}, _CREATED)
        made, pem = certificates.issue(actor, _device(request), new.public_key.encode())
        issued = {"certificate": pem.decode(), "ca": authority}
        return answer({**certificate_json(made), **issued}, _CREATED)

    def revoke(request: Incoming, actor: Actor) -> Response:
        query = dict(request.query)
        fingerprint = query.pop("fingerprint", "")
        if query:
            raise InvalidRequestError("the only parameter is fingerprint")
        revoked = certificates.revoke(actor, _device(request), fingerprint)
        return answer([certificate_json(each) for each in revoked])

    needs = Permission.DEVICE_MANAGE
    path = f"{path}/{{name:path}}/certificates"
    return [
        surface.route(
            path,
            show,
            needs=needs,
            contract=Contract("List a device's certificates", many=True),
        ),
        surface.route(
            path,
            add,
            methods=["POST"],
            needs=needs,
            max_body=_MAX_BODY,
            contract=Contract(
                "Issue or import a certificate", takes=NewCertificate, gives=_CREATED
            ),
        ),
        surface.route(
            path,
            revoke,
            methods=["DELETE"],
            needs=needs,
            contract=Contract(
                "Revoke a device's certificates, or one", query={"fingerprint": str}, many=True
            ),
        ),
    ]


def server_certificate_routes(
    surface: Surface, path: str, *, certificates: ServerCertificates
) -> list[GuardedRoute]:
    """Return the routes of the server's own certificates."""

    def show(_request: Incoming, actor: Actor) -> Response:
        return answer(list(certificates.status(actor)))

    def replace(request: Incoming, actor: Actor) -> Response:
        new = request.decoded(NewPair)
        shown = certificates.replace_web(actor, new.certificate.encode(), new.key.encode())
        return answer(list(shown))

    def restore(_request: Incoming, actor: Actor) -> Response:
        return answer(list(certificates.restore_web(actor)))

    needs = Permission.SYSTEM_STATUS
    web = f"{path}/web"
    return [
        surface.route(
            path,
            show,
            needs=needs,
            contract=Contract("List the certificates that the server shows", many=True),
        ),
        surface.route(
            web,
            replace,
            methods=["PUT"],
            needs=needs,
            max_body=_MAX_BODY,
            contract=Contract("Show another web certificate", takes=NewPair, many=True),
        ),
        surface.route(
            web,
            restore,
            methods=["DELETE"],
            needs=needs,
            contract=Contract("Show the server's own web certificate again", many=True),
        ),
    ]


def revocation_routes(surface: Surface, *, certificates: Certificates) -> list[GuardedRoute]:
    """Return the route of the list of revoked certificates."""

    def show(_request: Incoming) -> Response:
        return Response(certificates.revocation_list(), media_type=_LIST_TYPE)

    why = "who checks a certificate needs the list; it names serial numbers alone, and is signed"
    return [surface.open_route(LIST, show, why=why)]


def _device(request: Incoming) -> str:
    name: str = request.path_params["name"]
    return name
