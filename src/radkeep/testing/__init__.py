# SPDX-License-Identifier: Apache-2.0
"""Public fakes, port contracts and factories."""
