# SPDX-License-Identifier: Apache-2.0
"""The DICOM upper layer and its services."""
