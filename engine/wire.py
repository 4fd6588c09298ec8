"""The engine's state as messages of the wire; text from the network is made safe here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal

import msgspec

from engine.control import messages
from engine.detect.outcome import Outcome
from engine.media import orders
from engine.sip.journal import Ring
from engine.sip.ladder import ladder
from engine.sip.phone import Phone
from engine.text import safe
from engine.trunk_leg import TrunkLeg

__all__ = ["detection", "leg", "overall_quality", "quality", "safe", "sound", "traced", "trunk", "wall"]


def leg(of: TrunkLeg) -> messages.Leg:
    """A leg as it stands."""
    call = of.call
    codec = call.negotiated.codecs[0][0] if call.negotiated else ""
    remote = call.dialog.remote if call.dialog is not None and call.role == "inbound" else None
    return messages.Leg(
        id=of.id,
        role=of.role,
        number=safe(of.number, 64),
        state=of.state.value,
        at=of.changed_at,
        remote=safe(remote.display or remote.uri.number, 80) if remote else "",
        sip_code=call.sip_code,
        reason=safe(call.reason),
        cause=of.cause.name if of.cause else "",
        entry=of.entry,
        held=call.held,
        far_held=call.far_held,
        recording=safe(of.recording, 400),
        recording_paused=of.recording_paused,
        bridged_to=of.bridged_to,
        codec=codec,
        transfer=safe(_transfer(of)),
        trunk=call.phone.name,
        answered_at=of.answered_at,
        q850=of.cause.q850 if of.cause else None,
        retry_after=of.cause.retry_after if of.cause else None,
        conference=of.conference,
        supervises=of.supervises,
        supervision=of.supervision or "",
        music=of.music,
        forwarded_to=safe(of.forwarded_to, 64),
        received_gain=of.received_gain,
        sent_gain=of.sent_gain,
    )


def quality(of: orders.Quality) -> messages.Quality:
    """How a leg sounds now."""
    figures = msgspec.structs.asdict(of)
    return messages.Quality(**{name: figures[name] for name in messages.Quality.__struct_fields__})


def overall_quality(figures: Mapping[str, float | None]) -> messages.Quality | None:
    """How a call sounded, from its record; None where that is not known or from another version."""
    known = {name: figures[name] for name in messages.Quality.__struct_fields__ if name in figures}
    try:
        return msgspec.convert(known, messages.Quality, strict=False) if known else None
    except msgspec.ValidationError:
        return None


def _transfer(of: TrunkLeg) -> str:
    if of.coming is not None:
        return f"transferred by the far end: calling {of.coming.number}"
    sent = of.call.transfers.sent
    return sent.in_words if sent is not None and not sent.over else ""


def traced(ring: Ring) -> messages.Traced:
    """What the journal holds of a call."""
    passed = [
        messages.Traffic(
            at=m.at, sent=m.sent, transport=m.remote.transport, local=m.local[:2], remote=m.remote[:2],
            data=m.data,
        )
        for m in ring
    ]  # fmt: skip
    return messages.Traced(
        title=safe(ring.title), lost=ring.lost, messages=passed, ladder=ladder(list(ring))
    )


def trunk(phone: Phone) -> messages.Trunk:
    """The registration as it stands; times as UNIX time."""
    account = phone.account
    agent = phone.agent
    server = account.host if account.port in (0, 5060) else f"{account.host}:{account.port}"
    if agent is None:
        state: Literal["failed", "registering"] = "failed" if phone.trouble else "registering"
        return messages.Trunk(
            name=phone.name, server=server, user=account.username, state=state, detail=safe(phone.trouble)
        )
    registration = agent.registration
    expires = registration.expires_at
    offset = time.time() - agent.clock.time()
    return messages.Trunk(
        name=phone.name,
        server=server,
        user=account.username,
        state=registration.state.value,
        detail=safe(registration.detail),
        expires_at=None if expires is None else expires + offset,
        since=registration.since + offset,
        reachable=phone.reachable,
        **phone.traffic._asdict(),
    )


def sound(fact: orders.SoundChanged) -> messages.Sound:
    return messages.Sound(
        input=safe(fact.input), output=safe(fact.output), ring=safe(fact.ring), problem=safe(fact.problem)
    )


def detection(of: str, at: float, heard: orders.Detected) -> messages.Detection:
    found = heard.detection
    return messages.Detection(
        at=at,
        leg=of,
        tone=found.tone.label,
        begin_ms=found.begin_ms,
        end_ms=found.end_ms,
        confidence=round(found.confidence, 3),
        why=found.why,
        sample=None if found.sample is None else sample(asdict(found.sample)),
        digit=found.digit,
    )


def sample(of: Mapping[str, str | int]) -> messages.Sample | None:
    """A known announcement by its fields; None where there are none."""
    if not of:
        return None
    texts = {key: safe(value, 400) if isinstance(value, str) else value for key, value in of.items()}
    return msgspec.convert(texts, messages.Sample)


def listened(of: str, at: float, outcome: Outcome) -> messages.Listened:
    return messages.Listened(
        at=at, leg=of,
        hearing=heard(outcome),
    )


def heard(outcome: Outcome, status: str = "") -> messages.Hearing:
    """What came of listening; `status` is the number's once the call is over."""
    return messages.Hearing(
        finish_cause=outcome.finish_cause.value, all_tone=outcome.all_tone, last_tone=outcome.last_tone,
        category=outcome.category or None, correction=outcome.correction or None,
        result=safe(outcome.result), status=safe(status), sample=safe(outcome.sample, 80) or None,
    )


def hearing(of: Mapping[str, str | int]) -> messages.Hearing | None:
    """What is stored of listening; None where nobody listened."""
    if not of:
        return None
    found = {**of, **{key: of.get(key) or None for key in ("category", "correction", "sample")}}
    return msgspec.convert(found, messages.Hearing)


def wall(monotonic: float) -> float:
    """A `time.monotonic()` reading as UNIX seconds."""
    return time.time() + monotonic - time.monotonic()
