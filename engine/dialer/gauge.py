"""The abandoned-call gauge: of the people who answered, how many found no operator.

Regulators cap the share at 3 % of answered calls (47 CFR 64.1200(a)(7), Ofcom's persistent misuse policy).
Once anyone was abandoned, the next call is only made if the share stays within the cap even
when that call is abandoned too.
"""

from __future__ import annotations

from engine.dialer.ports import QueueCounts


def too_many_abandoned(counts: QueueCounts, cap_percent: float) -> str:
    """Why no further call may be made, in one sentence; empty when one may."""
    if not counts.abandoned:
        return ""
    if (counts.abandoned + 1) * 100 <= cap_percent * (counts.answered + 1):
        return ""
    share = 100 * counts.abandoned / max(counts.answered, 1)
    return (
        f"{counts.abandoned} of {counts.answered} who answered were abandoned ({share:.1f} %): the queue is "
        f"paused, since one more could pass the cap of {cap_percent:g} %; resume it when an operator is there"
    )
