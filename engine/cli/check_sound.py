"""`offhook check`'s look at the sound card: its devices, and with --sound what goes in and comes out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from engine.config import Audio
from engine.media import codec
from engine.media.codec import FRAME, SAMPLE_RATE, Pcm
from engine.media.sound.card import SIDES
from engine.media.sound.devices import Device, SoundError, list_devices
from engine.media.sound.find import Missing, choose
from engine.media.sound.loudspeaker import Loudspeaker
from engine.media.sound.microphone import Microphone
from engine.media.sound.process import SoundProcess
from engine.text import safe

LISTEN_S = 2.0
SETTLE_S = 1.5
"""Devices stall when they start: what comes in that time says nothing."""
TONE_HZ = 440
TONE_DBFS = -20.0
SILENT_DBFS, LOW_DBFS, CLIPPING_DBFS = -65.0, -45.0, -0.3
SWEEP_S = 0.15
SWEEPS, APART_S = 3, 0.8
"""How often it is tried, and how far apart in seconds, the longest round trip
too: a busy machine loses one now and then."""
LEAST_FIT = 0.4
"""Of what was heard with what was played: the correlation coefficient from which it is taken for that."""

Say = Callable[[str], None]


def check_devices(audio: Audio, say: Say) -> bool:
    """List the devices; false only where one that was asked for by name is missing."""
    try:
        devices = list_devices(rates=True)
    except SoundError as error:
        say(f"sound: {error}")
        devices = []
    if not devices:
        say("sound: no device on this machine; calls can be bridged to an agent's phone")
    else:
        say("sound: these devices can be named in audio.input, audio.output and audio.ring_output")
    for device in devices:
        say(f"  {_line(device)}")
    good = True
    for key, (side, _) in SIDES.items():
        wanted = _wanted(audio, key)
        if wanted not in ("default", "none", "") and not _found(devices, wanted, side):
            say(f"sound: NOT OK: audio.{_key(key)} asks for {wanted!r}, which is none of them")
            good = False
    return good


def _key(side: str) -> str:
    return "ring_output" if side == "ring" else side


def _wanted(audio: Audio, side: str) -> str:
    wanted: str = getattr(audio, _key(side))
    return wanted


def _line(device: Device) -> str:
    sides = [side for side, channels in (("input", device.inputs), ("output", device.outputs)) if channels]
    defaults = [
        side for side, there in (("input", device.default_input), ("output", device.default_output)) if there
    ]
    rates = ", ".join(f"{rate / 1000:g}" for rate in device.rates)
    parts = [" and ".join(sides), f"{rates} kHz" if rates else f"{device.rate / 1000:g} kHz by default"]
    if defaults:
        parts.append(f"default {' and '.join(defaults)}")
    return f"{safe(device.name)}  ({'; '.join(parts)})"


def _found(devices: list[Device], wanted: str, side: str) -> bool:
    try:
        choose([asdict(device) for device in devices], wanted, side)
    except Missing:
        return False
    return True


# --- with --sound ---------------------------------------------------------------------------------

def try_devices(audio: Audio, say: Say) -> bool:
    """Measure the microphone, play a tone to each loudspeaker; false where a device that is wanted fails.

    Blocks for some seconds.
    """
    good = True
    mic: Microphone | None = None
    with _opened(audio, "input", say) as end:
        good = end is not None or audio.input == "none"
        if isinstance(end, Microphone):
            mic = end
            heard = _listen(mic, None)
            say(f"  {describe(heard)}")
        with _opened(audio, "output", say) as out:
            good = good and (out is not None or audio.output == "none")
            if isinstance(out, Loudspeaker):
                say(f"  playing {TONE_HZ} Hz for 1 s; did you hear it?")
                gap = np.zeros(round(APART_S * SAMPLE_RATE) - len(_sweep()), np.int16)
                sweeps = [_sweep(), gap] * SWEEPS if mic is not None else []
                loop = _listen(mic, out, np.concatenate((_tone(), *sweeps)))
                if mic is not None:
                    say(f"  {describe_loop(loop[SAMPLE_RATE:])}")
    with _opened(audio, "ring", say) as ring:
        good = good and (ring is not None or audio.ring_output in ("", "none"))
        if isinstance(ring, Loudspeaker):
            say(f"  playing {TONE_HZ} Hz for 1 s; did you hear it?")
            _listen(None, ring, _tone())
    return good


@contextmanager
def _opened(audio: Audio, name: str, say: Say) -> Iterator[Microphone | Loudspeaker | None]:
    side, what = SIDES[name]
    wanted = _wanted(audio, name)
    if wanted in ("none", ""):
        yield None
        return
    try:
        process = SoundProcess(side, wanted)
        opened = process.open()
    except SoundError as error:
        say(f"sound: NOT OK: {error}")
        yield None
        return
    say(
        f"sound: {what} {safe(opened.name)!r}: OK: {opened.rate / 1000:g} kHz, {opened.channels} "
        f"channel{'s' if opened.channels > 1 else ''}, {opened.latency * 1000:.0f} ms of its own delay"
    )
    end = (Microphone if side == "input" else Loudspeaker)(process.sock, opened.rate, opened.channels)
    try:
        yield end
    finally:
        process.close()
        end.close()


def _listen(mic: Microphone | None, out: Loudspeaker | None, played: Pcm | None = None) -> Pcm:
    """What the microphone hears in LISTEN_S seconds, or while something is played and shortly after it."""
    settle = round(SETTLE_S * 50)
    played = codec.SILENT_PCM[:0] if played is None else played
    after = 0.0 if mic is None else LISTEN_S if out is None else APART_S
    ticks = len(played) // FRAME + round(after * 50)
    heard = []
    begun = time.monotonic()
    for tick in range(settle + ticks):
        time.sleep(max(0.0, begun + tick * 0.02 - time.monotonic()))
        frame = mic.pull() if mic is not None else codec.SILENT_PCM
        at = (tick - settle) * FRAME
        if out is not None:
            piece = played[at : at + FRAME] if at >= 0 else codec.SILENT_PCM
            out.push(piece if len(piece) == FRAME else codec.SILENT_PCM)
        if at >= 0:
            heard.append(frame)
    return np.concatenate(heard)


def _tone() -> Pcm:
    at = np.arange(SAMPLE_RATE)
    ramp = np.clip(np.minimum(at, at[::-1]) / 80, 0, 1)
    loud = 32767 * 10 ** (TONE_DBFS / 20)
    tone: Pcm = np.rint(loud * ramp * np.sin(2 * np.pi * TONE_HZ * at / SAMPLE_RATE)).astype(np.int16)
    return tone


def _sweep() -> Pcm:
    """From 400 to 2800 Hz: it fits in one place only."""
    count = round(SWEEP_S * SAMPLE_RATE) // FRAME * FRAME + FRAME
    at = np.arange(count) / SAMPLE_RATE
    phase = 2 * np.pi * (400 * at + 2400 * at**2 / (2 * count / SAMPLE_RATE))
    ramp = np.clip(np.minimum(np.arange(count), np.arange(count)[::-1]) / 80, 0, 1)
    sweep: Pcm = np.rint(32767 * 10 ** (TONE_DBFS / 20) * ramp * np.sin(phase)).astype(np.int16)
    return sweep


def dbfs(mean_square: float) -> float:
    """0 is a sine that just doesn't clip; -100 at least."""
    return max(-100.0, 10 * math.log10(mean_square / (32767**2 / 2) + 1e-12))


def describe(heard: Pcm) -> str:
    """How loud a microphone is: the loudest third of a second and the peak, in dBFS, and a word."""
    x = heard.astype(np.float64) - heard.mean()
    loudest = max(float((part**2).mean()) for part in np.array_split(x, max(1, len(x) // 2667)))
    level = dbfs(loudest)
    peak = max(-100.0, 20 * math.log10(float(np.abs(x).max()) / 32768 + 1e-9))
    if peak >= CLIPPING_DBFS:
        word = "clipping: turn it down"
    elif level < SILENT_DBFS:
        word = "silent: is it muted, or another one meant?"
    elif level < LOW_DBFS:
        word = "low: speak, or turn it up"
    else:
        word = "good"
    return f"level {round(level)} dBFS, peak {round(peak)} dBFS: {word}"


def describe_loop(heard: Pcm) -> str:
    """How long sound takes from loudspeaker to microphone, where the one hears the other.

    `heard` begins when the first sweep was played.
    """
    sweep: npt.NDArray[np.float64] = _sweep().astype(np.float64)
    best, delay = 0.0, 0.0
    for begin in (round(n * APART_S * SAMPLE_RATE) for n in range(SWEEPS)):
        x = heard[begin : begin + round(APART_S * SAMPLE_RATE) + len(sweep)].astype(np.float64)
        size = 1 << (len(x) + len(sweep)).bit_length()
        match = np.fft.irfft(np.fft.rfft(x, size) * np.conj(np.fft.rfft(sweep, size)), size)
        at = int(np.abs(match[: max(1, len(x) - len(sweep))]).argmax())
        piece = x[at : at + len(sweep)]
        fit = abs(float(piece @ sweep)) / (float(np.linalg.norm(piece) * np.linalg.norm(sweep)) + 1e-9)
        if fit > best:
            best, delay = fit, at / SAMPLE_RATE
    if best < LEAST_FIT:
        return "no round trip: the microphone does not hear the loudspeaker, as it should be with a headset"
    return f"round trip {delay * 1000:.0f} ms, by loudspeaker and microphone back to here"
