# SPDX-License-Identifier: Apache-2.0
"""Processes that touch hostile bytes: pixel codecs, images, PDF."""
