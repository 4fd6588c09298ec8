"""Every fault that the network can do to RTP, injected packet by packet over real sockets into a real engine.

Each test's name is the fault. All of them happen at once, each to a stream of its own, in two and a half
seconds of real time; what came out of each stream's speaker side (as a recording keeps it) is then judged.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import soundfile
from media_rig import PCMA, PCMU, FarEnd, Rig, udp_socket

from engine.media import codec
from engine.media.network import rtcp, rtp
from engine.media.network.rtcp import Compound, Report
from engine.media.orders import (
    CloseStream,
    Control,
    Fact,
    Record,
    RtpTimeout,
    SetRemote,
    SetRtpTimeout,
    StreamClosed,
    StreamStats,
)

TICKS = 100
"""Of 20 ms: how long the tone of most faults lasts."""
HZ, OTHER_HZ, THIEF_HZ = 500, 800, 2000
AMPLITUDE = 8000
CLICK = 1.3 * 2 * np.pi * HZ / 8000 * AMPLITUDE
"""No step from sample to sample may be larger: the tone's own steepest step, and what A-law adds."""
SSRC = 0x1234
TOO_LATE_S = 0.015


class Sender:
    """Makes a far end's packets of a tone, in phase whatever they contain."""

    def __init__(self, hz: float = HZ, ssrc: int = SSRC, sequence: int = 1000, timestamp: int = 5000) -> None:
        self.hz, self.ssrc, self.sequence, self.timestamp = hz, ssrc, sequence, timestamp
        self.sample = 0

    def packet(self, law: str = "PCMA", size: int = 160, **fields: object) -> rtp.Packet:
        at = np.arange(self.sample, self.sample + size)
        pcm = (AMPLITUDE * np.sin(2 * np.pi * self.hz * at / 8000)).astype(np.int16)
        made = rtp.Packet(8 if law == "PCMA" else 0, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF,
                          self.ssrc, codec.encode(law, pcm))
        for name, value in fields.items():
            setattr(made, name, value)
        self.skip(size)
        self.sequence += 1
        return made

    def skip(self, size: int = 160) -> None:
        self.sample += size
        self.timestamp += size

    def data(self, **fields: object) -> bytes:
        return rtp.serialize(self.packet(**fields))  # type: ignore[arg-type]

    def stream(self, count: int = TICKS) -> list[list[bytes]]:
        return [[self.data()] for _ in range(count)]


@dataclass
class Heard:
    """What came out, and what the stream counted."""

    pcm: codec.Pcm
    stats: StreamStats
    facts: list[Fact] = field(default_factory=list)

    @cached_property
    def frames(self) -> np.ndarray:
        return self.pcm[: len(self.pcm) // 160 * 160].reshape(-1, 160).astype(float)

    def rms(self) -> np.ndarray:
        return np.sqrt((self.frames**2).mean(axis=1))

    def loud(self, hz: float | None = None) -> int:
        """Frames of 20 ms that are loud, and with `hz` of that tone."""
        loud = self.rms() > AMPLITUDE / 2 / np.sqrt(2)
        if hz is not None:
            spectrum = np.abs(np.fft.rfft(self.frames * np.hanning(160), axis=1))
            loud &= np.abs(spectrum.argmax(axis=1) * 50 - hz) <= 50
        return int(loud.sum())

    def holes(self) -> int:
        """Frames that are not loud between the first and the last that are."""
        loud = np.flatnonzero(self.rms() > AMPLITUDE / 2 / np.sqrt(2))
        return int(loud[-1] - loud[0] + 1 - len(loud)) if len(loud) else 0

    def steepest(self) -> float:
        """The largest step from sample to sample, but for the tone's beginning and end."""
        loud = np.flatnonzero(np.abs(self.pcm) > AMPLITUDE / 4)
        return float(np.abs(np.diff(self.pcm[loud[0] + 40 : loud[-1] - 40].astype(float))).max())

    def whole(self, frames: int = TICKS) -> bool:
        """Whether all of the tone was heard, once, without hole or click; a little more where play-out
        waited longer for it on the way."""
        at_most = frames + 12
        return frames - 3 <= self.loud(HZ) <= at_most and self.holes() == 0 and self.steepest() < CLICK


Step = bytes | Callable[["Case"], None]


@dataclass
class Case:
    """One fault under way: its stream, its far end, and what is sent or done at each tick."""

    rig: Rig
    name: str
    far: FarEnd
    script: list[list[Step]]

    def at(self, tick: int) -> None:
        for step in self.script[tick] if tick < len(self.script) else ():
            if isinstance(step, bytes):
                self.far.sock.sendto(step, self.far.ours)
            else:
                step(self)


FAULTS: dict[str, Callable[[], list[list[Step]]]] = {}


def fault(make: Callable[[], list[list[Step]]]) -> Callable[[], list[list[Step]]]:
    FAULTS[make.__name__] = make
    return make


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Heard]:
    """Everything at once, on one engine; again where this machine was too busy to keep the packets' time."""
    for _ in range(5):
        found, worst = inject(tmp_path_factory.mktemp("heard"))
        if worst < TOO_LATE_S:
            break
    return found


def inject(folder: Path) -> tuple[dict[str, Heard], float]:
    """What is heard of each fault, and how late a packet or a tick came at worst, in seconds."""
    rig, cases = Rig(), []
    for name, make in FAULTS.items():
        stream, far = rig.open(PCMA)
        rig.engine.order(SetRemote(stream, *far.address, (PCMA, PCMU), control=Control(mux=True)))
        rig.engine.order(Record(stream, str(folder / f"{name}.wav")))
        cases.append(Case(rig, stream, far, make()))
    for case in cases:
        case.far.receive()
    start, worst = time.monotonic(), 0.0
    for tick in range(TICKS + 25):
        for case in cases:
            case.at(tick)
        worst = max(worst, time.monotonic() - start - (tick + 1) * 0.02)
        time.sleep(max(0.0, start + (tick + 1) * 0.02 - time.monotonic()))
    worst = max(worst, rig.engine.late_us(100) / 1e6)
    for case in cases:
        rig.engine.order(CloseStream(case.name))
    closed = {fact.stream: fact.stats for fact in (rig.fact(StreamClosed) for _ in cases)}
    rig.stop()
    while not rig.facts.empty():
        rig.kept.append(rig.facts.get())
    return {
        name: Heard(
            soundfile.read(str(folder / f"{name}.wav"), dtype="int16")[0][:, 0], closed[case.name],
            [fact for fact in rig.kept if getattr(fact, "stream", "") == case.name],
        )
        for name, case in zip(FAULTS, cases, strict=True)
    }, worst


# --- nothing wrong: what the others are measured by -----------------------------------------------------


@fault
def nothing() -> list[list[Step]]:
    return Sender().stream()


def test_nothing(heard: dict[str, Heard]) -> None:
    assert heard["nothing"].whole()
    assert heard["nothing"].stats.received == TICKS
    assert (heard["nothing"].stats.lost, heard["nothing"].stats.discarded) == (0, 0)


# --- numbers that wrap, leap and change -------------------------------------------------------------------


@fault
def sequence_wrap() -> list[list[Step]]:
    return Sender(sequence=65536 - 50).stream()


def test_sequence_wrap(heard: dict[str, Heard]) -> None:
    assert heard["sequence_wrap"].whole()
    assert heard["sequence_wrap"].stats.lost == 0


@fault
def timestamp_wrap() -> list[list[Step]]:
    return Sender(timestamp=2**32 - 50 * 160).stream()


def test_timestamp_wrap(heard: dict[str, Heard]) -> None:
    assert heard["timestamp_wrap"].whole()


@fault
def ssrc_change() -> list[list[Step]]:
    """183 with one source, 200 with another of its own numbers."""
    return [*Sender().stream(50), *Sender(OTHER_HZ, 0xBEEF, 9, 77).stream(50)]


def test_ssrc_change(heard: dict[str, Heard]) -> None:
    found = heard["ssrc_change"]
    assert found.loud(OTHER_HZ) >= 47
    assert found.loud(HZ) >= 44
    assert found.stats.received == TICKS
    assert found.stats.lost == 0


def _moves(case: Case) -> None:
    case.far.sock.close()
    case.far.sock = udp_socket()
    case.rig.engine.order(SetRemote(case.name, *case.far.address, (PCMA, PCMU)))
    case.far.receive()


@fault
def ssrc_change_at_reinvite() -> list[list[Step]]:
    """A re-INVITE brings another address and another source."""
    after = Sender(OTHER_HZ, 0xBEEF, 9, 77).stream(50)
    return [*Sender().stream(49), [_moves], *after]


def test_ssrc_change_at_reinvite(heard: dict[str, Heard]) -> None:
    found = heard["ssrc_change_at_reinvite"]
    assert found.loud(OTHER_HZ) >= 47
    assert found.stats.discarded == 0


@fault
def sequence_restart() -> list[list[Step]]:
    """The same source counts anew: one packet is the price of believing it."""
    sender = Sender()
    first = sender.stream(50)
    sender.sequence = 40000
    return [*first, *sender.stream(50)]


def test_sequence_restart(heard: dict[str, Heard]) -> None:
    found = heard["sequence_restart"]
    assert found.loud(HZ) >= 93
    assert found.stats.lost == 0


@fault
def timestamp_leap() -> list[list[Step]]:
    sender = Sender()
    first = sender.stream(50)
    sender.timestamp += 1_000_000_000
    return [*first, *sender.stream(50)]


def test_timestamp_leap(heard: dict[str, Heard]) -> None:
    found = heard["timestamp_leap"]
    assert found.loud(HZ) >= 93
    assert found.stats.lost == 0


# --- headers in full --------------------------------------------------------------------------------------


@fault
def csrc() -> list[list[Step]]:
    sender = Sender()
    return [[sender.data(csrc=tuple(range(n % 16)))] for n in range(TICKS)]


@fault
def header_extension() -> list[list[Step]]:
    sender = Sender()
    return [[sender.data(extension=(0xBEDE, bytes(4 * (n % 8))))] for n in range(TICKS)]


@fault
def padding() -> list[list[Step]]:
    sender = Sender()

    def padded(octets: int) -> bytes:
        data = sender.data()
        return bytes([data[0] | 0x20]) + data[1:] + bytes(octets - 1) + bytes([octets])

    return [[padded(1 + n % 40)] for n in range(TICKS)]


@fault
def all_of_the_header() -> list[list[Step]]:
    sender = Sender()
    out: list[list[Step]] = []
    for n in range(TICKS):
        data = sender.data(csrc=(1, 2), extension=(1, bytes(8)), marker=n % 2 == 0)
        out.append([bytes([data[0] | 0x20]) + data[1:] + b"\0\0\0\4"])
    return out


@pytest.mark.parametrize("name", ["csrc", "header_extension", "padding", "all_of_the_header"])
def test_header(heard: dict[str, Heard], name: str) -> None:
    assert heard[name].whole()
    assert heard[name].stats.discarded == 0


# --- packets that come wrongly ------------------------------------------------------------------------------


@fault
def late() -> list[list[Step]]:
    """One packet comes 400 ms after its time, and it is a shrill one."""
    steps = Sender().stream()
    shrill = Sender(THIEF_HZ, sequence=1050, timestamp=5000 + 50 * 160)
    steps[50] = []
    steps[70].append(shrill.data())
    return steps


def test_late(heard: dict[str, Heard]) -> None:
    found = heard["late"]
    assert found.whole()  # made up where it lacked
    assert found.loud(THIEF_HZ) == 0
    assert (found.stats.late, found.stats.lost) == (1, 0)


@fault
def duplicate() -> list[list[Step]]:
    return [step * 3 for step in Sender().stream()]


def test_duplicate(heard: dict[str, Heard]) -> None:
    found = heard["duplicate"]
    assert found.whole()
    assert (found.stats.duplicates, found.stats.received) == (2 * TICKS, TICKS)


@fault
def reordered() -> list[list[Step]]:
    steps = Sender().stream()
    for n in range(0, TICKS - 1, 2):
        steps[n], steps[n + 1] = [], [*steps[n + 1], *steps[n]]
    return steps


def test_reordered(heard: dict[str, Heard]) -> None:
    found = heard["reordered"]
    assert found.whole()
    assert found.stats.reordered == TICKS // 2
    assert (found.stats.lost, found.stats.late) == (0, 0)


@fault
def jitter() -> list[list[Step]]:
    """Each packet is up to 40 ms late."""
    rng, steps = random.Random(4), Sender().stream()
    out: list[list[Step]] = [[] for _ in range(TICKS + 3)]
    for n, step in enumerate(steps):
        out[n + rng.choice((0, 0, 1, 2))] += step
    return out


def test_jitter(heard: dict[str, Heard]) -> None:
    found = heard["jitter"]
    assert found.loud(HZ) >= 97
    assert found.holes() == 0
    assert found.steepest() < CLICK
    assert found.stats.quality is not None
    assert 5 < found.stats.quality.jitter_ms < 30


@fault
def stall() -> list[list[Step]]:
    """The path stands still for 300 ms, then everything comes at once."""
    steps: list[list[Step]] = Sender().stream()
    kept = [each for step in steps[40:55] for each in step]
    return [*steps[:40], *([] for _ in range(15)), kept, *steps[55:]]


def test_stall(heard: dict[str, Heard]) -> None:
    found = heard["stall"]
    assert found.loud(HZ) >= 75
    assert found.steepest() < CLICK
    assert found.stats.lost == 0


@fault
def lost_single() -> list[list[Step]]:
    return [step if n % 10 != 5 else [] for n, step in enumerate(Sender().stream())]


def test_lost_single(heard: dict[str, Heard]) -> None:
    found = heard["lost_single"]
    assert found.whole()
    assert found.stats.lost == 10
    assert found.stats.quality is not None
    assert found.stats.quality.overall_loss == pytest.approx(10, abs=1)


@fault
def lost_burst() -> list[list[Step]]:
    return [step if not 40 <= n < 46 else [] for n, step in enumerate(Sender().stream())]


def test_lost_burst(heard: dict[str, Heard]) -> None:
    """120 ms: covered at first, then it fades out rather than buzzes, and comes back without a click."""
    found = heard["lost_burst"]
    assert found.stats.lost == 6
    assert found.loud(HZ) >= 94
    assert found.steepest() < CLICK
    assert 0 < found.holes() <= 5


@fault
def slow_far_end() -> list[list[Step]]:
    """Its clock is 5 % slow: it sends a packet less in every twenty."""
    source = iter(Sender().stream())
    return [[] if n % 20 == 19 else next(source) for n in range(TICKS)]


def test_slow_far_end(heard: dict[str, Heard]) -> None:
    found = heard["slow_far_end"]
    assert found.loud(HZ) >= 93
    assert found.steepest() < CLICK
    assert found.stats.lost == 0


@fault
def fast_far_end() -> list[list[Step]]:
    """Its clock is 5 % fast: a packet more in every twenty."""
    source = iter(Sender().stream(TICKS + 5))
    return [[*next(source), *next(source)] if n % 20 == 19 else next(source) for n in range(TICKS)]


def test_fast_far_end(heard: dict[str, Heard]) -> None:
    found = heard["fast_far_end"]
    assert found.loud(HZ) >= 97
    assert found.holes() == 0
    assert found.steepest() < CLICK
    assert found.stats.quality is not None


# --- what is no packet of the call ------------------------------------------------------------------------


@fault
def garbage() -> list[list[Step]]:
    rng = random.Random(9)
    steps: list[list[Step]] = Sender().stream()
    for step in steps:
        step.append(bytes([rng.randrange(64), 8]) + rng.randbytes(rng.randrange(12, 300)))  # RTP version 0
        step.append(bytes([0x90, 8]) + rng.randbytes(2) + bytes(8) + b"\0\1\xff\xff")  # an endless extension
        step.append(bytes([0xA0, 8]) + bytes(30))  # padding of length 0
    return steps


def test_garbage(heard: dict[str, Heard]) -> None:
    found = heard["garbage"]
    assert found.whole()
    assert found.stats.discards["malformed"] == found.stats.discarded == 3 * TICKS


@fault
def short() -> list[list[Step]]:
    steps: list[list[Step]] = Sender().stream()
    for n, step in enumerate(steps):
        step.append((b"\x80\x08" + bytes(10))[: n % 12])
    return steps


def test_short(heard: dict[str, Heard]) -> None:
    assert heard["short"].whole()
    assert heard["short"].stats.discards == {"malformed": TICKS}


@fault
def empty_payload() -> list[list[Step]]:
    """A header and no more, as some send to keep a NAT open; its number is the next packet's too."""
    sender = Sender()
    return [[sender.data(), *([sender.data(size=0)] if n % 10 == 0 else [])] for n in range(TICKS)]


def test_empty_payload(heard: dict[str, Heard]) -> None:
    assert heard["empty_payload"].whole()
    assert heard["empty_payload"].stats.lost == 0


@fault
def huge() -> list[list[Step]]:
    steps: list[list[Step]] = Sender().stream()
    for n, step in enumerate(steps[::10]):
        step.append(b"\x80\x08" + bytes((2049, 9000, 65000)[n % 3] - 2))
    return steps


def test_huge(heard: dict[str, Heard]) -> None:
    assert heard["huge"].whole()
    assert heard["huge"].stats.discards == {"malformed": 10}


@fault
def unknown_payload_type() -> list[list[Step]]:
    shrill, steps = Sender(THIEF_HZ, sequence=30), Sender().stream()
    return [[*step, shrill.data(payload_type=(3, 18, 34, 96, 127)[n % 5])] for n, step in enumerate(steps)]


def test_unknown_payload_type(heard: dict[str, Heard]) -> None:
    assert heard["unknown_payload_type"].whole()
    assert heard["unknown_payload_type"].stats.discards == {"payload_type": TICKS}


@fault
def third_party() -> list[list[Step]]:
    """Before, during and after, with the far end's own SSRC, payload type and numbers."""
    thief, shrill = udp_socket("127.0.0.2"), Sender(THIEF_HZ)

    def spray(case: Case) -> None:
        thief.sendto(shrill.data(), case.far.ours)

    def closes(case: Case) -> None:
        thief.setblocking(False)
        with pytest.raises(BlockingIOError):
            thief.recv(2000)  # nothing was ever sent to it
        thief.close()

    steps: list[list[Step]] = [[], [], [], [], [], *Sender().stream(TICKS - 10), [], [], [], [], []]
    return [*([spray, *step, spray] for step in steps), [closes]]


def test_third_party(heard: dict[str, Heard]) -> None:
    found = heard["third_party"]
    assert found.whole(TICKS - 10)
    assert found.loud(THIEF_HZ) == 0
    assert found.stats.discards == {"foreign": 2 * TICKS}


@fault
def rtcp_bye() -> list[list[Step]]:
    """The far end's source says goodbye and goes on: some send it at a transfer, or too early."""
    steps: list[list[Step]] = Sender().stream()
    steps[50].insert(0, rtcp.serialize(Compound((Report(SSRC),), {SSRC: "far"}, (SSRC,))))
    return steps


def test_rtcp_bye(heard: dict[str, Heard]) -> None:
    assert heard["rtcp_bye"].whole()
    assert (heard["rtcp_bye"].stats.discarded, heard["rtcp_bye"].stats.lost) == (0, 0)


@fault
def hostile_rtcp() -> list[list[Step]]:
    rng, steps = random.Random(2), Sender().stream()
    return [[*step, b"\x80" + bytes([rng.randrange(192, 224)]) + rng.randbytes(60)] for step in steps]


def test_hostile_rtcp(heard: dict[str, Heard]) -> None:
    assert heard["hostile_rtcp"].whole()


# --- pauses, lengths, codecs -----------------------------------------------------------------------------


@fault
def comfort_noise() -> list[list[Step]]:
    """Speech, a pause filled by noise 40 dB below overload (RFC 3389), speech."""
    sender = Sender()
    first = sender.stream(40)
    noise = rtp.Packet(13, sender.sequence, sender.timestamp, SSRC, bytes([40]))
    sender.sequence += 1
    for _ in range(30):
        sender.skip()
    return [*first, [rtp.serialize(noise)], *([] for _ in range(29)), *sender.stream(30)]


def test_comfort_noise(heard: dict[str, Heard]) -> None:
    found = heard["comfort_noise"]
    assert abs(found.loud(HZ) - 70) <= 4
    loud = np.flatnonzero(found.rms() > AMPLITUDE / 3)
    gap = int(np.diff(loud).argmax())
    pause = found.rms()[loud[gap] + 6 : loud[gap + 1] - 4]
    assert len(pause) > 10
    level = 20 * np.log10(np.sqrt((pause**2).mean()) / 32768)
    assert level == pytest.approx(-40, abs=4)
    assert found.stats.lost == 0


@fault
def ptime_changes() -> list[list[Step]]:
    """Packets of 20, 10, 30, 60 and 40 ms in turn."""
    sender = Sender()
    out: list[list[Step]] = [[sender.data()] for _ in range(20)]
    out += [[sender.data(size=80), sender.data(size=80)] for _ in range(20)]
    for samples in (240, 480, 320):
        ahead = 0
        for _ in range(24):
            step: list[Step] = []
            while ahead < 160:
                step.append(sender.data(size=samples))
                ahead += samples
            ahead -= 160
            out.append(step)
    return out[:TICKS]


def test_ptime_changes(heard: dict[str, Heard]) -> None:
    found = heard["ptime_changes"]
    assert found.loud(HZ) >= 97
    assert found.holes() == 0
    assert found.steepest() < CLICK
    assert (found.stats.lost, found.stats.late) == (0, 0)


@fault
def codec_changes() -> list[list[Step]]:
    """From A-law to mu-law and back, both agreed on, in one stream of numbers."""
    sender = Sender()
    return [[sender.data(law="PCMU" if n // 7 % 2 else "PCMA")] for n in range(TICKS)]


def test_codec_changes(heard: dict[str, Heard]) -> None:
    assert heard["codec_changes"].whole()


@fault
def damaged_comfort_noise() -> list[list[Step]]:
    """Noise of any length and content between the tone's packets."""
    rng, sender = random.Random(1), Sender()
    out: list[list[Step]] = []
    for n in range(TICKS):
        out.append([sender.data()])
        if n % 9 == 0:
            out[-1].append(sender.data(size=0, payload_type=13, payload=rng.randbytes(n)))
    return out


def test_damaged_comfort_noise(heard: dict[str, Heard]) -> None:
    found = heard["damaged_comfort_noise"]
    assert found.loud(HZ) >= 97


@fault
def no_rtp() -> list[list[Step]]:
    """The far end falls silent for good."""

    def watch(case: Case) -> None:
        case.rig.engine.order(SetRtpTimeout(case.name, 0.8))

    first, *rest = Sender().stream(40)
    return [[watch, *first], *rest]


def test_no_rtp(heard: dict[str, Heard]) -> None:
    found = heard["no_rtp"]
    assert abs(found.loud(HZ) - 40) <= 6
    assert found.rms()[-30:].max() < 50  # made-up audio does not go on for ever
    (told,) = [fact for fact in found.facts if isinstance(fact, RtpTimeout)]
    assert told.silent_s == pytest.approx(0.8, abs=0.1)


@fault
def no_rtp_but_a_pause_with_reports() -> list[list[Step]]:
    """The far end has announced a pause, and its RTCP says that it is there."""

    def watch(case: Case) -> None:
        case.rig.engine.order(SetRtpTimeout(case.name, 0.8))

    sender = Sender()
    first, *rest = sender.stream(20)
    noise = rtp.serialize(rtp.Packet(13, sender.sequence, sender.timestamp, SSRC, bytes([60])))
    report = rtcp.serialize(Compound((Report(SSRC),)))
    return [[watch, *first], *rest, [noise], *([report] if n % 25 == 0 else [] for n in range(100))]


def test_no_rtp_but_a_pause_with_reports(heard: dict[str, Heard]) -> None:
    found = heard["no_rtp_but_a_pause_with_reports"]
    assert not [fact for fact in found.facts if isinstance(fact, RtpTimeout)]


def test_every_fault_has_a_test() -> None:
    here = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    headers = {"csrc", "header_extension", "padding", "all_of_the_header"}
    assert set(FAULTS) - headers <= here
