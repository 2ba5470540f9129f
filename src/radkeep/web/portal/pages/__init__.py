# SPDX-License-Identifier: Apache-2.0
"""What each page shows: one frozen value a page, whose fields are its template's variables."""
