# SPDX-License-Identifier: Apache-2.0
"""What every HTTP door shares."""
