"""What pyVoIP 1.6.8 does wrong with audio, and that our stream, which extends its `RTPClient`, does not.

Real packets on loopback, but the media thread's time is the test's: a stream is ticked by hand.
"""

from __future__ import annotations

import socket
import struct
import threading
import types
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import pyVoIP.RTP
import pyVoIP.VoIP
from pyVoIP.RTP import PayloadType, RTPClient, TransmitType

from engine.media import codec
from engine.media.dtmf import DigitReceiver
from engine.media.engine import MediaEngine
from engine.media.level import MILLIWATT_POWER
from engine.media.network import udp
from engine.media.network.rtp import Packet
from engine.media.orders import Codec, Event, Fact, SetRemote
from engine.media.playout.playout import MAX_PACKETS, Playout
from engine.media.stream import RtpStream
from engine.media.timing.clock import PERIOD_NS

Pcm = codec.Pcm


def tone(dbm0: float, seconds: float = 1.0, hertz: float = 1012.0) -> Pcm:
    amplitude = np.sqrt(2 * MILLIWATT_POWER * 10 ** (dbm0 / 10))
    phase = 2 * np.pi * hertz * np.arange(int(8000 * seconds)) / 8000
    return np.round(amplitude * np.sin(phase)).astype(np.int16)


def packet(payload_type: int, n: int, payload: bytes, *, marker: bool = False, timestamp: int = -1) -> bytes:
    at = (n * 160 if timestamp < 0 else timestamp) & 0xFFFFFFFF
    return struct.pack("!BBHII", 0x80, payload_type | marker << 7, n & 0xFFFF, at, 0x5151) + payload


def signal_to_noise(got: Pcm, sent: Pcm) -> float:
    """In dB, once the two are aligned; the received one is scaled to fit."""
    x, all_y = sent.astype(float), got.astype(float)
    lag = int(np.argmax(np.correlate(all_y, x, "valid")))
    y = all_y[lag : lag + len(x)]
    y = y - y.mean()
    y *= np.dot(x, y) / np.dot(y, y)
    return float(10 * np.log10(np.dot(x, x) / np.dot(x - y, x - y)))


def stock(law: int = 0, dtmf: list[str] | None = None) -> RTPClient:
    assoc = {law: PayloadType(law), 101: PayloadType.EVENT}
    pressed = dtmf if dtmf is not None else []
    return RTPClient(assoc, "127.0.0.1", 0, "127.0.0.1", 9, TransmitType.SENDRECV, pressed.append)


class Bench:
    """Our stream between a real socket and the test's clock."""

    def __init__(self, law: Codec) -> None:
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.bind(("127.0.0.1", 0))
        self.far.settimeout(5)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        self.address = sock.getsockname()
        self.facts: list[Fact] = []
        self.now = 100.0
        self.inbox = udp.Inbox()
        self.stream = RtpStream({}, "", 0, "", 0, name="bench", sample_width=2)
        self.stream.open(sock, self.now)
        self.stream.set_remote(SetRemote("bench", *self.far.getsockname(), (law,), (Event(101),)), self.now)
        self.stream.read(0, blocking=False)  # somebody listens

    def receive(self, data: bytes) -> None:
        self.far.sendto(data, self.address)

    def tick(self) -> Pcm:
        self.now += 0.02
        self.stream.receive_tick(self.inbox, self.now, self.facts)
        return self.stream.rx

    def send(self) -> bytes:
        self.stream.send_tick(self.now, self.facts)
        return self.far.recv(2048)

    def close(self) -> None:
        self.stream.close(0.0)
        self.far.close()


@pytest.fixture(params=[Codec("PCMU", 0)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.close()


class TestQuality:
    def test_audio_is_8_bit_linear_in_pyvoip_and_g711_here(self, bench: Bench) -> None:
        sent = tone(-25.0)
        frames = [codec.encode("PCMU", sent[n : n + 160]) for n in range(0, len(sent), 160)]

        client = stock()
        for n, frame in enumerate(frames):
            client.parse_packet(packet(0, n, frame))
        eight_bit = np.frombuffer(client.pmin.read(8000), np.uint8).astype(np.int16) - 128
        print(f"pyVoIP: {signal_to_noise(eight_bit, sent):.1f} dB", end=", ")
        assert signal_to_noise(eight_bit, sent) < 23

        heard = []
        for n, frame in enumerate([*frames, *[codec.SILENCE["PCMU"]] * 10]):
            bench.receive(packet(0, n, frame))
            heard.append(bench.tick())
        ours = signal_to_noise(np.concatenate(heard), sent)
        print(f"ours: {ours:.1f} dB")
        assert ours > 35
        law_itself = signal_to_noise(codec.decode("PCMU", b"".join(frames)), sent)
        assert ours == pytest.approx(law_itself, abs=0.01)

    @pytest.mark.parametrize("bench", [Codec("PCMA", 8)], indirect=True)
    def test_a_law_is_sent_as_mu_law_by_pyvoip_and_as_a_law_here(self, bench: Bench) -> None:
        pcm = tone(-10.0, 0.02)
        eight_bit = ((pcm >> 8) + 128).astype(np.uint8).tobytes()
        assert stock(8).encode_packet(eight_bit) == stock(0).encode_packet(eight_bit)

        bench.stream.write(pcm.astype("<i2").tobytes())
        data = bench.send()
        assert data[1] & 0x7F == 8
        assert data[12:] == codec.encode("PCMA", pcm)


class TestClock:
    def test_pyvoips_transmit_clock_drifts_with_every_sleep_and_ours_keeps_its_grid(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        oversleep = 130e-6  # what a kernel adds to each sleep
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds + oversleep

        clock = types.SimpleNamespace(monotonic_ns=lambda: int(now[0] * 1e9), sleep=sleep)
        monkeypatch.setattr(pyVoIP.RTP, "time", clock)
        client, sent_at = stock(), []

        class Out:
            def sendto(self, data: bytes, to: object) -> None:
                sent_at.append(now[0])
                client.NSD = len(sent_at) <= 50

        client.sout = Out()
        client.trans()
        assert sent_at[50] - 1.0 == pytest.approx(50 * oversleep, rel=0.01)  # 6.5 ms in a second

        engine = MediaEngine(lambda fact: None)
        deadline = 7 * PERIOD_NS
        for n in range(1, 51):
            deadline = engine._due(deadline, deadline + int(oversleep * 1e9))
            assert deadline == (7 + n) * PERIOD_NS

    def test_pyvoip_takes_two_threads_a_leg_and_we_none(self) -> None:
        before = threading.active_count()
        client = stock()
        with warnings.catch_warnings(action="ignore"):  # its sender finds the socket closed
            client.start()
            started = set(threading.enumerate())
            client.stop()
            for thread in started - {threading.current_thread()}:
                if thread.name.startswith("RTP"):
                    thread.join(5)
        assert len(started) == before + 2

        engine = MediaEngine(lambda fact: None)
        engine.start()
        try:
            streams = [
                RtpStream({0: PayloadType.PCMU}, "127.0.0.1", 0, "127.0.0.1", 9, engine=engine, name=str(n))
                for n in range(10)
            ]
            running = {thread.name for thread in threading.enumerate()}
            for stream in streams:
                stream.start()
            assert {thread.name for thread in threading.enumerate()} <= running
        finally:
            engine.stop()


class TestReceiving:
    def test_pyvoip_keeps_every_packet_for_ever_and_we_a_hundred(self) -> None:
        client = stock()
        playout = Playout()
        for n in range(1000):
            client.parse_packet(packet(0, n, b"\xff" * 160))
            client.pmin.read(160)
            playout.put(Packet(0, n, n * 160, 1, b"\xff" * 160), "PCMU", n * 0.02)
        assert len(client.pmin.log) == 1000
        assert len(playout._packets) <= MAX_PACKETS

    @pytest.mark.parametrize("data", [b"", b"\x80", b"\x80" * 2, b"\x00" * 172])
    def test_a_malformed_packet_kills_pyvoips_thread_and_is_counted_here(
        self, bench: Bench, data: bytes
    ) -> None:
        if len(data) < 12:
            with pytest.raises((TypeError, ValueError, IndexError)):  # none of which its thread catches
                stock().parse_packet(data)

        bench.receive(data)
        bench.receive(packet(0, 1, codec.encode("PCMU", tone(-10, 0.02))))
        bench.tick()
        assert bench.stream.inbound.discarded == 1
        assert bench.stream.reception.received == 1

    def test_a_leap_of_the_timestamp_grows_pyvoips_buffer_and_not_ours(self) -> None:
        client = stock()
        client.parse_packet(packet(0, 1, b"\xff" * 160, timestamp=0))
        client.parse_packet(packet(0, 2, b"\xff" * 160, timestamp=5_000_000))
        assert len(client.pmin.buffer.getbuffer()) > 5_000_000

        playout = Playout()
        playout.put(Packet(0, 1, 0, 1, b"\xff" * 160), "PCMU", 0.0)
        playout.put(Packet(0, 2, 5_000_000, 1, b"\xff" * 160), "PCMU", 0.02)
        assert sum(len(payload) for payload, _ in playout._packets.values()) <= 320

    def test_a_wrap_of_the_timestamp_loses_what_pyvoip_had_not_read_and_nothing_here(
        self, bench: Bench
    ) -> None:
        pcm = tone(-10.0, 0.08)
        frames = [codec.encode("PCMU", pcm[n : n + 160]) for n in range(0, 640, 160)]
        start = 2**32 - 320
        client = stock()
        for n, frame in enumerate(frames):
            client.parse_packet(packet(0, n, frame, timestamp=start + 160 * n))
        assert set(client.pmin.read(640)[320:]) == {0x80}  # two of the four are gone

        heard = []
        for n, frame in enumerate([*frames, *[codec.SILENCE["PCMU"]] * 6]):
            bench.receive(packet(0, n, frame, timestamp=start + 160 * n))
            heard.append(bench.tick())
        assert codec.decode("PCMU", b"".join(frames)).tobytes() in np.concatenate(heard).tobytes()

    def test_a_wrap_of_the_sequence_number_breaks_pyvoips_packet_and_not_ours(self, bench: Bench) -> None:
        client, sent = stock(), []
        client.outSequence = 65536

        class Out:
            def sendto(self, data: bytes, to: object) -> None:
                sent.append(data)
                client.NSD = False

        client.sout = Out()
        client.trans()
        assert len(sent[0]) == 170  # two octets of the header are missing

        bench.stream.out.sequence = 65535
        packets = [bench.send(), bench.send()]
        assert [len(data) for data in packets] == [172, 172]
        assert [struct.unpack_from("!H", data, 2)[0] for data in packets] == [65535, 0]


class TestDigits:
    def press(self, *, marked: int, packets: int = 5, ends: int = 3) -> list[tuple[bytes, bool]]:
        """The packets of key 5: `marked` of them with the marker bit."""
        steps = [(n, False) for n in range(1, packets + 1)] + [(packets, True)] * ends
        return [
            (struct.pack("!BBH", 5, 0x8A if end else 0x0A, 160 * step), n < marked)
            for n, (step, end) in enumerate(steps)
        ]

    @pytest.mark.parametrize(("marked", "stock_hears"), [(0, []), (1, ["5"]), (2, ["5", "5"])])
    def test_pyvoip_counts_marker_bits_and_we_presses(self, marked: int, stock_hears: list[str]) -> None:
        pressed: list[str] = []
        client, ours, heard = stock(dtmf=pressed), DigitReceiver(), []
        for n, (payload, marker) in enumerate(self.press(marked=marked)):
            client.parse_packet(packet(101, n, payload, marker=marker, timestamp=8000))
            heard += ours.feed(Packet(101, n, 8000, 1, payload), n * 0.02)
        assert pressed == stock_hears
        assert [press.digit for press in heard if not press.over] == ["5"]
