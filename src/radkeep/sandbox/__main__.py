# SPDX-License-Identifier: Apache-2.0
"""Entry of the zygote: ``python -m radkeep.sandbox FD``, its channel to the supervisor."""

import socket
import sys

from radkeep.sandbox import documents
from radkeep.sandbox.operations import OPERATIONS
from radkeep.sandbox.zygote import serve


def main() -> int:
    """Be the zygote; return the exit status."""
    _machine = documents.load()  # lives as long as the library may call it
    return serve(socket.socket(fileno=int(sys.argv[1])), OPERATIONS)


if __name__ == "__main__":
    sys.exit(main())
