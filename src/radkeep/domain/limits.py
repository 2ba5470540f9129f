# SPDX-License-Identifier: Apache-2.0
"""What one instance may cost, in one place, so that the limits can be weighed against each other.

Invariant: each limit holds before the memory or time that it bounds is spent.
"""

from typing import Final

MAX_NESTING: Final = 64  # sequence levels; real files of the corpus stay under 10
MAX_INFLATED_BYTES: Final = 2 << 30  # of one deflated data set
MAX_INFLATE_RATIO: Final = 200  # inflated bytes for one received byte; bombs start near 1,000
MAX_ELEMENTS: Final = 1_000_000  # in one data set, all levels
MAX_HEAD_BYTES: Final = 16 << 20  # data set bytes before Pixel Data, large values left out
MAX_OBJECT_BYTES: Final = 16 << 30  # one instance as received
SMALL_OBJECT_BYTES: Final = 2 << 20  # up to here a record is one buffer and one write
LARGE_VALUE_BYTES: Final = 1024  # a longer binary value is bulk data in the JSON model
