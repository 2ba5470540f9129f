# SPDX-License-Identifier: Apache-2.0
"""``python -m radkeep``: the command line."""

from radkeep.cli.main import main

if __name__ == "__main__":
    main()
