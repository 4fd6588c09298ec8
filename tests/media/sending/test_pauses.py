"""Silence suppression: pauses are described, speech is never cut."""

from __future__ import annotations

import itertools
import socket

import numpy as np
import pytest
from media_rig import sine, udp_socket

from engine.media import codec
from engine.media.codec import Pcm
from engine.media.comfort import ComfortNoise
from engine.media.network import rtp, udp
from engine.media.orders import Codec
from engine.media.pcm import PcmQueue
from engine.media.sending.pauses import UPDATE, Pauses
from engine.media.sending.sender import Sender

RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True, params=[11, 8], ids="noise {}".format)
def _noise(request):
    """In the noise of 8 the first frame, which is faded in, is quieter than any background."""
    global RNG
    RNG = np.random.default_rng(request.param)


def background(frames: int, rms: float = 60.0) -> list[Pcm]:
    return [np.rint(RNG.standard_normal(160) * rms).astype(np.int16) for _ in range(frames)]


def speech(frames: int, amplitude: int = 4000) -> list[Pcm]:
    """A voice with syllables of 200 ms and gaps of 60."""
    loud = sine(150, 160 * frames, amplitude) + sine(900, 160 * frames, amplitude // 3)
    out = [loud[n * 160 : n * 160 + 160] + background(1)[0] for n in range(frames)]
    return [background(1)[0] if n % 13 >= 10 else frame for n, frame in enumerate(out)]


def test_a_pause_is_told_once_and_then_once_a_second():
    pauses = Pauses()
    told = [pauses.feed(frame) for frame in background(600)]
    sent = [n for n, each in enumerate(told) if each is None]
    described = [n for n, each in enumerate(told) if each]
    assert sent == list(range(sent[-1] + 1))
    assert 200 <= sent[-1] < 320
    assert {b - a for a, b in itertools.pairwise(described)} == {UPDATE}
    level = 20 * np.log10(60 / 32768)
    assert all(each[0] == pytest.approx(-level, abs=1.5) for each in told if each)


@pytest.mark.parametrize("amplitude", [400, 4000, 20000])
def test_speech_is_never_a_pause(amplitude):
    pauses = Pauses()
    for frame in background(400):
        pauses.feed(frame)
    assert all(pauses.feed(frame) is None for frame in speech(1500, amplitude))


def test_speech_that_begins_is_sent_from_its_first_frame_and_half_a_second_beyond():
    pauses = Pauses()
    for frame in background(400):
        pauses.feed(frame)
    assert all(pauses.feed(frame) is None for frame in speech(50))
    told = [pauses.feed(frame) for frame in background(60)]
    assert all(each is None for each in told[:20])
    assert told[40] is not None


def test_what_is_loud_is_never_a_pause_however_steady():
    """A tone, music on hold, a machine beside the microphone."""
    pauses = Pauses()
    assert all(pauses.feed(frame) is None for frame in background(1000, 700.0))
    assert all(pauses.feed(sine(450, 160)) is None for _ in range(1000))


def test_a_muted_microphone_is_a_pause():
    pauses = Pauses()
    told = [pauses.feed(codec.SILENT_PCM) for _ in range(600)]
    assert told[-1] is not None
    assert [each[0] for each in told if each] == [127] * len([each for each in told if each])


class Voice:
    """A bridge's feed."""

    fresh = True
    ready = True

    def __init__(self, frames: list[Pcm]) -> None:
        self._frames = iter(frames)

    def pcm(self) -> Pcm:
        return next(self._frames)

    def octets(self, law: str) -> bytes:
        return codec.encode(law, self.pcm())


@pytest.fixture
def far():
    sock = udp_socket()
    yield sock
    sock.close()


@pytest.mark.parametrize("on", [True, False])
def test_on_the_wire_a_pause_is_comfort_noise_and_speech_begins_with_the_marker(far, on):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        sender = Sender(PcmQueue(8000, keep_newest=False), 1)
        sender.out.fd = ours.fileno()
        sender.out.address = udp.sockaddr(*far.getsockname(), socket.AF_INET)
        sender.set_format(Codec("PCMA", 8), 20, ())
        sender.suppress(on)
        sender.may_send = True
        frames = [*background(500), *speech(20), *background(80)]
        sender.route(Voice(frames), False)
        got: list[rtp.Packet] = []
        far.setblocking(False)
        for n in range(590):
            sender.tick(n * 0.02, True, [], "leg")
            while True:
                try:
                    got.append(rtp.parse(far.recv(2000)))
                except BlockingIOError:
                    break
    noise = [p for p in got if p.payload_type == 13]
    assert bool(noise) == on
    steps = {(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(got)}
    assert steps == {1}
    assert (got[-1].timestamp - got[0].timestamp) & 0xFFFFFFFF <= 589 * 160
    if on:
        assert len(got) < 330  # 5 s to know the background, 0.5 s on after speech
        assert [p.marker for p in got if p.payload_type == 8].count(True) == 2
        told = ComfortNoise(noise[0].payload).frame().std()
        assert 20 * np.log10(told / 60) == pytest.approx(0, abs=2)
    else:
        assert len(got) == 590
