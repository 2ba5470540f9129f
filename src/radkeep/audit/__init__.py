# SPDX-License-Identifier: Apache-2.0
"""What happened, provably (PS3.15 Section A.5, RFC 6962)."""
