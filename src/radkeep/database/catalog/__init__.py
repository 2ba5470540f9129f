# SPDX-License-Identifier: Apache-2.0
"""Patients, studies, series, instances: derived from volumes."""
