# SPDX-License-Identifier: Apache-2.0
"""/api/v1/devices and /api/v1/zones.

Invariant: every rule about them is in ``identity``; this door parses, calls and shows.
"""

from datetime import date
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from radkeep.domain.actor import Actor
from radkeep.identity.devices import Devices
from radkeep.identity.echo import EchoTest
from radkeep.identity.knocks import Knocks
from radkeep.identity.permissions import Permission
from radkeep.identity.zones import Zones
from radkeep.web.api.answers import answer, device_json, done, echo_json, knock_json, zone_json
from radkeep.web.kit.requests import Incoming
from radkeep.web.kit.routes import Contract, GuardedRoute, Surface


class NewDevice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"addresses": "from"}
):
    """A DICOM device to register."""

    ae_title: str
    host: str = ""
    port: int = 0
    addresses: tuple[str, ...] = ()
    allow: tuple[str, ...] = ("store",)
    tls: bool = False


class NewZone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the network to name."""

    name: str
    networks: list[str]
    plaintext: bool = False
    reason: str = ""
    review: date | None = None


def device_routes(
    surface: Surface, path: str, *, devices: Devices, knocks: Knocks, test: EchoTest
) -> list[GuardedRoute]:
    """Return the routes of devices."""

    def show(_request: Incoming, actor: Actor) -> Response:
        return answer([device_json(each) for each in devices.list(actor)])

    def pending(_request: Incoming, actor: Actor) -> Response:
        return answer([knock_json(each) for each in knocks.pending(actor)])

    def add(request: Incoming, actor: Actor) -> Response:
        new = request.decoded(NewDevice)
        made = devices.add(
            actor,
            new.ae_title,
            host=new.host,
            port=new.port,
            addresses=new.addresses,
            services=new.allow,
            tls=new.tls,
        )
        return answer(device_json(made), HTTPStatus.CREATED)

    def remove(request: Incoming, actor: Actor) -> Response:
        devices.remove(actor, request.path_params["name"])
        return done()

    def echo(request: Incoming, actor: Actor) -> Response:
        return answer(echo_json(test.run(actor, request.path_params["name"])))

    needs = Permission.DEVICE_MANAGE
    return [
        surface.route(path, show, needs=needs, contract=Contract("List devices", many=True)),
        surface.route(
            path,
            add,
            methods=["POST"],
            needs=needs,
            contract=Contract("Register a device", takes=NewDevice, gives=HTTPStatus.CREATED),
        ),
        surface.route(
            f"{path}/pending",
            pending,
            needs=needs,
            contract=Contract("List peers that were refused", many=True),
        ),
        surface.route(
            f"{path}/{{name:path}}/echo",
            echo,
            methods=["POST"],
            needs=needs,
            contract=Contract("Ask a device whether it answers"),
        ),
        surface.route(
            f"{path}/{{name:path}}",
            remove,
            methods=["DELETE"],
            needs=needs,
            contract=Contract("Forget a device", gives=HTTPStatus.NO_CONTENT),
        ),
    ]


def zone_routes(surface: Surface, path: str, *, zones: Zones) -> list[GuardedRoute]:
    """Return the routes of zones."""

    def show(_request: Incoming, actor: Actor) -> Response:
        return answer([zone_json(each) for each in zones.list(actor)])

    def add(request: Incoming, actor: Actor) -> Response:
        new = request.decoded(NewZone)
        made = zones.add(
            actor,
            new.name,
            new.networks,
            plaintext=new.plaintext,
            reason=new.reason,
            review=new.review,
        )
        return answer(zone_json(made), HTTPStatus.CREATED)

    def remove(request: Incoming, actor: Actor) -> Response:
        zones.remove(actor, request.path_params["name"])
        return done()

    needs = Permission.ZONE_MANAGE
    return [
        surface.route(path, show, needs=needs, contract=Contract("List zones", many=True)),
        surface.route(
            path,
            add,
            methods=["POST"],
            needs=needs,
            contract=Contract(
                "Name a part of the network", takes=NewZone, gives=HTTPStatus.CREATED
            ),
        ),
        surface.route(
            f"{path}/{{name:path}}",
            remove,
            methods=["DELETE"],
            needs=needs,
            contract=Contract("Forget a zone", gives=HTTPStatus.NO_CONTENT),
        ),
    ]
