"""The call on show: who, for how long, which step, and its levels."""

from __future__ import annotations

from collections.abc import Callable

from engine.control.messages import Flow, Leg, Quality
from tui.calls import Call, Step
from tui.draw import Row, crop, justify, row_width
from tui.keymap import shown
from tui.state import ConsoleState
from tui.text import clip, count, duration, width
from tui.tracks import SILENCE_DBM0
from tui.widgets.glyphs import big
from tui.widgets.meter import draw_meter, draw_scale
from tui.widgets.pane import Pane, heading
from tui.widgets.steps import draw_present, draw_steps

PEAK_HOLD_S = 1.5
STATE_ROLES = {"bridged": "badge", "wait tone": "badge-warn", "connecting": "badge-warn", "answered": "badge"}

SUPERVISION = {"": "", "listen": "listens", "whisper": "whispers to you", "barge": "is in the call"}


def state_badge(call: Call, leg: Leg | None) -> Row:
    """The state in a word, then what is special about it."""
    if not call.up:
        word, role = " · ".join(dict.fromkeys(("ended", call.outcome))), "active"
    else:
        word, role = call.word, STATE_ROLES.get(call.word, "active")
    row: Row = [(f" {clip(word, 28).upper()} ", role)]
    if leg is None or not call.up:
        return row
    if leg.conference:
        row.append((" ⇄ conference", "good"))
    elif leg.bridged_to:
        row.append((" ⇄ headset" if leg.bridged_to == "sound" else " ⇄ agent", "good"))
    if leg.held:
        row.append((" ‖ on hold, music" if leg.music else " ‖ held", "warn"))
    if leg.far_held:
        row.append((" ‖ held by far end", "warn"))
    if leg.recording:
        row.append((" ‖ REC paused", "warn") if leg.recording_paused else (" ● REC", "bad"))
    return row


def detail(state: ConsoleState, call: Call, leg: Leg | None, room: int) -> Row:
    """Changed levels, the trunk where it is not the first, codec, last SIP response, why it ended, the
    recording's file; what does not fit is left out, the last first."""
    parts: list[str] = []
    flow = state.flow
    levels: Leg | Flow | None = flow if flow is not None and flow.operator == "headset" else leg
    if call.up and levels is not None and (levels.received_gain or levels.sent_gain):
        heard = f"heard {levels.received_gain:+g} dB" if levels.received_gain else ""
        said = f"mic {levels.sent_gain:+g} dB" if levels.sent_gain else ""
        parts.append(", ".join(filter(None, (heard, said))))
    if leg is not None and leg.trunk != "trunk":
        parts.append(f"via {leg.trunk}")
    if leg is not None and leg.codec:
        parts.append(leg.codec)
    if leg is not None and leg.sip_code:
        parts.append(f"{leg.sip_code} {leg.reason}".strip())
    if leg is not None and leg.state == "ended" and leg.cause and (leg.sip_code or 0) < 300:
        parts.append(leg.cause.replace("_", " "))
    if leg is not None and leg.recording:
        parts.append(leg.recording.rpartition("/")[2])
    text = ""
    for part in parts:
        longer = " · ".join(filter(None, (text, clip(part, 32))))
        if width(longer) > room:
            break
        text = longer
    return [(text, "dim")] if text else []


def title_rows(
    state: ConsoleState, call: Call, leg: Leg | None, now: float, cells: int, tall: bool
) -> list[Row]:
    """Number and running time, three rows tall where there is room; then state and name."""
    elapsed = duration((call.over_at or now) - call.started)
    name = call.name or ("incoming call" if call.inbound else "")
    timer = big(elapsed, cells // 2)
    digits = big(call.number, cells - len(timer[0]) - 4) if timer is not None else None
    if tall and digits is not None and timer is not None:
        role = "big" if call.up else "dim"
        rows = [justify([(a, role)], [(b, role)], cells) for a, b in zip(digits, timer, strict=True)]
        left = state_badge(call, leg)
        left += [("  ", "text"), (clip(name, cells // 2), "strong")] if name else []
        return [*rows, justify(left, detail(state, call, leg, cells - row_width(left) - 1), cells)]
    room = max(4, cells - width(elapsed) - 2)
    number = clip(call.number, room)
    first: Row = [(number, "big"), ("  ", "text"), (clip(name, max(0, room - width(number) - 2)), "strong")]
    badge = state_badge(call, leg)
    return [
        justify(first, [(elapsed, "big")], cells),
        justify(badge, detail(state, call, leg, cells - row_width(badge) - 1), cells),
    ]


def prompt(state: ConsoleState, call: Call, leg: Leg | None, key: str) -> Row:
    """What the operator is asked to do, how far a transfer has come, or who supervises the call, where that
    is anything."""
    if call.waiting:
        return [
            (" The callee is waiting ", "badge-warn"),
            (" press ", "text"),
            (key, "key"),
            (" to bridge", "text"),
        ]
    if call.up and leg is not None and leg.transfer:
        return [(leg.transfer[:1].upper() + leg.transfer[1:], "warn")]
    said = [f"{each.number} {SUPERVISION[each.supervision]}" for each in state.supervisors_of(leg)[:2]]
    return [(" ◉ ", "notice-bad"), (f" {'; '.join(said)}", "text")] if call.up and said else []


FAIR_MOS, GOOD_MOS = 3.6, 4.0
"""Below the first some users are dissatisfied, from the second on satisfied (ITU-T G.107, annex B)."""


def draw_quality(quality: Quality, cells: int) -> Row:
    """How it sounds in figures, the important first, with a word where it is not good."""
    if quality.mos >= GOOD_MOS:
        role, word = "good", ""
    else:
        role, word = ("warn", " fair") if quality.mos >= FAIR_MOS else ("bad", " poor")
    row: Row = [(f"MOS {quality.mos:.1f}{word}", role), (f"  loss {quality.loss:.1f} %", "dim")]
    row.append((f"  jitter {quality.jitter_ms:.0f} ms", "dim"))
    if quality.round_trip_ms is not None:
        row.append((f"  rtt {quality.round_trip_ms:.0f} ms", "dim"))
    if quality.far_loss is not None:
        row.append((f"  far loss {quality.far_loss:.1f} %", "dim"))
    if quality.depth_ms is not None:
        row.append((f"  buffer {quality.depth_ms:.0f} ms", "dim"))
    return crop(row, cells)


def draw_meters(state: ConsoleState, call: Call, now: float, cells: int, scale: bool) -> list[Row]:
    meter = state.meters.get(call.leg) if call.up else None
    track = state.track_of(call)
    label_received, label_sent = ("received", "sent    ") if cells >= 60 else ("rx", "tx")
    hold = now - PEAK_HOLD_S
    received_peak = track.received.peak_since(hold) if track is not None else SILENCE_DBM0
    sent_peak = track.sent.peak_since(hold) if track is not None else SILENCE_DBM0
    rows = [
        draw_meter(label_received, meter.received if meter else None, received_peak, cells),
        draw_meter(label_sent, meter.sent if meter else None, sent_peak, cells),
    ]
    return [*rows, draw_scale(label_received, cells)] if scale else rows


def draw_call(
    state: ConsoleState, call: Call, now: float, cells: int, rows: int, accept_key: str
) -> list[Row]:
    """Everything about the call in at most `rows`, the important first."""
    leg = state.leg_of(call)
    out = title_rows(state, call, leg, now, cells, tall=rows >= 11)
    spare = rows - len(out) - 2 - 1 - 2
    asked = crop(prompt(state, call, leg, accept_key), cells)
    transfer = leg is not None and leg.transfer and not call.waiting
    room = 1 if call.waiting else 2
    instead = asked and (spare < room or transfer)  # a transfer goes before the step's clock
    present = asked if instead else draw_present(call, now, cells)
    gap = spare >= 2
    out += [[]] if gap else []
    steps = draw_steps(call, now, cells, times=spare >= 1)
    out += steps
    out.append(present)
    if asked and present is not asked and rows - len(out) >= 3:
        out.append(asked)
    elif rows - len(out) >= 3 and call.up and (quality := state.quality.get(call.leg)):
        out.append(draw_quality(quality, cells))
    elif rows - len(out) >= 4:
        out.append([])
    out += draw_meters(state, call, now, cells, scale=rows - len(out) >= 3)
    return out[:rows]


def draw_idle(state: ConsoleState, keys: dict[str, str], cells: int) -> list[Row]:
    """No call: what can be started, and how the queue stands."""
    counts, flow = state.counts, state.flow
    rows: list[Row] = [[], [("No call", "big")], []]
    if flow is not None and flow.running and counts is not None and counts.queued:
        rows.append([("The queue is running: the next number is dialled by itself.", "text")])
    elif counts is not None and counts.queued:
        rows.append(
            [
                (shown(keys["next"]), "key"),
                (" dials the next number, ", "text"),
                (shown(keys["pause"]), "key"),
                (" works the queue", "text"),
            ]
        )
    else:
        rows.append([(shown(keys["load"]), "key"), (" loads a queue from a CSV file", "text")])
    rows.append([(shown(keys["dial"]), "key"), (" or any digit dials by hand", "text")])
    if counts is not None and counts.total:
        rows += [
            [],
            [
                (f"{counts.queued:,}", "strong"),
                (" to call   ", "dim"),
                (f"{counts.done:,}", "strong"),
                (" done   ", "dim"),
                (f"{counts.answered:,}", "strong"),
                (" answered   ", "dim"),
                *abandoned(counts.answered, counts.abandoned),
            ],
        ]
        if counts.interrupted:
            rows.append([(count(counts.interrupted, "entry was", "entries were") + " interrupted", "warn")])
        if counts.blocked:
            rows.append([(count(counts.blocked, "entry is", "entries are") + " blocked", "dim")])
    return [[(" ", "text"), *row] for row in rows]


def abandoned(answered: int, lost: int) -> Row:
    """Answered calls that got no operator, with their share."""
    share = f" ({100 * lost / answered:.1f} %)" if answered else ""
    return [(f"{lost:,}", "bad" if lost else "strong"), (f" abandoned{share}", "dim")]


class CallPanel(Pane):
    """The call on show, or what can be done without one."""

    def __init__(
        self, state: ConsoleState, clock: Callable[[], float], keys: dict[str, str], **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.state = state
        self.clock = clock
        self.keys = keys

    def draw(self, cells: int, rows: int) -> list[Row]:
        call = self.state.call
        up = len(self.state.calls_up)
        info: Row = [(f"{count(up, 'call')} up", "text")] if up > 1 else []
        head = heading(
            "INCOMING" if call is not None and call.inbound and call.step is Step.RING else "CALL",
            info,
            cells,
        )
        if call is None:
            return [head, *draw_idle(self.state, self.keys, cells)]
        body = draw_call(self.state, call, self.clock(), cells - 2, rows - 1, shown(self.keys["accept"]))
        return [head, *([(" ", "text"), *row] for row in body)]
