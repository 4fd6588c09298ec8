"""`make bench`: every benchmark, as it is quoted. Takes about two minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

timing = Path(__file__).parent / "rtp_timing.py"
sys.exit(subprocess.call([sys.executable, str(timing), "--console", "--unprivileged"]))
