"""Every message on the wire: newline-delimited JSON, one tagged struct a line.

Down: a `Request` carrying one command. Up: `Hello`, then `Snapshot`, then a `Reply` for each
request and events as they happen. `docs/wire.md` is generated from these types. Times named `at`
are UNIX seconds (UTC); fields ending in `_ms` count milliseconds, in `_s` seconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

WIRE_VERSION = 1
"""Raised when a field changes its meaning or goes; a new event or optional field does not raise it."""

MAX_LINE = 1 << 20
"""Longest line either side accepts, in bytes."""

LegStateName = Literal["dialing", "trying", "ringing", "early", "answered", "ended"]
AttemptState = Literal[
    "queued", "dialing", "listening", "answered", "wait_tone", "connecting", "bridged", "wrap_up", "done"
]
OperatorMode = Literal["headset", "standing", "cold"]


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What comes down is strict: a misspelt field is an error, never ignored."""


class Up(msgspec.Struct, frozen=True, kw_only=True):
    """What goes up: a reader ignores fields that it doesn't know, so that they may be added."""


# --- commands -------------------------------------------------------------------------------

class Dial(Struct, frozen=True, tag="dial"):
    """Dial a number by hand, ahead of the queue."""

    number: str


class Next(Struct, frozen=True, tag="next"):
    """Dial the next queue entry now, once, even while paused."""


class Pause(Struct, frozen=True, tag="pause"):
    """Stop taking entries from the queue; calls that are up go on."""


class Resume(Struct, frozen=True, tag="resume"):
    """Work the queue."""


class Skip(Struct, frozen=True, tag="skip"):
    """Leave an entry out; one that is being called is hung up."""

    entry: int


class Redial(Struct, frozen=True, tag="redial"):
    """Put a finished, skipped or interrupted entry back into the queue, in front."""

    entry: int


class LoadQueue(Struct, frozen=True, tag="load_queue"):
    """Add the rows of a CSV file to the queue. `path` is read by the engine."""

    path: str


class Accept(Struct, frozen=True, tag="accept"):
    """The operator takes the waiting callee: bridge."""


class Hangup(Struct, frozen=True, tag="hangup"):
    """Hang up one leg or, without `leg`, the current call (every leg of it)."""

    leg: str | None = None


class StopAll(Struct, frozen=True, tag="stop_all"):
    """Pause the queue and hang up every call."""


class Hold(Struct, frozen=True, tag="hold"):
    """Hold or resume the current call's callee, or one leg."""

    on: bool
    leg: str | None = None


class Mute(Struct, frozen=True, tag="mute"):
    """Mute or unmute the operator."""

    on: bool


class SendDigits(Struct, frozen=True, tag="send_digits"):
    """Send DTMF to the current callee, or to one leg."""

    digits: str
    leg: str | None = None


class Answer(Struct, frozen=True, tag="answer"):
    """Answer a ringing inbound leg."""

    leg: str


class Refuse(Struct, frozen=True, tag="refuse"):
    """Refuse a ringing inbound leg with a final response, 400 to 699."""

    leg: str
    code: int = 486


class Consult(Struct, frozen=True, tag="consult"):
    """Call a number beside the present call, or beside one leg's, which is held: both share the operator's
    end, the headset or the agent's phone."""

    number: str
    leg: str | None = None


class Conference(Struct, frozen=True, tag="conference"):
    """Join whom the operator has on hold, or one leg of them, with the present call: all talk with all.

    `hangup` and `hold` of one leg take it out again; `transfer_to_leg` leaves the others to each other.
    """

    leg: str | None = None


class Supervise(Struct, frozen=True, tag="supervise"):
    """Have a leg (which rings in or is answered), or a number that is called for it, supervise the call of
    the leg `of`: `listen` (nobody hears it), `whisper` (the operator alone does), `barge` (all do), `off`
    (it is hung up).

    Supervision is shown with the call and logged. It ends with the leg `of`; an agent's leg is supervised
    through all its calls.
    """

    leg: str = ""
    of: str = ""
    mode: Literal["listen", "whisper", "barge", "off"] = "listen"
    number: str = ""


class Gain(Struct, frozen=True, tag="gain"):
    """Change levels, -30 to +20 dB: what is received from a leg and what is sent to it, or, without a leg,
    what the headset plays and its microphone sends, now and in later calls. `null` leaves one as it is."""

    received: float | None = None
    sent: float | None = None
    leg: str | None = None


class Talk(Struct, frozen=True, tag="talk"):
    """Open or close the microphone where `audio.push_to_talk` is set. It closes by itself after `seconds`: a
    console sends this again while the key is held."""

    on: bool
    seconds: float = 10.0


class Transfer(Struct, frozen=True, tag="transfer"):
    """Have the far end of a leg call a number in our place (blind).

    How it goes comes in the leg's `transfer` and as log lines; where it fails the call is taken back.
    """

    leg: str
    to: str


class TransferToLeg(Struct, frozen=True, tag="transfer_to_leg"):
    """Join the far ends of two answered legs and leave both (attended).

    The far end of `leg` is asked to take our place (REFER with Replaces). Where it does not, or with `here`,
    the two are joined in the engine: both legs stay up and are bridged, and the operator is free.
    """

    leg: str
    other: str
    here: bool = False


class DoNotDisturb(Struct, frozen=True, tag="dnd"):
    """Answer new inbound calls 486 (busy) without ringing, or let them ring again."""

    on: bool


class SetOperator(Struct, frozen=True, tag="set_operator"):
    """Choose how the operator is reached: this headset, an agent's standing leg, or a cold dial.

    `agents` replaces the list of agents' numbers; empty keeps it.
    """

    mode: OperatorMode
    agents: list[str] = []


class Record(Struct, frozen=True, tag="record"):
    """Record the current call's callee, or one leg. Off pauses that and every other recording of the same
    talk: the files go on with the next on."""

    on: bool
    leg: str | None = None


class Teach(Struct, frozen=True, tag="teach"):
    """What a call said that no known announcement matched becomes one, of a category (id or alias). `leg` is
    any call of the last ones, null for the latest that said something unknown."""

    category: str
    leg: str | None = None
    name: str = ""


class SetDisposition(Struct, frozen=True, tag="set_disposition"):
    """The operator's word on a finished attempt; ends its wrap-up."""

    entry: int
    disposition: str
    note: str = ""


class QueuePage(Struct, frozen=True, tag="queue_page"):
    """Ask for `limit` queue entries from `offset`; answered by `QueueRows` in the reply."""

    offset: int
    limit: int


class Trace(Struct, frozen=True, tag="trace"):
    """Ask for the SIP messages of a call: a leg, number or Call-ID, `last`, or `trunk` for the rest; answered
    by `Traced` in the reply."""

    call: str = "last"


class GetSnapshot(Struct, frozen=True, tag="get_snapshot"):
    """Ask for a new `Snapshot`, sent before the reply."""


class Subscribe(Struct, frozen=True, tag="subscribe"):
    """Switch the `Meters` messages of this connection on or off (on at first)."""

    meters: bool


class Look(Struct, frozen=True, tag="look"):
    """Have this connection get the `Spectrum` messages of one leg; empty: of none (so at first)."""

    leg: str = ""


class Shutdown(Struct, frozen=True, tag="shutdown"):
    """End the engine: hang up every call, deregister, exit."""


Command = (
    Dial | Next | Pause | Resume | Skip | Redial | LoadQueue | Accept | Hangup | StopAll | Hold | Mute
    | SendDigits | Answer | Refuse | Consult | Conference | Supervise | Gain | Talk | Transfer | TransferToLeg
    | DoNotDisturb | SetOperator | Record | Teach | SetDisposition | QueuePage | Trace | GetSnapshot
    | Subscribe | Look | Shutdown
)


class Request(Struct, frozen=True):
    """One line down. `id` is the sender's and comes back in the `Reply`."""

    id: int
    command: Command


# --- state, in snapshots and in the events that change it ------------------------------------

class Trunk(Up, frozen=True, tag="trunk"):
    """A trunk's registration. `state`: off (none needed), registering, registered, failed, lost; since when.

    `reachable` is false where the trunk left an OPTIONS ping unanswered. SIP messages are counted since the
    start: all that came, those `dropped` unread because too many came at once, `malformed` ones, and those
    `ignored` because strangers sent them.
    """

    server: str
    user: str
    state: Literal["off", "registering", "registered", "failed", "lost"]
    detail: str = ""
    expires_at: float | None = None
    name: str = "trunk"
    since: float | None = None
    reachable: bool = True
    received: int = 0
    dropped: int = 0
    malformed: int = 0
    ignored: int = 0


class Sound(Up, frozen=True, tag="sound"):
    """The devices that are open, `none` where there is none.

    `problem` is a plain sentence, empty when all that is wanted works. A side may work all the same, by a
    device that stands in for one that is gone. `ring` is what rings, `none` where that is `output`.
    """

    input: str
    output: str
    problem: str = ""
    ring: str = "none"


class Flow(Up, frozen=True, tag="flow"):
    """What the dialer is doing, and with whom calls are bridged.

    `running` is false while paused. `exemptions` names every guard that is off, in words.
    `agent_state`: none, dialing, ready, busy, failed (the standing leg's or the last agent's).
    `received_gain` and `sent_gain` are the headset's, in dB.
    """

    running: bool
    operator: OperatorMode
    agents: list[str]
    agent_state: str = "none"
    muted: bool = False
    do_not_disturb: bool = False
    campaign: str = ""
    exemptions: list[str] = []
    notice: str = ""
    received_gain: float = 0.0
    sent_gain: float = 0.0
    push_to_talk: bool = False
    talking: bool = False
    """With push-to-talk: whether the microphone is open."""


class Counts(Up, frozen=True, tag="counts"):
    """The queue in figures. `abandoned` were answered and got no operator."""

    total: int
    queued: int
    active: int
    done: int
    interrupted: int
    blocked: int
    answered: int = 0
    abandoned: int = 0


class Entry(Up, frozen=True, tag="entry"):
    """One queue entry as it stands. `position` is its row in the queue, from 0.

    `state`: queued, active, done, interrupted, blocked, skipped.
    """

    id: int
    position: int
    number: str
    name: str
    note: str
    state: Literal["queued", "active", "done", "interrupted", "blocked", "skipped"]
    attempts: int
    disposition: str = ""
    heard: str = ""
    """The last tones of the last attempt, in words."""
    at: float | None = None
    """When the entry last changed its state."""
    reason: str = ""
    """Why it is blocked, held back or ended so, in one sentence."""


class Leg(Up, frozen=True, tag="leg"):
    """One leg. `role`: callee, agent, inbound, manual, supervisor, or forwarded (to whom an inbound call goes
    on). `remote` is escaped for display."""

    id: str
    role: Literal["callee", "agent", "inbound", "manual", "supervisor", "forwarded"]
    number: str
    state: LegStateName
    at: float
    remote: str = ""
    sip_code: int | None = None
    reason: str = ""
    cause: str = ""
    entry: int | None = None
    held: bool = False
    far_held: bool = False
    recording: str = ""
    """The file that it is recorded to."""
    recording_paused: bool = False
    bridged_to: str = ""
    """The other leg's id, `sound` for the headset, empty while not bridged."""
    codec: str = ""
    transfer: str = ""
    """How far a transfer of this leg has come, in words; empty where none is under way."""
    answered_at: float | None = None
    q850: int | None = None
    """The ISDN cause (Q.850) of its end, where the far end gave one."""
    retry_after: int | None = None
    """Seconds after which the far end wants to be tried again, where it said so."""
    trunk: str = "trunk"
    conference: str = ""
    """The conference it is in, the same for all its legs; empty for none."""
    supervises: str = ""
    """The leg whose call it supervises, as `supervision` says."""
    supervision: Literal["", "listen", "whisper", "barge"] = ""
    forwarded_to: str = ""
    """The number that an inbound call goes on to by itself (sip.forward); empty for one to be answered."""
    music: bool = False
    """Held, with music."""
    received_gain: float = 0.0
    sent_gain: float = 0.0


class Attempt(Up, frozen=True, tag="attempt"):
    """A queue entry's call going through its steps. `leg` is empty before dialling.

    `deadline` is when the present state times out, in UNIX seconds.
    """

    entry: int
    attempt: int
    number: str
    name: str
    state: AttemptState
    at: float
    leg: str = ""
    agent_leg: str = ""
    deadline: float | None = None
    disposition: str = ""
    waiting_for_operator: bool = False


class LogLine(Up, frozen=True, tag="log"):
    """One line for the log pane. Text from the network is escaped already."""

    at: float
    level: Literal["debug", "info", "warning", "error"]
    text: str
    leg: str = ""


class Snapshot(Up, frozen=True, tag="snapshot"):
    """All of the state at one moment; every later event applies to it. `trunk` is the first of `trunks`."""

    at: float
    trunk: Trunk
    sound: Sound
    flow: Flow
    counts: Counts
    legs: list[Leg]
    attempts: list[Attempt]
    log: list[LogLine]
    trunks: list[Trunk] = []


# --- events ----------------------------------------------------------------------------------

class Hello(Up, frozen=True, tag="hello"):
    """First line up: the wire's version, the engine's version and process id."""

    wire: int
    version: str
    pid: int


class Reply(Up, frozen=True, tag="reply"):
    """The answer to one request. `ok` false: nothing was changed, and `error` says why."""

    id: int | None
    ok: bool
    error: str = ""
    rows: QueueRows | None = None
    trace: Traced | None = None


class Traced(Up, frozen=True):
    """The SIP messages of a call, in order; `lost` older ones are gone. `ladder` draws them, line by line."""

    title: str
    lost: int
    messages: list[Traffic]
    ladder: list[str] = []


class Traffic(Up, frozen=True):
    """One SIP message as it passed. `data` is its octets in base64, with credentials and keys starred out.

    `local` and `remote` are an IP address and a port.
    """

    at: float
    sent: bool
    transport: Literal["udp", "tcp", "tls"]
    local: tuple[str, int]
    remote: tuple[str, int]
    data: bytes


class QueueRows(Up, frozen=True):
    """A page of the queue."""

    offset: int
    total: int
    rows: list[Entry]


class QueueChanged(Up, frozen=True, tag="queue_changed"):
    """Rows were added, removed or reordered: fetch the pages on show again."""

    counts: Counts


class Sample(Up, frozen=True):
    """A known announcement, in mod_da2's words. `category` is one of 2 to 20, 0 for none; `accuracy` LOOSE,
    INACCURACY or ACCURACY, of which only the last one's matches end a call."""

    uniqueid: str
    name: str = ""
    alias: str = ""
    brief: str = ""
    detail: str = ""
    language: str = ""
    source: str = ""
    number: str = ""
    category: int = 0
    accuracy: str = "ACCURACY"


class Detection(Up, frozen=True, tag="detection"):
    """Heard on a leg. `begin_ms` and `end_ms` count from when listening began. `sample` is the known
    announcement where `tone` is `sample`, `digit` the key where it is `dtmf`."""

    at: float
    leg: str
    tone: str
    begin_ms: int
    end_ms: int
    confidence: float
    why: str
    sample: Sample | None = None
    digit: str = ""


class Hearing(Up, frozen=True):
    """What came of listening to a call, in mod_da2's words: `all_tone` has the bits of all its eight tones
    that were heard, `category` is the last announcement's, `sample` its uniqueid and `correction` what it
    means after ringing, each null where none was known; `result` is the word for it all, `status` the
    number's, empty while the call lasts.
    """

    finish_cause: str
    all_tone: int
    last_tone: str
    category: int | None
    correction: int | None
    result: str
    status: str = ""
    sample: str | None = None
    corrected: str = ""
    """Where it was put right later, when what was said became known: when, by what, what it was before."""


class Listened(Up, frozen=True, tag="listened"):
    """Listening to a leg has ended."""

    at: float
    leg: str
    hearing: Hearing


class Digit(Up, frozen=True, tag="digit"):
    """A key press: `received` from the leg, or sent to it."""

    at: float
    leg: str
    digit: str
    received: bool = True


class Sip(Up, frozen=True, tag="sip"):
    """A SIP message of a leg passed: `INVITE`, `180 Ringing`, ... for the timeline."""

    at: float
    leg: str
    sent: bool
    text: str


class Quality(Up, frozen=True):
    """How a leg sounds here. `mos` is the mean opinion score by the E-model (ITU-T G.107), 1 to 4.5; `loss`,
    in percent, counts packets that came too late as well, `jitter_ms` is RFC 3550's, `depth_ms` the jitter
    buffer's.

    `round_trip_ms` and the `far_` figures are what RTCP tells: how what we send arrives. Null is not known.
    `received`, `lost` and `late` are packets, `concealed_ms` is audio made up for them.
    """

    mos: float
    loss: float
    jitter_ms: float
    round_trip_ms: float | None = None
    far_loss: float | None = None
    far_lost: int | None = None
    far_jitter_ms: float | None = None
    depth_ms: float | None = None
    received: int = 0
    lost: int = 0
    late: int = 0
    concealed_ms: int = 0


class AttemptDone(Up, frozen=True, tag="attempt_done"):
    """A finished attempt, whole. `offhook run --json` prints one a line.

    `states` gives when each state was first entered, in ms from `started_at` (ISO 8601, UTC).
    `detections` in order of begin. `sip_code` is the final response's, null where none came.
    `duration` is in seconds from `started_at` to the end of the callee's call; the time that was
    talked is `duration` less `states.bridged`. `recording` is the file's path, the callee's where both
    sides were recorded. `quality` is of the callee's whole call, null where nothing was heard; `hearing` null
    where nobody listened.
    """

    number: str
    name: str
    entry: int
    started_at: str
    states: dict[str, int]
    detections: list[Detection]
    digits: str
    sip_code: int | None
    reason: str
    disposition: str
    duration: float
    agent: str = ""
    recording: str = ""
    quality: Quality | None = None
    hearing: Hearing | None = None


class CallResult(Up, frozen=True, tag="call_result"):
    """The last line of `offhook call --json`: how the call ended.

    `cause` is the leg's hangup cause. `answered_ms` counts from dialling, `duration` (in seconds)
    from the answer; both are null where it was never answered. `hearing` is null where nobody listened.
    """

    number: str
    answered: bool
    cause: str
    sip_code: int | None
    reason: str
    digits: str
    answered_ms: int | None
    duration: float | None
    q850: int | None = None
    retry_after: int | None = None
    recording: str = ""
    quality: Quality | None = None
    hearing: Hearing | None = None


class Meter(Up, frozen=True):
    """Levels in dBm0, -90 for silence; `tone` is what is heard at this moment."""

    received: float
    sent: float
    tone: str = ""


class Meters(Up, frozen=True, tag="meters"):
    """The latest levels of every leg (and of `sound`), at most ten times a second."""

    at: float
    legs: dict[str, Meter]


class Spectrum(Up, frozen=True, tag="spectrum"):
    """What is received from a leg, for a spectrogram: a column for each `step_s`, the first beginning `at`.

    A column has a hexadecimal digit for each of 16 bands of 250 Hz, the lowest first: 0 is below -66 dBm0,
    each step more 4 dB. Sent to connections that `look` at the leg, ten columns a second at most.
    """

    at: float
    leg: str
    step_s: float
    columns: list[str]


class Qualities(Up, frozen=True, tag="quality"):
    """How every leg sounds now, of its last seconds; once a second while anything is heard."""

    at: float
    legs: dict[str, Quality]


class Bye(Up, frozen=True, tag="bye"):
    """The engine is ending; the connection closes after this line."""

    reason: str


Event = (
    Hello | Snapshot | Reply | Trunk | Sound | Flow | Counts | Entry | QueueChanged | Leg | Attempt
    | LogLine | Detection | Listened | Digit | Sip | AttemptDone | CallResult | Meters | Spectrum | Qualities
    | Bye
)
