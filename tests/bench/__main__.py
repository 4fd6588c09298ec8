"""`make bench`: every benchmark, as it is quoted. Takes about a quarter of an hour."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUNS = (
    ["rtp_timing.py", "--console", "--unprivileged"], ["bridge_cost.py", "--console"], ["gc_pauses.py"],
    ["call_setup.py"], ["sip_flood.py"], ["codec_cost.py"], ["dtmf_bench.py"], ["flow_latency.py"],
    ["speech_quality.py"], ["long_call.py", "--seconds", "300"],
)  # fmt: skip

worst = 0
for name, *options in RUNS:
    worst = max(worst, subprocess.call([sys.executable, str(HERE / name), *options]))
sys.exit(worst)
