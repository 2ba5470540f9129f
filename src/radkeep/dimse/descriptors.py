# SPDX-License-Identifier: Apache-2.0
"""Open files: as many as the system gives us, and some that connections may not use up."""

import resource
from typing import Final

_WANTED: Final = 65_536  # silent connections, volumes, databases
_RESERVED: Final = 512  # for associations, volumes and databases


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files as far as the system lets us; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return _WANTED if soft == resource.RLIM_INFINITY else soft


def affordable(wanted: int) -> int:
    """Return how many of ``wanted`` silent connections the limit of open files allows."""
    return max(1, min(wanted, raise_descriptor_limit() - _RESERVED))
