"""A long bridged call between far ends whose clocks are off: `python tests/bench/long_call.py [--seconds S]`.

Two legs are bridged and both are recorded, so what one far end says is passed on and played out here at once.
One far end is slow and sends a sine, the other is as much fast and sends speech; 0.5 % each. In real time,
over loopback sockets. Shown: the delay that play-out adds, what was put in, taken out and made up, and the
greatest step between two samples of each recording beside the greatest of what was sent: a click is more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "media"))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from media_rig import PCMA, FarEnd, Rig
from speech_corpus import CorpusError, sentences

from engine.media import codec
from engine.media.codec import Pcm
from engine.media.orders import Bridge, Record, RecordingEnded

DRIFT = 0.005
DEPTH_MS = 110.0
"""Bound of the delay: 60 ms to begin with, 20 for the grid of ticks, 30 for a machine that is late itself."""
CLICK = 1.35


def sine(seconds: int) -> Pcm:
    """Whole periods of 440 Hz in a second, so that it can be repeated."""
    return np.rint(8000 * np.sin(2 * np.pi * 440 * np.arange(8000 * seconds) / 8000)).astype(np.int16)


def talk(far: FarEnd, pcm: Pcm, interval_s: float, end: threading.Event) -> None:
    """Send it again and again, a packet each `interval_s`."""
    octets = codec.encode("PCMA", pcm)
    start, n = time.monotonic(), 0
    while not end.is_set():
        time.sleep(max(0.0, start + n * interval_s - time.monotonic()))
        at = n % (len(octets) // 160) * 160
        far.send(octets[at : at + 160])
        n += 1


def step(pcm: Pcm) -> int:
    return int(np.abs(np.diff(pcm.astype(np.int32))).max())


def received(path: Path) -> Pcm:
    with wave.open(str(path)) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return both.reshape(-1, 2)[:, 0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    seconds = parser.parse_args().seconds
    try:
        speech = np.concatenate(sentences())
    except CorpusError as error:
        print(f"The long call was not measured: {error}.")
        return 1
    said = {"0.5 % slow, sine": (sine(10), 1 + DRIFT), "0.5 % fast, speech": (speech, 1 - DRIFT)}
    rig, end = Rig(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="long-call-") as folder:
        legs = {}
        for kind, (pcm, pace) in said.items():
            name, far = rig.open(PCMA)
            legs[kind] = name
            rig.engine.order(Record(name, str(Path(folder) / f"{name}.wav")))
            threading.Thread(target=talk, args=(far, pcm, 0.02 * pace, end), daemon=True).start()
        rig.engine.order(Bridge(*legs.values()))
        depths: dict[str, list[float]] = {kind: [] for kind in legs}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.1)
            for kind, name in legs.items():
                stream = rig.engine.stream(name)
                assert stream is not None
                depths[kind].append(stream.listening.playout.figures().depth_ms)
        figures = {kind: rig.engine.stream(name).listening.playout.figures()
                   for kind, name in legs.items()}  # fmt: skip
        for name in legs.values():
            rig.engine.order(Record(name, None))
        for _ in legs:
            rig.fact(RecordingEnded)
        end.set()
        steps = {kind: step(received(Path(folder) / f"{name}.wav")) for kind, name in legs.items()}
        rig.stop()
    print(f"A bridged, recorded call of {seconds:g} s, far ends off by {DRIFT:.1%} (delay in ms):")
    heads = ("p50", "max", "put in", "taken", "made up", "lost", "step", "sent")
    print(f"{'':22}" + "".join(f"{head:>9}" for head in heads))
    good = True
    for kind, each in figures.items():
        own = step(said[kind][0])
        seen = sorted(depths[kind])
        changed = (each.stretched_ms, each.squeezed_ms, each.concealed_ms, each.lost, steps[kind], own)
        print(f"{kind:22}{seen[len(seen) // 2]:9.1f}{seen[-1]:9.1f}" + "".join(f"{n:9}" for n in changed))
        good &= seen[-1] <= DEPTH_MS and steps[kind] <= CLICK * own
    kept = "kept" if good else "NOT KEPT"
    print(f"bounds: delay {DEPTH_MS:g} ms, step {CLICK:g} times what was sent: {kept}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
