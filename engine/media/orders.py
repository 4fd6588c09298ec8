"""All that passes between the media thread and the rest: orders in, facts out.

Kept to plain values so that the media thread could become a process of its own. A stream is one
leg's RTP; the sound card is the stream named `SOUND`.
"""

from __future__ import annotations

import socket
from typing import Literal

import msgspec

from engine.detect.control import Settings
from engine.detect.outcome import Outcome
from engine.detect.types import Detection

SOUND = "sound"
"""The stream id of the local headset in `Bridge`, `Conference`, `Gain`, `Mute`, `Play` and the meters."""
RING = "ring"
"""The stream id of what rings, in `Play` and `StopPlay` alone."""

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Format = Literal["wav", "wav_alaw", "wav_ulaw", "flac"]
"""Of a recording: WAV in 16 bit, A-law or mu-law, or FLAC."""


class Codec(msgspec.Struct, frozen=True):
    """A negotiated audio format. `name` is the rtpmap encoding name: PCMA, PCMU, G722 or opus."""

    name: str
    payload_type: int


class Event(msgspec.Struct, frozen=True):
    """A negotiated telephone-event (RFC 4733). `clock` is that of its durations, in Hz."""

    payload_type: int
    clock: int = 8000


class SrtpKeys(msgspec.Struct, frozen=True):
    """What SRTP packets are encrypted with (RFC 3711): each way a suite's name as in RFC 4568, master key
    and salt. `received_mki` octets in each received packet name its key; 0 for none.
    """

    suite: str
    sent: bytes
    received: bytes
    received_mki: int = 0

    def __repr__(self) -> str:
        return f"SrtpKeys({self.suite})"


class Latch(msgspec.Struct, frozen=True):
    """Who may be the far end besides SDP's own address, which always may.

    `rule` is "sdp" for SDP's host with another port and signalling's host, "nat" for any host too where SDP's
    address is private and the host's isn't, or can't be used; each after SDP's address has been silent for a
    while. "first" takes any host at once. A known source that was silent for `relatch_after` seconds may be
    replaced by another that the rule allows; 0 for never.
    """

    rule: Literal["sdp", "nat", "first"] = "nat"
    relatch_after: float = 0.0


class Control(msgspec.Struct, frozen=True):
    """Where the far end takes RTCP: on `host`, empty for RTP's, and `port`, 0 for the one after RTP's; with
    `mux` on RTP's own port, and so do we (RFC 5761).
    """

    host: str = ""
    port: int = 0
    mux: bool = False


# Sources of generated audio

class WavSource(msgspec.Struct, frozen=True, tag="wav"):
    """A RIFF/WAVE file, mono or stereo, any rate, PCM or G.711; resampled to 8 kHz when loaded."""

    path: str


class ToneSource(msgspec.Struct, frozen=True, tag="tone"):
    """A tone of a country's plan: `ringback`, `busy` or `congestion`, at `level_dbm0`."""

    country: str
    tone: str = "ringback"
    level_dbm0: float = -19.0


class BeepSource(msgspec.Struct, frozen=True, tag="beep"):
    """One sine, as a sign to the operator."""

    hertz: float = 880.0
    ms: int = 250
    level_dbm0: float = -16.0


Source = WavSource | ToneSource | BeepSource


# Orders

class OpenStream(msgspec.Struct, frozen=True):
    """Take over a bound, non-blocking UDP socket and listen. Nothing is sent until `SetRemote`.

    Where it is `encrypted`, nothing is taken until then either. `control` is the socket of its RTCP, bound to
    the next port; None for none.
    """

    stream: str
    sock: socket.socket
    encrypted: bool = False
    control: socket.socket | None = None


class SetRemote(msgspec.Struct, frozen=True):
    """Where to send and in which format, from SDP; again on a 183, a 200 and every re-INVITE.

    `codecs` holds what may arrive; the first is sent, in packets of `ptime_ms` (10, 20, 30, 40 or 60).
    `also` are other numbers that the same codecs may come with: those that we offered (RFC 3264, 6.1).
    `events` are telephone-events that may arrive; the first is sent. `direction` is ours. With `send_first`
    silence is sent until something better is there, for far ends that wait for our first packet. With
    `srtp` every packet is encrypted, both ways, and what isn't is discarded. Without `control` no RTCP goes
    either way. `signalling` is the host that signalling goes to, empty for none: audio may come from there.
    With `hear_keys` the audio is listened to for DTMF. With `comfort_noise` pauses in what a bridge gives are
    told by comfort noise (RFC 3389), in place of being sent.
    """

    stream: str
    host: str
    port: int
    codecs: tuple[Codec, ...]
    events: tuple[Event, ...] = ()
    direction: Direction = "sendrecv"
    send_first: bool = True
    also: tuple[Codec, ...] = ()
    ptime_ms: int = 20
    srtp: SrtpKeys | None = None
    control: Control | None = None
    signalling: str = ""
    hear_keys: bool = False
    comfort_noise: bool = False


class CloseStream(msgspec.Struct, frozen=True):
    stream: str


class Play(msgspec.Struct, frozen=True):
    """Play to the stream, in place of whatever it was sent. `tag` comes back in `PlaybackEnded`."""

    stream: str
    source: Source
    loop: bool = False
    tag: str = ""


class StopPlay(msgspec.Struct, frozen=True):
    stream: str


class Bridge(msgspec.Struct, frozen=True):
    """Join two streams both ways; ends what either was playing and any bridge either was in."""

    a: str
    b: str


class Unbridge(msgspec.Struct, frozen=True):
    stream: str


class Member(msgspec.Struct, frozen=True):
    """One party of a conference. `hears` names whom it hears; None: everybody else."""

    stream: str
    hears: tuple[str, ...] | None = None


class Conference(msgspec.Struct, frozen=True):
    """Mix streams, SOUND among them where wanted; a later one of the same name takes its place, one without
    members ends it.

    Whoever comes in leaves the bridge or conference it was in; whoever is no member any more is left with
    silence. Who may only listen is named in nobody's `hears`. The others go on when one is closed.
    """

    name: str
    members: tuple[Member, ...]


class Gain(msgspec.Struct, frozen=True):
    """How loud the others hear a stream (`received_db`), and how loud it hears them (`sent_db`); of SOUND the
    microphone and the loudspeaker. -30 to +20 dB; what gets too loud is limited softly. Tones that are played
    keep their level.
    """

    stream: str
    received_db: float = 0.0
    sent_db: float = 0.0


class Hold(msgspec.Struct, frozen=True):
    """Take a stream out of its bridge or conference: nobody hears it, and it gets `source` over and over, or
    silence. `Bridge` or `Conference` brings it back. `PlaybackEnded` with the tag `hold` tells that a
    source can't be played; silence is sent then.
    """

    stream: str
    source: Source | None = None


class SendDigits(msgspec.Struct, frozen=True):
    """Send DTMF by RFC 4733: each digit `duration_ms` long, `gap_ms` apart, three end packets; as tones to
    a far end that did not offer it, or where they are asked for (`inband`)."""

    stream: str
    digits: str
    duration_ms: int = 160
    gap_ms: int = 80
    inband: bool = False


class Mute(msgspec.Struct, frozen=True):
    """While muted, what comes from the stream reaches nobody (SOUND: the microphone)."""

    stream: str
    muted: bool


class Record(msgspec.Struct, frozen=True):
    """Record both sides of a stream (left received, right sent; or mixed into one) to a new file; None stops.

    No file is overwritten: another name is found where `path` is taken. Below `min_free` octets on its disk
    the recording ends. `tag` comes back in the facts. `analysed`: only while the stream is listened to for
    detection and audio has come; without any there is no file.
    """

    stream: str
    path: str | None
    format: Format = "wav"
    mixed: bool = False
    min_free: int = 0
    tag: str = ""
    analysed: bool = False


class PauseRecording(msgspec.Struct, frozen=True):
    """While paused nothing is recorded: the file goes on with what follows the pause."""

    stream: str
    paused: bool


class Detect(msgspec.Struct, frozen=True):
    """Start listening with the country's tone plan (None: all plans), or stop with `on=False`.

    `answered`: the call has been already; `call_s`: for how long it has lasted. What is heard is `Detected`;
    when listening has ended, `Listened`.
    """

    stream: str
    on: bool = True
    country: str | None = None
    settings: Settings = Settings()
    answered: bool = False
    call_s: float = 0.0


class Answered(msgspec.Struct, frozen=True):
    """The call of a stream that is listened to was answered: a person is now told from a machine."""

    stream: str


class Look(msgspec.Struct, frozen=True):
    """Keep the last frames received, for `MediaEngine.looked_at`, or no longer."""

    stream: str
    on: bool


class SetRtpTimeout(msgspec.Struct, frozen=True):
    """Report `RtpTimeout` once nothing valid came for `seconds`; None switches it off (hold)."""

    stream: str
    seconds: float | None


class OpenSound(msgspec.Struct, frozen=True):
    """Open the sound card: a device's name, `default`, or `none` for either side.

    `ring` is the same for what rings, or empty: at `output`. The last three are WebRTC's processing of the
    microphone (see voice_processor.py).
    """

    input: str
    output: str
    ring: str = ""
    echo_cancel: bool = False
    noise_suppression: bool = False
    auto_gain: bool = False


class CloseSound(msgspec.Struct, frozen=True):
    pass


Order = (
    OpenStream | SetRemote | CloseStream | Play | StopPlay | Bridge | Unbridge | Conference | Gain | Hold
    | SendDigits | Mute | Record | PauseRecording | Detect | Answered | Look | SetRtpTimeout | OpenSound
    | CloseSound
)


# Facts. `at` is time.monotonic() in seconds, read in the media thread.

class RtpStarted(msgspec.Struct, frozen=True):
    """The first valid packet since the stream was opened, and where it really came from."""

    stream: str
    at: float
    host: str
    port: int


class RtpTimeout(msgspec.Struct, frozen=True):
    stream: str
    at: float
    silent_s: float


Way = Literal["rtp", "info", "inband"]
"""How a digit goes: telephone-event (RFC 4733), SIP INFO, or as tones in the audio."""


class DigitReceived(msgspec.Struct, frozen=True):
    """One key press, however many packets carried it; told when it begins, as soon as it is certain.

    `duration_ms` is how long the key had been down by then.
    """

    stream: str
    at: float
    digit: str
    duration_ms: int
    way: Way = "rtp"


class DigitEnded(msgspec.Struct, frozen=True):
    """A key that `DigitReceived` told came up; `duration_ms` is how long it was down."""

    stream: str
    at: float
    digit: str
    duration_ms: int
    way: Way = "rtp"


class Detected(msgspec.Struct, frozen=True):
    stream: str
    at: float
    detection: Detection


class Listened(msgspec.Struct, frozen=True):
    """Listening has ended, and what came of it; told once for each `Detect`. Detections of people, machines
    and beeps may follow. `hang_up`: the call is to be ended for it, by the settings.
    """

    stream: str
    at: float
    outcome: Outcome
    hang_up: bool = False


class Unmatched(msgspec.Struct, frozen=True):
    """Speech that no known announcement matched: what was said, 16 bits at 8 kHz."""

    stream: str
    at: float
    pcm: bytes


class PlaybackEnded(msgspec.Struct, frozen=True):
    """A `Play` without loop reached its end, or could not start: then `error` says why."""

    stream: str
    at: float
    tag: str
    error: str = ""


class DigitsSent(msgspec.Struct, frozen=True):
    stream: str
    at: float
    digits: str


class RecordingStarted(msgspec.Struct, frozen=True):
    """A recording's file was made, at this path."""

    stream: str
    at: float
    path: str
    tag: str = ""


class RecordingEnded(msgspec.Struct, frozen=True):
    """A recording was closed; `error` says why where it stopped before it was told to."""

    stream: str
    at: float
    path: str
    error: str = ""
    tag: str = ""
    seconds: float = 0.0
    """How much sound the file holds."""


class SoundChanged(msgspec.Struct, frozen=True):
    """The sound card opened, failed or closed, or a device went or came back: what is open now.

    `problem` is empty when well; a side may work all the same, by a device that stands in. `ring` is `none`,
    too, where it rings at the output.
    """

    at: float
    input: str
    output: str
    problem: str = ""
    ring: str = "none"


class Overload(msgspec.Struct, frozen=True):
    """The machine can't keep up: `frames` of 20 ms were not heard by the detectors. Told when it begins, and
    with `on=False` when nothing has been shed for a while, with how many it were in all. Audio is not shed.
    """

    at: float
    on: bool
    frames: int


class Quality(msgspec.Struct, frozen=True):
    """How a stream sounds here, now and overall. `mos` is the E-model's mean opinion score (ITU-T G.107), 1
    to 4.5, of the last seconds; `loss` is in percent of packets, those too late included; `far_` is what the
    far end says of what we send. None is not known: nothing by RTCP yet, or packets only passed on.
    """

    mos: float
    loss: float
    jitter_ms: float
    round_trip_ms: float | None
    far_loss: float | None
    far_lost: int | None
    far_jitter_ms: float | None
    depth_ms: float | None
    received: int
    lost: int
    late: int
    concealed_ms: int
    overall_mos: float
    overall_loss: float


def overall(quality: Quality) -> dict[str, float | None]:
    """The whole call's figures by name: what is only of the present is replaced or left out."""
    figures: dict[str, float | None] = msgspec.structs.asdict(quality)
    figures["mos"] = figures.pop("overall_mos")
    figures["loss"] = figures.pop("overall_loss")
    return figures


class StreamStats(msgspec.Struct, frozen=True):
    sent: int
    received: int
    lost: int
    late: int
    discarded: int
    """Packets that were not RTP, were from elsewhere, had an unknown payload type or failed SRTP's check."""
    discards: dict[str, int] = {}
    """The same by reason: malformed, foreign, payload_type, srtp."""
    duplicates: int = 0
    reordered: int = 0
    quality: Quality | None = None
    """At its end; None where nothing was received."""


class StreamClosed(msgspec.Struct, frozen=True):
    stream: str
    at: float
    stats: StreamStats


Fact = (
    RtpStarted | RtpTimeout | DigitReceived | DigitEnded | Detected | Listened | Unmatched | PlaybackEnded
    | DigitsSent | RecordingStarted | RecordingEnded | SoundChanged | Overload | StreamClosed
)


class Meter(msgspec.Struct, frozen=True):
    """Latest levels of a stream in dBm0 (0 is 3.17 dB below full scale); -90 is silence.

    `tone` names what the detector hears at this moment, empty for nothing in particular.
    """

    received_dbm0: float
    sent_dbm0: float
    tone: str = ""
