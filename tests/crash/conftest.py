# SPDX-License-Identifier: Apache-2.0
"""The helpers of the torture, importable in importlib mode."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "torture"))
