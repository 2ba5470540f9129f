# SPDX-License-Identifier: Apache-2.0
"""The standard as pure functions over bytes."""
