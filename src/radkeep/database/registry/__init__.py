# SPDX-License-Identifier: Apache-2.0
"""Accounts, sessions, tokens, devices, zones: what people edit."""
