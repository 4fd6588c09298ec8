"""G.711 by table: 16-bit linear samples to A-law (PCMA) and mu-law (PCMU) octets and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8}
"""The static RTP payload types (RFC 3551, table 4)."""


def _mu_law() -> NDArray[np.int32]:
    octet = ~np.arange(256) & 0xFF
    magnitude = ((((octet & 0x0F) << 3) + 0x84) << ((octet >> 4) & 7)) - 0x84
    return np.where(octet & 0x80, -magnitude, magnitude).astype(np.int32)


def _a_law() -> NDArray[np.int32]:
    octet = np.arange(256) ^ 0x55
    exponent = (octet >> 4) & 7
    step = (octet & 0x0F) << 4
    magnitude = np.where(exponent == 0, step + 8, (step + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(octet & 0x80, magnitude, -magnitude).astype(np.int32)


def _encoder(decoded: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The octet whose value is nearest, for each sample from -32768 to 32767."""
    order = np.argsort(decoded, kind="stable")
    levels = decoded[order]
    nearest = np.searchsorted((levels[:-1] + levels[1:]) / 2, np.arange(-32768, 32768), side="right")
    return order[nearest].astype(np.uint8)


_DECODE = {"PCMU": _mu_law(), "PCMA": _a_law()}
_ENCODE = {name: _encoder(table) for name, table in _DECODE.items()}


def encode(codec: str, samples: Samples) -> bytes:
    """One octet a sample. `codec` is PCMA or PCMU."""
    return _ENCODE[codec][samples.astype(np.int32) + 32768].tobytes()


def decode(codec: str, payload: bytes) -> Samples:
    """One sample an octet. `codec` is PCMA or PCMU."""
    return _DECODE[codec][np.frombuffer(payload, np.uint8)].astype(np.int16)
