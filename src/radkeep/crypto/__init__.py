# SPDX-License-Identifier: Apache-2.0
"""Recipes; only here cryptography and argon2."""
