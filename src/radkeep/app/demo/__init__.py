# SPDX-License-Identifier: Apache-2.0
"""The demo: sample studies, demo people and a server on loopback."""
