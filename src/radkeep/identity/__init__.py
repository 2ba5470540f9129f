# SPDX-License-Identifier: Apache-2.0
"""Who acts, and may they."""
