"""What makes one key press of telephone-event packets (RFC 4733), whatever happens to them on their way."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.media.dtmf import EVENTS, HOLD_S, MAX_BURST, MAX_RATE, DigitReceiver, Press
from engine.media.network.rtp import Packet

M32 = 2**32


def packets(
    digit: str, timestamp: int, sequence: int = 0, *,
    updates: int = 8, ends: int = 3, clock: int = 8000, ssrc: int = 1,
) -> list[Packet]:
    """A press as it is sent: an update every 20 ms, then the end three times."""
    unit = clock // 50
    durations = [unit * (n + 1) for n in range(updates)] + [unit * updates] * ends
    return [
        Packet(101, (sequence + n) % 65536, timestamp % M32, ssrc,
               struct.pack("!BBH", EVENTS.index(digit), 10 | (0x80 if n >= updates else 0), duration))
        for n, duration in enumerate(durations)
    ]  # fmt: skip


class Line:
    """A receiver, fed as a stream feeds it: with its clock and the gaps of its sequence numbers."""

    def __init__(self, clock: int = 8000, after: int | None = None) -> None:
        self.receiver = DigitReceiver()
        self.clock = clock
        self.now = 100.0
        self.told: list[tuple[float, Press]] = []
        self._next = after  # the sequence number that follows the audio so far
        self._gap_at = float("-inf")

    def take(self, packet: Packet, step: float = 0.02) -> None:
        """One packet, then the time until the next."""
        if self._next is not None and packet.sequence != self._next:
            ahead = (packet.sequence - self._next) % 65536 < 32768
            self._gap_at = self.now if ahead else self._gap_at
        if self._next is None or (packet.sequence - self._next) % 65536 < 32768:
            self._next = (packet.sequence + 1) % 65536
        self._note(self.receiver.feed(packet, self.now, self.clock, self._gap_at))
        self.wait(step)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._note(self.receiver.poll(self.now))

    def _note(self, presses: list[Press]) -> None:
        self.told += [(self.now, press) for press in presses]

    @property
    def digits(self) -> str:
        return "".join(press.digit for _, press in self.told if not press.over)

    @property
    def durations(self) -> list[int]:
        return [press.duration_ms for _, press in self.told if press.over]


def heard(sent: list[Packet], clock: int = 8000) -> Line:
    line = Line(clock)
    for packet in sent:
        line.take(packet)
    line.wait(1.0)
    return line


def test_a_press_is_told_with_its_first_packet_and_again_when_it_is_over():
    line = Line()
    for number, packet in enumerate(packets("5", 1000)):
        line.take(packet, 0.0)
        assert [press for _, press in line.told] == (
            [Press("5", 20)] if number < 8 else [Press("5", 20), Press("5", 160, over=True)]
        )
        line.wait(0.02)


@pytest.mark.parametrize("clock", [8000, 16000, 48000])
def test_durations_are_of_the_events_own_clock(clock):
    assert heard(packets("#", 5, clock=clock), clock).durations == [160]


@pytest.mark.parametrize("clock", [8000, 16000, 48000])
@pytest.mark.parametrize("step", [0xFFFF, 0xFFFF - 95])
def test_a_press_longer_than_a_duration_can_say_is_one_digit(clock, step):
    """Section 2.5.1.3: segments, each with a timestamp 0xFFFF after the last, or at its last update."""
    sent, sequence = [], 0
    for segment in range(3):
        for duration in [*range(clock // 50, step, clock // 50), step]:
            payload = struct.pack("!BBH", 4, 10, duration)
            sent.append(Packet(101, sequence, (M32 - 30000 + segment * step) % M32, 1, payload))
            sequence += 1
    sent.append(Packet(101, sequence, sent[-1].timestamp, 1, struct.pack("!BBH", 4, 0x8A, step)))
    line = heard(sent, clock)
    assert (line.digits, line.durations) == ("4", [3 * step * 1000 // clock])


@pytest.mark.parametrize("lost", ["around a boundary", "a whole segment", "all but a packet of each"])
def test_a_long_press_with_losses_is_one_digit(lost):
    sent = [
        Packet(101, n, n // 410 * 0xFFFF, 1, struct.pack("!BBH", 4, 10, min(0xFFFF, (n % 410 + 1) * 160)))
        for n in range(4 * 410)
    ]
    sent.append(Packet(101, len(sent), sent[-1].timestamp, 1, struct.pack("!BBH", 4, 0x8A, 0xFFFF)))
    line = Line()
    for n, packet in enumerate(sent):
        gone = {
            "around a boundary": n % 410 > 390 or n % 410 < 20,
            "a whole segment": 410 <= n < 820,
            "all but a packet of each": n % 410 != 200,
        }[lost]
        if gone:
            line.wait(0.02)
        else:
            line.take(packet)
    line.wait(1.0)
    assert line.digits == "4"


def test_the_same_key_twice_in_quick_succession_with_every_end_lost_is_two():
    first, second = packets("2", 0, 0, updates=2, ends=0), packets("2", 800, 5, updates=2, ends=0)
    assert heard(first + second).digits == "22"


def test_of_two_quick_presses_one_packet_each_is_enough():
    for one, other in itertools.product(range(5), repeat=2):
        sent = [packets("2", 0, 0, updates=2)[one], packets("2", 800, 8, updates=2)[other]]
        assert heard(sent).digits == "22"


def test_ends_of_a_press_that_arrive_after_the_next_began_are_not_another():
    first, second = packets("1", 1000, 0), packets("2", 3000, 11)
    assert heard(first[:9] + second[:1] + first[9:] + second[1:]).digits == "12"


def test_a_press_that_is_overtaken_by_the_next_keeps_its_place():
    first, second = packets("1", 1000, 0, updates=2), packets("2", 3000, 5, updates=2)
    line = Line()
    line.take(packets("9", 0, 65525)[0])
    line.take(second[0], 0.01)
    assert line.digits == "9", "what is missing may be a press of its own"
    line.take(first[-1], 0.0)
    line.wait(HOLD_S)
    assert line.digits == "912"


def test_a_press_after_a_loss_is_told_a_moment_later():
    line = Line()
    line.take(packets("9", 0, 0)[0])
    began = line.now
    line.take(packets("5", 4000, 20)[0])
    assert line.digits == "9"
    line.wait(0.025)
    assert line.digits == "95"
    assert line.told[-1][0] - began < HOLD_S + 0.03


def test_a_press_that_goes_on_under_another_ssrc_is_one_and_the_next_is_another():
    """The stream changes hands in the middle of it, at a 200 after a 183."""
    before, after = packets("5", 1000, 0, ends=0), packets("5", 777, 400, updates=20, ssrc=2)[8:]
    line = heard(before + after + packets("5", 77700, 412, ssrc=2))
    assert line.digits == "55"


def test_the_very_timestamp_of_a_press_before_is_another_press_under_another_ssrc():
    assert heard(packets("5", 1000, 0) + packets("5", 1000, 0, ssrc=2)).digits == "55"


def test_a_late_packet_of_the_ssrc_before_is_not_another_press():
    before, after = packets("5", 1000, 0), packets("5", 777, 400, ssrc=2)
    assert heard(before[:9] + after[:2] + before[9:] + after[2:]).digits == "55"


def test_presses_after_a_leap_back_of_the_timestamp_are_heard():
    sent = packets("1", 3_000_000_000, 0) + packets("2", 1000, 11) + packets("3", 2600, 22)
    assert heard(sent).digits == "123"


def test_a_packet_repeated_after_seconds_is_not_another_press():
    sent = [packet for n in range(100) for packet in packets("7", 4000 * n, 11 * n)]
    assert heard([*sent, sent[0], sent[500]]).digits == "7" * 100


def test_events_that_are_no_keys_and_broken_ones_are_counted_and_ignored():
    line = Line()
    payloads = [b"", b"\1\2\3", *(struct.pack("!BBH", event, 10, 160) for event in range(16, 256))]
    for n, payload in enumerate(payloads):
        line.take(Packet(101, n, n * 2000, 1, payload), 0.001)
    assert (line.digits, line.receiver.ignored) == ("", 242)


def test_a_flood_of_presses_is_bounded_and_counted():
    line = Line()
    for n in range(10_000):
        line.take(Packet(101, n % 65536, n * 800, 1, struct.pack("!BBH", n % 16, 10, 160)), 0.001)
    assert MAX_BURST <= len(line.digits) <= MAX_BURST + 10 * MAX_RATE + 1
    assert line.receiver.flooded == 10_000 - len(line.digits)
    line.wait(2.0)
    for packet in packets("5", 10_000_000, 20_000):
        line.take(packet)
    assert line.digits.endswith("5")


def test_random_octets_do_no_harm():
    rng = random.Random(3)
    receiver = DigitReceiver()
    for n in range(5000):
        packet = Packet(101, n % 65536, rng.randrange(M32), rng.randrange(3), rng.randbytes(rng.randrange(8)))
        receiver.feed(packet, n * 0.01, rng.choice((8000, 48000)), n * 0.01)
        receiver.poll(n * 0.01)


@st.composite
def journeys(draw: st.DrawFn) -> tuple[str, int, list[tuple[float, Packet]]]:
    """Keys, and their packets as they arrive: lost, doubled and late, but one of each press is there.

    Packets of one press may come after the first of the next.
    """
    keys = draw(st.text(EVENTS, min_size=1, max_size=8))
    timestamp, first = draw(st.integers(0, M32 - 1)), draw(st.integers(0, 65535))
    sequence, at, arrived = first, 0.0, []
    for key in keys:
        updates = draw(st.integers(2, 6))
        sent = packets(key, timestamp, sequence, updates=updates)
        kept = draw(st.lists(st.integers(0, len(sent) - 1), min_size=1, max_size=14))
        for number in kept:
            late = draw(st.floats(0.0, HOLD_S - 0.005))
            arrived.append((at + number * 0.02 + late, sent[number]))
        timestamp += updates * 160 + 640
        sequence += len(sent)
        at += len(sent) * 0.02
    return keys, first, sorted(arrived, key=lambda each: each[0])


@settings(max_examples=300, deadline=None)
@given(journeys())
def test_any_loss_doubling_and_reordering_that_leaves_a_packet_of_each_press_miscounts_nothing(journey):
    keys, first, arrived = journey
    line = Line(after=first)
    started = line.now
    for at, packet in arrived:
        while line.now < started + at - 0.02:
            line.wait(0.02)
        line.wait(max(0.0, started + at - line.now))
        line.take(packet, 0.0)
    line.wait(0.05)
    line.wait(1.0)
    assert line.digits == keys
    assert len(line.durations) == len(keys)
