"""What the dialer and the store say, as messages of the wire."""

from __future__ import annotations

import time

from engine import wire
from engine.control import messages
from engine.dialer import ports
from engine.voice import Switches


def entry(row: ports.EntryRow) -> messages.Entry:
    return messages.Entry(
        id=row.id,
        position=row.position,
        number=wire.safe(row.number, 64),
        name=wire.safe(row.name),
        note=wire.safe(row.note),
        state=row.state,
        attempts=row.attempts,
        disposition=wire.safe(row.disposition, 64),
        heard=row.heard,
        reason=wire.safe(row.reason),
        at=row.at,
    )


def counts(of: ports.QueueCounts) -> messages.Counts:
    return messages.Counts(
        total=of.total,
        queued=of.queued,
        active=of.active,
        done=of.done,
        interrupted=of.interrupted,
        blocked=of.blocked,
        answered=of.answered,
        abandoned=of.abandoned,
    )


def flow(of: ports.FlowChanged, switches: Switches) -> messages.Flow:
    return messages.Flow(
        running=of.running,
        operator=of.operator,
        agents=list(of.agents),
        agent_state=of.agent_state,
        muted=switches.muted,
        do_not_disturb=switches.do_not_disturb,
        campaign=of.campaign,
        exemptions=list(of.exemptions),
        notice=wire.safe(of.notice),
        received_gain=switches.received_gain,
        sent_gain=switches.sent_gain,
        push_to_talk=switches.push_to_talk,
        talking=switches.talking,
    )


def attempt(of: ports.AttemptChanged) -> messages.Attempt:
    return messages.Attempt(
        entry=of.entry,
        attempt=of.attempt,
        number=wire.safe(of.number, 64),
        name=wire.safe(of.name),
        state=of.state,
        at=of.at,
        leg=of.leg,
        agent_leg=of.agent_leg,
        deadline=of.deadline,
        disposition=of.disposition,
        waiting_for_operator=of.waiting_for_operator,
    )


def attempt_done(record: ports.AttemptRecord) -> messages.AttemptDone:
    started = record.started_at.timestamp()
    return messages.AttemptDone(
        number=wire.safe(record.number, 64),
        name=wire.safe(record.name),
        entry=record.entry_id,
        started_at=record.started_at.isoformat(timespec="milliseconds"),
        states=dict(record.states),
        detections=[
            messages.Detection(
                at=started + heard.begin_ms / 1000,
                leg=record.leg,
                tone=heard.tone,
                begin_ms=heard.begin_ms,
                end_ms=heard.end_ms,
                confidence=round(heard.confidence, 3),
                why=heard.why,
                sample=wire.sample(heard.sample),
                digit=heard.digit,
            )
            for heard in record.detections
        ],
        digits=record.digits,
        sip_code=record.sip_code,
        reason=wire.safe(record.reason),
        disposition=record.disposition,
        duration=record.duration_s,
        agent=record.agent,
        recording=wire.safe(record.recording, 400),
        quality=wire.overall_quality(record.quality),
        hearing=wire.hearing(record.hearing),
    )


def log_line(of: ports.LogLine) -> messages.LogLine:
    return messages.LogLine(at=time.time(), level=of.level, text=wire.safe(of.text, 400), leg=of.leg)


def notice(of: ports.Notice, switches: Switches) -> messages.Event:
    """A dialer's notice as the event that tells of it."""
    match of:
        case ports.AttemptChanged():
            return attempt(of)
        case ports.EntryChanged():
            return entry(of.entry)
        case ports.AttemptDone():
            return attempt_done(of.record)
        case ports.FlowChanged():
            return flow(of, switches)
        case ports.CountsChanged():
            return counts(of.counts)
        case ports.QueueChanged():
            return messages.QueueChanged(counts=counts(of.counts))
        case ports.LogLine():
            return log_line(of)
