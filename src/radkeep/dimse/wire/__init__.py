# SPDX-License-Identifier: Apache-2.0
"""PS3.8 without sockets: bytes in, events out."""
