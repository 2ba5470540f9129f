# SPDX-License-Identifier: Apache-2.0
"""One module per command group: parse, call, map the error to an exit code."""
