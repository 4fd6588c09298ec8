from __future__ import annotations

import sys
from pathlib import Path

# Tests share tests/virtual_time.py.
sys.path.insert(0, str(Path(__file__).parents[1]))
