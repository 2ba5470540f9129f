# SPDX-License-Identifier: Apache-2.0
"""What every process does before it holds a key.

Invariant: keys reach no core file and no debugger of another user, and no process outlives the
supervisor that gave it its keys.
"""

import ctypes
import os
import resource
import signal
from typing import Final

from radkeep.dimse.descriptors import raise_descriptor_limit

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_UMASK: Final = 0o077  # files are their owner's alone


def harden(*, child: bool) -> None:
    """Forbid core files and foreign debuggers, and raise the limit of open descriptors.

    Args:
        child: end when the parent does, however it ends.

    Raises:
        OSError: the kernel refuses.
    """
    os.umask(_UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    raise_descriptor_limit()
    _prctl(_PR_SET_DUMPABLE, 0)
    if child:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
