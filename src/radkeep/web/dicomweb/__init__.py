# SPDX-License-Identifier: Apache-2.0
"""PS3.18: STOW-RS, QIDO-RS, WADO-RS."""
