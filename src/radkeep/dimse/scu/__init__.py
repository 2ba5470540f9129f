# SPDX-License-Identifier: Apache-2.0
"""What we ask of other systems."""
