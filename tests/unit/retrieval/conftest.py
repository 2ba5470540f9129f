# SPDX-License-Identifier: Apache-2.0
"""The helpers of this folder, importable in importlib mode."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
