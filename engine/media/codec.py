"""G.711 (ITU-T, 11/88): A-law and mu-law, 8 kHz, as lookup tables.

Linear audio is int16. The tables follow the reference algorithm of ITU-T G.191, so every one of
the 65,536 linear values and 256 codes converts bit-exactly. (`audioop` does not: its mu-law
encoder negates where the standard complements.)
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
Law = Literal["PCMA", "PCMU"]

SAMPLE_RATE = 8000
FRAME = 160
"""Samples, and octets of G.711, in 20 ms."""


def _decode_alaw() -> Pcm:
    code = np.arange(256) ^ 0x55
    exponent = (code >> 4) & 7
    mantissa = ((code & 15) << 4) + 8
    magnitude = np.where(exponent == 0, mantissa, (mantissa + 256) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _decode_ulaw() -> Pcm:
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _encode_alaw() -> npt.NDArray[np.uint8]:
    linear = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int32)
    level = np.where(linear < 0, ~linear, linear) >> 4
    exponent = np.zeros_like(level)
    mantissa = level.copy()
    for _ in range(7):
        more = mantissa > 31
        exponent += np.where((mantissa > 15) & (exponent == 0), 1, 0)
        exponent += more
        mantissa = np.where(more, mantissa >> 1, mantissa)
    exponent = np.where((level > 15) & (exponent == 0), 1, exponent)
    code = np.where(level > 15, (exponent << 4) | (mantissa & 15), level)
    return ((code | np.where(linear >= 0, 0x80, 0)) ^ 0x55).astype(np.uint8)


def _encode_ulaw() -> npt.NDArray[np.uint8]:
    linear = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int32)
    level = np.minimum((np.where(linear < 0, ~linear, linear) >> 2) + 33, 0x1FFF)
    segment = np.floor(np.log2(level)).astype(np.int32) - 5
    code = ~((segment << 4) | ((level >> (segment + 1)) & 15)) & 0x7F
    table: npt.NDArray[np.uint8] = (code | np.where(linear >= 0, 0x80, 0)).astype(np.uint8)
    return table


DECODE: dict[str, Pcm] = {"PCMA": _decode_alaw(), "PCMU": _decode_ulaw()}
ENCODE: dict[str, npt.NDArray[np.uint8]] = {"PCMA": _encode_alaw(), "PCMU": _encode_ulaw()}
TRANSCODE: dict[tuple[str, str], bytes] = {
    (a, b): ENCODE[b][DECODE[a].view(np.uint16)].tobytes()
    for a, b in (("PCMA", "PCMU"), ("PCMU", "PCMA"))
}
"""Tables for `bytes.translate`, by (from, to): decoded and encoded again."""

SILENCE: dict[str, bytes] = {"PCMA": b"\xd5" * FRAME, "PCMU": b"\xff" * FRAME}
"""20 ms of the quietest code of each law."""

SILENT_PCM: Pcm = np.zeros(FRAME, np.int16)
SILENT_PCM.flags.writeable = False


def decode(law: str, payload: bytes) -> Pcm:
    """G.711 octets to int16 samples, one each."""
    pcm: Pcm = DECODE[law][np.frombuffer(payload, np.uint8)]
    return pcm


def encode(law: str, pcm: Pcm) -> bytes:
    """int16 samples to G.711 octets, one each."""
    octets: bytes = ENCODE[law][pcm.view(np.uint16)].tobytes()
    return octets
