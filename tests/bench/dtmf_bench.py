"""Keys in the audio, beside spandsp and multimon-ng on the same files: `python tests/bench/dtmf_bench.py`.

Every cell holds 320 A-law coded keys with one thing changed; ours is as good as the best where its 95 %
binomial interval reaches the best's. Then false keys in two hours of speech and music (Asterisk's prompts and
music on hold), and what listening costs the media thread.
"""

from __future__ import annotations

import argparse
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "detect"))

from key_sounds import Pcm, hits, humming, key_sounds, keys_in, mobile, over_network, shuffled, through
from other_receivers import Multimon, Spandsp

from engine.detect.dtmf import DtmfDetector, feed_many

SOUNDS = Path("/usr/share/asterisk")
CELLS: list[tuple[str, dict[str, float], bool]] = [
    *((f"noise, {snr} dB below", {"snr": snr}, True) for snr in (20, 15, 10, 5, 0)),
    *((f"twist {twist:+} dB", {"twist": twist}, True) for twist in (-4, -2, 0, 2, 4, 6, 8)),
    *((f"frequencies {off:+.1%}", {"off": off}, abs(off) < 0.02) for off in (-0.015, 0.015, -0.035, 0.035)),
    ("40 ms on, 40 ms off", {"on_ms": 40, "off_ms": 40}, True),
    ("22 ms on", {"on_ms": 22}, False),
    ("20 ms on", {"on_ms": 20}, False),
]
LINES: list[tuple[str, dict[str, float], Callable[[Pcm], Pcm]]] = [
    *((f"a mobile, noise {snr} dB", {"snr": snr}, lambda pcm: through(mobile(pcm))) for snr in (25, 15)),
    ("two mobiles", {}, lambda pcm: through(mobile(through(mobile(pcm))))),
    ("hum, 10 dB below", {}, lambda pcm: humming(pcm, 10)),
    ("hum, as strong", {}, lambda pcm: humming(pcm, 0)),
]
Receiver = Callable[[Pcm], str]


def ours(pcm: Pcm) -> str:
    return keys_in(pcm)


def interval(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson's score)."""
    z, share = 1.96, right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5 / (1 + z * z / count)
    return middle - half, middle + half


def grid(receivers: dict[str, Receiver], keys: int, seed: int) -> int:
    """Print the table; how many cells ours loses."""
    print(f"{'':26}" + "".join(f"{name:>16}" for name in receivers) + "   % heard (+ false keys)")
    lost = 0
    cells = [(*cell, through) for cell in CELLS] + [(n, c, True, line) for n, c, line in LINES]
    for name, changes, wanted, line in cells:
        sent = shuffled(keys, seed)
        pcm = line(key_sounds(sent, seed=seed, **changes))  # type: ignore[arg-type]
        results = [hits(sent, receive(pcm)) for receive in receivers.values()]
        good = [right if wanted else keys - min(keys, right + false) for right, false in results]
        is_best = interval(good[0], keys)[1] >= interval(max(good), keys)[0]
        lost += not is_best
        texts = [f"{100 * right / keys:.1f}" + (f" +{false}" if false else "") for right, false in results]
        row = "".join(f"{text:>16}" for text in texts)
        verdict = ("" if wanted else "   (to be refused)") + ("" if is_best else "   OURS IS WORSE")
        print(f"{name:26}{row}{verdict}", flush=True)
    return lost


def network(keys: int, seed: int) -> None:
    """Ours behind the jitter buffer, which conceals what is lost."""
    losses = "".join(f"{percent:>11}%" for percent in (0, 1, 3, 5, 10))
    print(f"\n{'keys through the jitter buffer, loss:':42}{losses}")
    for on_ms, off_ms in ((60, 60), (100, 100)):
        sent = shuffled(keys, seed)
        pcm = key_sounds(sent, on_ms=on_ms, off_ms=off_ms, seed=seed)
        cells = ""
        for loss in (0.0, 0.01, 0.03, 0.05, 0.1):
            right, false = hits(sent, keys_in(over_network(pcm, loss, 40, seed)))
            cells += f"{f'{100 * right / keys:.1f}' + (f' +{false}' if false else ''):>12}"
        print(f"{f'{on_ms} ms on, {off_ms} ms off, 40 ms jitter':42}{cells}", flush=True)


def sounds() -> Iterator[tuple[str, Pcm]]:
    """Every prompt and piece of music there is, A-law coded."""
    for path in sorted(SOUNDS.glob("**/*.wav")):
        with wave.open(str(path)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2):
                yield str(path), through(np.frombuffer(file.readframes(file.getnframes()), np.int16))


def talk_off(receivers: dict[str, Receiver]) -> int:
    """False keys in speech and music; how many of ours."""
    seconds, took = 0.0, dict.fromkeys(receivers, 0.0)
    false = dict.fromkeys(receivers, 0)
    waiting: list[Pcm] = []

    def listen() -> None:
        pcm = np.concatenate(waiting)
        waiting.clear()
        for name, receive in receivers.items():
            began = time.perf_counter()
            false[name] += len(receive(pcm))
            took[name] += time.perf_counter() - began

    for _, pcm in sounds():
        seconds += len(pcm) / 8000
        waiting += [pcm, np.zeros(1600, np.int16)]
        if sum(map(len, waiting)) > 8000 * 600:
            listen()
    if not waiting:
        print(f"no speech in {SOUNDS}; `make setup-bench` installs it.")
        return 0
    listen()
    print(f"\nfalse keys in {seconds / 60:.0f} minutes of speech and music; how much faster than real time:")
    for name in receivers:
        print(f"{name:26}{false[name]:6}{seconds / took[name]:10.0f}")
    return false["offhook"]


def cost(legs: int) -> None:
    """What listening to so many legs costs the media thread in a tick of 20 ms."""
    speech = next((pcm for _, pcm in sounds() if len(pcm) > 8000 * 20), key_sounds(shuffled(160), snr=10))
    ticks = 500
    starts = np.arange(legs) * 7919
    places = [starts[:, None] + np.arange(n * 160, n * 160 + 160) for n in range(ticks)]
    frames = [speech[place % len(speech)] for place in places]
    alone, together = [DtmfDetector() for _ in range(legs)], [DtmfDetector() for _ in range(legs)]
    took: dict[str, list[float]] = {"one by one": [], "together": []}
    for tick in frames:
        began = time.perf_counter()
        for detector, frame in zip(alone, tick, strict=True):
            detector.feed(frame)
        middle = time.perf_counter()
        feed_many(together, tick)
        took["one by one"].append(middle - began)
        took["together"].append(time.perf_counter() - middle)
    print(f"\n{legs} legs of speech, microseconds of a tick's 20,000 (median, 99th percentile) and of a leg:")
    for name, times in took.items():
        middle_us, worst_us = np.percentile(times, [50, 99]) * 1e6
        print(f"{name:26}{middle_us:8.0f}{worst_us:8.0f}{middle_us / legs:8.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--keys", type=int, default=320, help="keys in a cell")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    receivers: dict[str, Receiver] = {"offhook": ours, "spandsp": Spandsp(), "multimon-ng": Multimon()}
    lost = grid(receivers, options.keys // 16 * 16, options.seed)
    network(options.keys // 16 * 16, options.seed)
    false = talk_off(receivers)
    cost(50)
    print(f"\n{lost} cells in which ours is worse than the best, {false} false keys")
    return 1 if lost or false else 0


if __name__ == "__main__":
    sys.exit(main())
