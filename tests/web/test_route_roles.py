# SPDX-License-Identifier: Apache-2.0
"""Each route and each role: what the roles' table says, and nothing else."""

import base64
from typing import TYPE_CHECKING

import httpx2
import pytest

from radkeep.crypto import otp
from radkeep.identity import actors
from radkeep.identity.permissions import Permission
from radkeep.identity.roles import Role, permissions_of
from radkeep.web.kit.authentication import SESSION_COOKIE
from radkeep.web.kit.routes import Access, GuardedRoute

if TYPE_CHECKING:
    from tests.web.conftest import House, Web

PASSWORD = "tiger-lamp-orbit-94"
HERE = "127.0.0.1"
VALUES = {
    "{study}": "1.2",
    "{series}": "1.3",
    "{instance}": "1.4",
    "{frames}": "1",
    "{path:path}": "7FE00010",
    "{name:path}": "x",
    "{email}": "nobody@clinic.example",
    "{number}": "7",
}
AT_HOST = ("/api/v1/users/{email}/recovery",)  # needs the permission, and to be at the host
NEUTRAL = ("/api/v1/session",)  # DELETE ends the session that is asking


def sign_in(house: "House", role: Role) -> str:
    """Make, enrol and sign in a person with one role; return the session's secret."""
    email = f"{role}@clinic.example"
    operator = actors.local(0, organization=house.clinic.id)
    house.accounts.create(operator, email, roles=[role])
    link = house.enrolment.create_link(operator, email)
    secret = base64.b32decode(house.enrolment.offer(link.token).totp_secret)

    def code() -> str:
        return otp.code_at(secret, otp.step_at(house.clock.now()))

    house.enrolment.redeem(link.token, PASSWORD, code(), address=HERE)
    house.clock.pass_(seconds=60)
    signed_in = house.parts.login.sign_in(email, PASSWORD, code(), address=HERE, device_cookie="")
    return signed_in.session_token


def ask(web: "Web", route: GuardedRoute, method: str, secret: str) -> httpx2.Response:
    path = route.path
    for name, value in VALUES.items():
        path = path.replace(name, value)
    assert "{" not in path, "a route's parameter has no value here"
    headers = {"Cookie": f"{SESSION_COOKIE}={secret}"}
    return web.send(method, path, token="", headers=headers)


@pytest.mark.parametrize("role", Role)
def test_a_role_reaches_what_its_permissions_give(web: "Web", role: Role) -> None:
    secret, may = sign_in(web.house, role), permissions_of([role])
    reached = 0
    for route in web.house.routes():
        if route.path in NEUTRAL:
            continue
        for method in sorted(route.methods or ()):
            answer = ask(web, route, method, secret)
            assert answer.status_code not in {401, 405, 500}, (method, route.path)
            if route.path in AT_HOST:
                assert answer.status_code == 403
            elif isinstance(route.needs, Permission):
                assert (answer.status_code == 403) == (route.needs not in may), (method, route.path)
                reached += answer.status_code != 403
            else:
                assert route.needs in Access
    assert reached > 0


def test_every_permission_that_a_route_needs_is_somebodys(web: "Web") -> None:
    needed = {route.needs for route in web.house.routes() if isinstance(route.needs, Permission)}
    assert needed <= permissions_of(Role)
