# SPDX-License-Identifier: Apache-2.0
"""A self-defending PACS: receive, keep, find and show medical images."""
