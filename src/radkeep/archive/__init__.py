# SPDX-License-Identifier: Apache-2.0
"""Volumes and keyring on disk: append-only, encrypted."""
