# SPDX-License-Identifier: Apache-2.0
"""``serve``: from a locked data directory to doors that answer, and back.

Invariant: nothing listens before the root key is open and, beyond loopback, before an administrator
has enrolled.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final

from radkeep.app.audit_key import AUDIT_KEY_FILE, require_audit_key
from radkeep.app.boot import Ready
from radkeep.app.hardening import harden
from radkeep.app.layout import Layout, locked
from radkeep.app.logs import configure_logs
from radkeep.app.rebuilding import ensure_catalog
from radkeep.app.sandboxes import Sandboxes
from radkeep.app.supervisor import Supervisor
from radkeep.app.unlocked import Unlocked, provider
from radkeep.config import Config, check
from radkeep.database.registry.registry import SqlRegistry
from radkeep.domain.errors import ConfigError
from radkeep.identity.accounts import has_enrolled_administrator

LINE: Final = "READY "  # what ``serve`` prints on stdout before one JSON object


@contextmanager
def unlocking(
    layout: Layout, config: Config, ask: Callable[[], str], *, passphrase_file: str | None
) -> Iterator[Unlocked]:
    """Give the keys of ``layout`` while its lock is held.

    Raises:
        ConfigError: another process holds the lock, or others can enter the directory.
        IntegrityError: registry or audit log are missing, or the log's public key was replaced.
        WrongPassphraseError: the passphrase does not open it.
    """
    with locked(layout) as lock:
        layout.require_whole()
        keys = provider(layout, config.keys, ask, passphrase_file=passphrase_file)
        with closing(Unlocked(layout, config, keys.unlock(), lock=lock)) as unlocked:
            require_audit_key(layout.data / AUDIT_KEY_FILE, unlocked.audit_key())
            yield unlocked


def serve(
    unlocked: Unlocked,
    sandboxes: Sandboxes,
    announce: Callable[[Supervisor, dict[str, Any]], None],
) -> None:
    """Run the server until it is told to stop.

    Args:
        unlocked: the data directory.
        sandboxes: where doors have images decoded; made before the keys were opened.
        announce: is told the supervisor and what READY says when all doors answer.

    Raises:
        ConfigError: others could reach a server that nobody administers.
        UnavailableError: a process did not start.
    """
    check(unlocked.config)
    if not unlocked.config.server.is_loopback():
        _require_administrator(unlocked)
    harden(child=False)
    configure_logs("supervisor")
    ensure_catalog(unlocked)
    supervisor = Supervisor(unlocked, sandboxes)
    ready = supervisor.start()
    announce(supervisor, description(unlocked, ready))
    supervisor.run()


def description(unlocked: Unlocked, ready: Mapping[str, Ready]) -> dict[str, Any]:
    """Return what READY says: where each door is; null for one that is closed."""
    server = unlocked.config.server
    ports = {name: port for each in ready.values() for name, port in each.ports.items()}
    dimse = {
        name: f"{server.host}:{ports[name]}" if name in ports else None
        for name in ("dimse_tls", "dimse")
    }
    return {
        "pid": os.getpid(),
        "data": str(unlocked.layout.data),
        "web": f"https://{server.hostname}:{ports['web']}",
        **dimse,
        "admin": f"https://localhost:{ports['admin']}" if "admin" in ports else None,
    }


def ready_line(told: Mapping[str, Any]) -> str:
    """Return the line that scripts wait for."""
    return LINE + json.dumps(told)


def _require_administrator(unlocked: Unlocked) -> None:
    key = unlocked.registry_key()
    with closing(SqlRegistry(unlocked.layout.registry, key)) as registry:
        if not has_enrolled_administrator(registry.accounts):
            raise ConfigError("enrol an administrator before others can reach this server")
