# SPDX-License-Identifier: Apache-2.0
"""Composition root and process model; the only place that names adapters."""
