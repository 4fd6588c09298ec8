"""Callers that ask to be answered without ringing."""

from __future__ import annotations

import pytest
from charts import Chart

from engine.sip.auto_answer import answer_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Call-Info: <sip:192.0.2.10>;answer-after=0", 0.0),
        ("Call-Info: <http://x/a;b>;purpose=icon, <sip:x>; Answer-After=5", 5.0),
        ("Alert-Info: <http://www.notused.com>;info=alert-autoanswer;delay=0", 0.0),
        ('Alert-Info: <http://x>;info="alert-autoanswer"', 0.0),
        ("Answer-Mode: Auto", 0.0),
        ("Answer-Mode: auto;require", 0.0),
        ("Answer-Mode: Manual", None),
        ("Call-Info: <sip:x>;answer-after=", None),
        ("Call-Info: <sip:x>;answer-after=-1", None),
        ("Call-Info: <sip:x>;answer-after=99999", None),
        ("Call-Info: <sip:x;answer-after=0>", None),
        ("Alert-Info: <http://x>;info=alert-external", None),
        ("Subject: answer-after=0", None),
    ],
)
def test_what_asks_for_it(chart: Chart, header: str, seconds: float | None) -> None:
    """RFC 5373, 4; Call-Info and Alert-Info as PBXs write them (RFC 3261, 20.4 and 20.9)."""
    assert answer_after(chart.ringing(headers=[header]).request) == seconds
