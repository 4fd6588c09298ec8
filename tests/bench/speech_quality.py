"""What speech is worth after a bad network: `python tests/bench/speech_quality.py [--quick] [--no-baresip]`.

Sentences of two talkers, sent as PCMU through losses of 0 to 10 %, by chance and in bursts, and jitter of up
to 80 ms. What the receiver's recording holds is compared with the clean signal by PESQ (ITU-T P.862,
narrow-band, as MOS-LQO by P.862.1: 1 to 4.55). It is fair at 8 kHz because that is the band and the rate that
it was made and validated for; it finds the delay of each utterance itself, so a receiver is not punished for
waiting, and the same recordings, packets and score serve for all. Two tables:

1. The engine's play-out on an injected clock, beside silence substitution and repetition of the last packet
   (6 dB weaker each time), both in the same buffer.
2. In real time over loopback sockets: the engine's recording, and what baresip's loudspeaker got, of the very
   same packets at the same time. baresip's jitter buffer is as Debian configures it; its plc module is on.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "media"))
sys.path.insert(0, str(Path(__file__).parents[1] / "sip"))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from bad_network import LOSSES, Network
from bench_player import PlayerCall
from speech_corpus import CorpusError, sentences

from engine.media import codec
from engine.media.codec import Pcm
from engine.media.network import rtp
from engine.media.playout import Playout
from engine.media.playout.conceal import Concealment

LEAD_S = 2.0
"""Silence before and after each sentence: a call, too, has begun before somebody speaks."""
LEAD = int(LEAD_S * 8000)
LIVE = (Network(0), Network(0.01), Network(0.05), Network(0.1), Network(0.05, 3), Network(0.1, 3),
        Network(0, 1, 0.08), Network(0.05, 1, 0.08), Network(0.05, 3, 0.08))  # fmt: skip


class Silence(Concealment):
    """Nothing in place of what is lost."""

    def take(self, count: int) -> Pcm:
        self.made += count
        return np.zeros(count, np.int16)

    def join(self, pcm: Pcm) -> Pcm:
        return pcm

    def bridge(self, gap: int, beyond: Pcm) -> Pcm:
        return np.concatenate((self.take(gap), beyond))


class Repetition(Silence):
    """The last 20 ms again, 6 dB weaker each time, three times."""

    def __init__(self, history: Pcm) -> None:
        super().__init__(history)
        self._again = np.concatenate([history[-160:] >> n for n in (1, 2, 3)])

    def take(self, count: int) -> Pcm:
        piece = self._again[self.made : self.made + count]
        self.made += count
        return np.concatenate((piece, np.zeros(count - len(piece), np.int16)))


def buffer(kind: Callable[[Pcm], Concealment]) -> Playout:
    """A play-out that conceals in another way."""

    class Other(Playout):
        def _concealment(self, ready: Pcm) -> Concealment:
            return kind(np.concatenate((*self._played, ready)))

    return Other()


WAYS: dict[str, Callable[[], Playout]] = {
    "silence": lambda: buffer(Silence), "repetition": lambda: buffer(Repetition), "offhook": Playout,
}


def packets(pcm: Pcm) -> list[rtp.Packet]:
    """20 ms of PCMU each."""
    octets = codec.encode("PCMU", pcm)
    return [rtp.Packet(0, n & 0xFFFF, n * 160, 0x5EED, octets[n * 160 : n * 160 + 160])
            for n in range(len(octets) // 160)]


def simulated(playout: Playout, sent: Sequence[rtp.Packet], network: Network, seed: int) -> Pcm:
    """What a receiver hears, with its clock at an arbitrary phase to the sender's."""
    coming = network.arrivals(len(sent), seed)
    heard, at = [], 0
    for tick in range(len(sent) + 20):
        now = tick * 0.02
        while at < len(coming) and coming[at][0] + 0.0071 <= now:
            playout.put(sent[coming[at][1]], "PCMU", coming[at][0] + 0.0071)
            at += 1
        heard.append(playout.get(now))
    return np.concatenate(heard)


def scorer() -> Callable[[Pcm, Pcm], float]:
    """Clean and heard to MOS-LQO. Raises ImportError where the package is missing."""
    pesq: Any = importlib.import_module("pesq")

    def score(clean: Pcm, heard: Pcm) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(pesq.pesq(8000, clean, heard, "nb"))

    return score


Score = Callable[[Pcm, Pcm], float]


def sweep(speech: list[Pcm], score: Score, quick: bool) -> dict[str, float]:
    """The first table; the mean of each way where packets were lost."""
    print("PESQ (MOS-LQO) of the play-out on an injected clock:")
    print(f"{'network':36}" + "".join(f"{name:>12}" for name in WAYS))
    of: dict[str, list[float]] = {name: [] for name in WAYS}
    silence = np.zeros(LEAD, np.int16)
    for jitter_s in (0.0, 0.08) if quick else (0.0, 0.04, 0.08):
        for each in LOSSES[::2] if quick else LOSSES:
            network = Network(each.loss, each.burst, jitter_s)
            row = []
            for name, make in WAYS.items():
                found = []
                for seed, clean in enumerate(speech):
                    sent = packets(np.concatenate((silence, clean, silence)))
                    found.append(score(clean, simulated(make(), sent, network, seed)[LEAD:]))
                row.append(statistics.mean(found))
                if network.loss:
                    of[name].append(row[-1])
            print(f"{network!s:36}" + "".join(f"{value:12.2f}" for value in row), flush=True)
    return {name: statistics.mean(values) for name, values in of.items()}


class Session:
    """One network's packets on their way to the engine and to baresip, at the same times."""

    def __init__(self, network: Network, sent: list[rtp.Packet], seed: int) -> None:
        self.network = network
        self.coming = network.arrivals(len(sent), seed)
        self.data = [rtp.serialize(packet) for packet in sent]
        self.targets: list[Callable[[bytes], object]] = []


def send(sessions: Sequence[Session]) -> None:
    """Every session's packets, each when it is due."""
    due = [(at, each.data[n], each.targets) for each in sessions for at, n in each.coming]
    due.sort(key=lambda each: each[0])
    start = time.monotonic()
    for at, data, targets in due:
        left = start + at - time.monotonic()
        if left > 0:
            time.sleep(left)
        for target in targets:
            target(data)


def live(speech: list[Pcm], score: Score, with_baresip: bool) -> bool:
    """The second table; whether we were at least as good as baresip where packets were lost."""
    from bench_baresip import BaresipError, install
    from media_rig import PCMU, Rig

    from engine.media.orders import Record, RecordingEnded

    silence = np.zeros(LEAD, np.int16)
    whole = np.concatenate([part for clean in speech for part in (silence, clean)] + [silence])
    sent = packets(whole)
    sessions = [Session(network, sent, seed) for seed, network in enumerate(LIVE)]
    rig = Rig()
    players: list[PlayerCall] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="speech-")))
        stack.callback(rig.stop)
        if with_baresip:
            try:
                install()
                players = [stack.enter_context(PlayerCall.to(folder)) for _ in sessions]
            except BaresipError as error:
                print(f"baresip was not measured: {error}")
        for n, session in enumerate(sessions):
            name, far = rig.open(PCMU)
            rig.engine.order(Record(name, str(folder / f"{n}.wav")))
            session.targets.append(lambda data, far=far: far.sock.sendto(data, far.ours))
            if players:
                session.targets.append(players[n].send)
        sender = threading.Thread(target=send, args=(sessions,))
        sender.start()
        sender.join()
        time.sleep(0.5)
        theirs = [player.heard() for player in players]
        for n in range(len(sessions)):
            rig.engine.order(Record(f"leg{n}", None))
        for _ in sessions:
            ended = rig.fact(RecordingEnded)
            if ended.error:
                raise RuntimeError(ended.error)
        ours = [_left(folder / f"{n}.wav") for n in range(len(sessions))]
    print("PESQ (MOS-LQO) in real time over sockets, the same packets at the same time:")
    print(f"{'network':36}{'offhook':>12}" + (f"{'baresip':>12}" if theirs else ""))
    good = True
    for n, session in enumerate(sessions):
        row = [_mean(score, speech, heard[n]) for heard in (ours, theirs) if heard]
        print(f"{session.network!s:36}" + "".join(f"{value:12.2f}" for value in row), flush=True)
        good &= len(row) < 2 or not session.network.loss or row[0] >= row[1]
    return good


def _left(path: Path) -> Pcm:
    import wave

    with wave.open(str(path)) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return both.reshape(-1, 2)[:, 0]


def _mean(score: Score, speech: list[Pcm], heard: Pcm) -> float:
    """Each sentence compared with where it should be in what was heard, with room for the delay."""
    found, at = [], LEAD
    for clean in speech:
        found.append(score(clean, heard[at : at + len(clean) + LEAD // 2]))
        at += len(clean) + LEAD
    return statistics.mean(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer networks and sentences")
    parser.add_argument("--no-baresip", action="store_true")
    options = parser.parse_args()
    try:
        speech, score = sentences(1 if options.quick else 2), scorer()
    except (CorpusError, ImportError) as error:
        print(f"Speech quality was not measured: {error}. `make setup-bench` installs what is needed.")
        return 1
    means = sweep(speech, score, options.quick)
    best = live(speech[::2] if len(speech) > 2 else speech, score, not options.no_baresip)
    if max(means, key=lambda name: means[name]) != "offhook" or not best:
        print("offhook is not the best of them.")
        return 1
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
