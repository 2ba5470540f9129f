# SPDX-License-Identifier: Apache-2.0
"""All SQL: catalog (derived) and registry (what people edit)."""
