# SPDX-License-Identifier: Apache-2.0
"""The OHIF viewer under ``/viewer/``: a verified tree of files and a configuration per session."""
