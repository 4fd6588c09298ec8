"""`make bench`: every benchmark, as it is quoted, the quick ones first. Takes about twenty minutes.

Each is a script of its own (`.venv/bin/python tests/bench/NAME.py --help`). The times are those of two cores.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUNS = (
    ("seconds", ["codec_cost.py"]),
    ("20 s", ["gc_pauses.py"]),
    ("30 s", ["flow_latency.py"]),
    ("30 s", ["dtmf_bench.py"]),
    ("40 s", ["call_setup.py"]),
    ("40 s", ["many_samples_cost.py"]),
    ("1 minute", ["sip_flood.py"]),
    ("80 s", ["hearing_cost.py"]),
    ("80 s", ["speech_quality.py"]),
    ("3 minutes", ["hearing_score.py"]),
    ("3 minutes", ["rtp_timing.py", "--console", "--unprivileged"]),
    ("5 minutes", ["bridge_cost.py", "--console"]),
    ("5 minutes", ["long_call.py", "--seconds", "300"]),
)

worst = 0
for takes, (name, *options) in RUNS:
    print(f"\n== {' '.join([name, *options])}: about {takes}", flush=True)
    worst = max(worst, subprocess.call([sys.executable, str(HERE / name), *options]))
sys.exit(worst)
