"""What 20 ms of audio costs in each codec, with and without SRTP: `python tests/bench/codec_cost.py`.

Microseconds of the media thread for one leg in one tick, the median of many: a tick has 20,000 of them for
all legs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.media import coders
from engine.media.network import rtp
from engine.media.network.srtp import Decryption, Encryption


def median_us(step: Callable[[int], object], count: int) -> float:
    took = []
    for n in range(count):
        start = time.perf_counter_ns()
        step(n)
        took.append(time.perf_counter_ns() - start)
    return statistics.median(took) / 1000


def cost(name: str, count: int) -> tuple[float, float]:
    """To encode and to decode, in microseconds; of speech-like noise bursts, not of silence."""
    rng = np.random.default_rng(1)
    speech = (rng.standard_normal(160 * 200) * 3000).astype(np.int16)
    encoder, decoder = coders.encoder(name), coders.Decoder()
    decoder.ready(name)
    payloads: list[bytes] = []
    encode = median_us(
        lambda n: payloads.extend(encoder.encode(speech[n % 200 * 160 : n % 200 * 160 + 160])), count
    )
    return encode, median_us(lambda n: decoder.decode(name, payloads[n]), count)


def srtp_cost(count: int) -> tuple[float, float]:
    key = os.urandom(30)
    suite = "AES_CM_128_HMAC_SHA1_80"
    ours, theirs = Encryption(suite, key), Decryption(suite, key)
    packets = [rtp.plain(8, False, n & 0xFFFF, n * 160, 1, bytes(160)) for n in range(count)]
    secrets: list[bytes] = []
    protect = median_us(lambda n: secrets.append(ours.protect(packets[n]) or b""), count)
    return protect, median_us(lambda n: theirs.unprotect(secrets[n]), count)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--frames", type=int, default=3000)
    count = parser.parse_args().frames
    print(f"{'':8} {'send':>8} {'receive':>8}   microseconds for 20 ms")
    for name in coders.CLOCK:
        print("{:8} {:8.1f} {:8.1f}".format(name, *cost(name, count)))
    print("{:8} {:8.1f} {:8.1f}".format("SRTP", *srtp_cost(count)))


if __name__ == "__main__":
    main()
