# SPDX-License-Identifier: Apache-2.0
"""``radkeep user`` and ``organization``: people and clinics.

Invariant: no command sets somebody else's password; ``enrol`` needs the person's one-time token.
"""

from pathlib import Path

import click

from radkeep.cli.client import quote
from radkeep.cli.options import Context, common
from radkeep.domain.errors import InvalidRequestError


@click.group()
def user() -> None:
    """People."""


@user.command("list")
@common
def list_users(context: Context) -> None:
    """List the people of the clinic."""
    with context.api() as api:
        people = api.call("GET", "/users")
    context.show(people, columns=("email", "name", "roles", "enrolled", "disabled"))


@user.command()
@click.argument("email")
@click.option("--role", "roles", multiple=True, required=True, help="Repeat for several.")
@click.option("--name", default="", help="The person's name.")
@common
def invite(context: Context, *, email: str, roles: tuple[str, ...], name: str) -> None:
    """Make an account and print its one-time enrolment link."""
    body = {"email": email, "roles": list(roles), "name": name}
    with context.api() as api:
        told = api.call("POST", "/users", body)
    context.show(told if context.as_json else told["enrolment"]["url"])


@user.command("enrol-link")
@click.argument("email")
@common
def enrol_link(context: Context, *, email: str) -> None:
    """Print another enrolment link for a person who has not enrolled yet."""
    with context.api() as api:
        link = api.call("POST", f"/users/{quote(email)}/enrolment")
    context.show(link if context.as_json else link["url"])


@user.command()
@click.argument("email")
@common
def recover(context: Context, *, email: str) -> None:
    """Take away a person's password and factor, end their sessions, print a new link.

    Works at the host itself only, and stands in the audit log.
    """
    with context.api() as api:
        link = api.call("POST", f"/users/{quote(email)}/recovery")
    context.show(link if context.as_json else link["url"])


@user.command()
@click.option("--token", required=True, help="Of the enrolment link.")
@click.option(
    "--password-file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@common
def enrol(context: Context, *, token: str, password_file: Path) -> None:
    """Do what the enrolment page does, for scripts: print TOTP address and recovery codes."""
    try:
        password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError("the password file cannot be read") from error
    with context.api() as api:
        told = api.call("POST", "/enrolment/at-host", {"token": token, "password": password})
    context.show(told)


@user.command()
@click.argument("email")
@common
def disable(context: Context, *, email: str) -> None:
    """Let a person do nothing any more; their sessions end at once."""
    with context.api() as api:
        api.call("POST", f"/users/{quote(email)}/disable")
    context.show({"email": email, "disabled": True})


@user.command()
@click.argument("email")
@common
def enable(context: Context, *, email: str) -> None:
    """Undo ``disable``."""
    with context.api() as api:
        api.call("POST", f"/users/{quote(email)}/enable")
    context.show({"email": email, "disabled": False})


@user.command("roles")
@click.argument("email")
@click.argument("roles", nargs=-1, required=True)
@common
def set_roles(context: Context, *, email: str, roles: tuple[str, ...]) -> None:
    """Replace a person's roles."""
    with context.api() as api:
        api.call("PUT", f"/users/{quote(email)}/roles", {"roles": list(roles)})
    context.show({"email": email, "roles": list(roles)})


@click.group()
def organization() -> None:
    """Clinics that share this installation."""


@organization.command("list")
@common
def list_organizations(context: Context) -> None:
    """List them."""
    with context.api() as api:
        found = api.call("GET", "/organizations")
    context.show(found, columns=("id", "name", "created"))


COMMANDS = (user, organization)
