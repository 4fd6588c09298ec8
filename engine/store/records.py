"""Rows as the dialer's dataclasses, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from engine.dialer.ports import AttemptRecord, EntryRow, Heard


def entry_row(row: Mapping[Any, Any]) -> EntryRow:
    return EntryRow(
        row["id"], row["position"], row["number"], row["name"], row["note"], row["state"], row["attempts"],
        row["disposition"], row["heard"], row["reason"], row["at"],
    )


def record_of(row: Mapping[Any, Any]) -> AttemptRecord:
    return AttemptRecord(
        attempt_id=row["id"], entry_id=row["entry"], number=row["number"],
        started_at=datetime.fromtimestamp(row["started_at"], UTC), states=dict(row["states"]),
        detections=[Heard(**heard) for heard in row["detections"]], digits=row["digits"],
        sip_code=row["sip_code"], reason=row["reason"], disposition=row["disposition"],
        duration_s=row["duration_s"], agent=row["agent"], recording=row["recording"],
        name=row["name"], leg=row["leg"], quality=dict(row["quality"] or {}),
        hearing=dict(row["hearing"] or {}),
    )


def record_values(record: AttemptRecord) -> dict[str, object]:
    """The columns that an attempt's end writes. A recording that is known already is not forgotten."""
    recording = {"recording": record.recording} if record.recording else {}
    return recording | {
        "states": record.states, "detections": [asdict(heard) for heard in record.detections],
        "digits": record.digits, "sip_code": record.sip_code, "reason": record.reason,
        "disposition": record.disposition, "duration_s": record.duration_s, "agent": record.agent,
        "leg": record.leg, "answered": "answered" in record.states,
        "quality": record.quality, "hearing": record.hearing,
    }


def heard(detections: Sequence[Heard]) -> str:
    """The last tones in words: repeats made one, silence left out where there was anything else, known
    announcements by what they mean."""
    tones: list[str] = []
    for detection in detections:
        word = str(detection.sample.get("alias") or detection.tone)
        if not tones or tones[-1] != word:
            tones.append(word)
    loud = [tone for tone in tones if tone != "silence"] or tones
    return ", ".join(loud[-4:])
