"""DTMF as lines carry it: keys as tones, with what ITU-T Q.24 says a receiver must take or refuse."""

from __future__ import annotations

import difflib
import io
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import soundfile

from engine.detect.dtmf import DtmfDetector, KeyPress
from engine.media import codec
from engine.media.network.rtp import Packet
from engine.media.playout import Playout

KEYS = "123A456B789C*0#D"
LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
SINE_AT_0_DBM0 = 32768 / 10 ** (3.17 / 20)

Pcm = npt.NDArray[np.int16]


def shuffled(count: int, seed: int = 7) -> str:
    """Every key equally often, in no order."""
    keys = list(KEYS) * (count // 16)
    np.random.default_rng(seed).shuffle(keys)
    return "".join(keys)


def key_sounds(
    keys: str, *, on_ms: float = 70, off_ms: float = 70, level: float = -10.0, twist: float = 0.0,
    off: float = 0.0, snr: float | None = None, law: str = "PCMA", seed: int = 1,
) -> Pcm:
    """Keys as tones of any phase and any place in the frames, through G.711.

    `level` is the stronger tone's in dBm0; `twist` how much stronger the low one is, in dB; `off` how far the
    frequencies are off, as a fraction; `snr` the ratio of both tones to white noise of 0-4 kHz, in dB.
    """  # fmt: skip
    rng = np.random.default_rng(seed)
    low, high = level + min(0.0, twist), level - max(0.0, twist)
    t = np.arange(round(on_ms * 8)) / 8000
    pieces = [np.zeros(int(rng.integers(800, 1000)))]
    for key in keys:
        row, column = divmod(KEYS.index(key), 4)
        both = np.zeros(len(t))
        for hz, dbm0 in ((LOW[row], low), (HIGH[column], high)):
            phase = rng.uniform(0, 2 * np.pi)
            both += SINE_AT_0_DBM0 * 10 ** (dbm0 / 20) * np.sin(2 * np.pi * hz * (1 + off) * t + phase)
        pieces.append(both)
        pieces.append(np.zeros(round(off_ms * 8) + int(rng.integers(0, 20))))
    wave = np.concatenate([*pieces, np.zeros(1600)])
    if snr is not None:
        power = SINE_AT_0_DBM0**2 * (10 ** (low / 10) + 10 ** (high / 10)) / 2
        wave = wave + rng.normal(0, np.sqrt(power * 10 ** (-snr / 10)), len(wave))
    return through(np.clip(np.rint(wave), -32768, 32767).astype(np.int16), law)


def through(pcm: Pcm, law: str = "PCMA") -> Pcm:
    return codec.decode(law, codec.encode(law, pcm))


def mobile(pcm: Pcm) -> Pcm:
    """Encoded and decoded by a mobile's codec, GSM 06.10 full rate."""
    file = io.BytesIO()
    soundfile.write(file, pcm, 8000, subtype="GSM610", format="WAV")
    file.seek(0)
    with soundfile.SoundFile(file) as coded:
        decoded: Pcm = coded.read(coded.frames, dtype="int16")
    return decoded


def humming(pcm: Pcm, below_db: float, hz: int = 50) -> Pcm:
    """As a ground loop makes it: the mains' frequency and its harmonics, `below_db` under a tone of -10 dBm0,
    through A-law again."""
    t = np.arange(len(pcm)) / 8000
    wave = sum((np.sin(2 * np.pi * hz * n * t + n) / n for n in range(1, 9)), np.zeros(len(pcm)))
    wave *= SINE_AT_0_DBM0 * 10 ** ((-10 - below_db) / 20) / np.sqrt(2) / wave.std()
    return through(np.clip(np.rint(pcm + wave), -32768, 32767).astype(np.int16))


def presses(pcm: Pcm) -> list[KeyPress]:
    """What the detector tells, frame by frame."""
    detector = DtmfDetector()
    return [press for at in range(0, len(pcm) - 159, 160) for press in detector.feed(pcm[at : at + 160])]


def keys_in(pcm: Pcm) -> str:
    return "".join(press.digit for press in presses(pcm) if not press.over)


def hits(sent: str, heard: str) -> tuple[int, int]:
    """Keys heard in their order, and keys heard that were not sent."""
    matcher = difflib.SequenceMatcher(None, sent, heard, autojunk=False)
    right = sum(block.size for block in matcher.get_matching_blocks())
    return right, len(heard) - right


def over_network(pcm: Pcm, loss: float, jitter_ms: float, seed: int = 1) -> Pcm:
    """What the jitter buffer makes of it, in packets of 20 ms that are lost and delayed at random."""
    rng = np.random.default_rng(seed)
    count = len(pcm) // 160
    arrivals = deque(sorted(
        (100 + n * 0.02 + rng.uniform(0, jitter_ms / 1000), n) for n in range(count) if rng.random() >= loss
    ))  # fmt: skip
    playout, played = Playout(), []
    for tick in range(count + 20):
        now = 100.01 + tick * 0.02
        while arrivals and arrivals[0][0] <= now:
            at, n = arrivals.popleft()
            octets = codec.encode("PCMA", pcm[n * 160 : n * 160 + 160])
            playout.put(Packet(8, n & 0xFFFF, n * 160, 1, octets), "PCMA", at)
        played.append(playout.get(now))
    return np.concatenate(played)


def pieces_of(pcm: Pcm, off_ms: int = 40) -> Sequence[tuple[int, int]]:
    """Where sound begins and ends, in samples, between silences of that length at least."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 64)
    breaks = np.flatnonzero(np.diff(loud) > off_ms * 8 - 40)
    begins = [int(loud[0]), *(int(n) for n in loud[breaks + 1])]
    ends = [*(int(n) + 1 for n in loud[breaks]), int(loud[-1]) + 1]
    return list(zip(begins, ends, strict=True))
