from __future__ import annotations

import numpy as np
import pytest

from engine.media import codec, level

# ITU-T G.711: the digital milliwatt, eight samples of 1 kHz at 0 dBm0, as table 5/G.711 and 6/G.711 give it.
MILLIWATT = {
    "PCMA": bytes.fromhex("34212134b4a1a1b4"),
    "PCMU": bytes.fromhex("1e0b0b1e9e8b8b9e"),
}


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
def test_the_digital_milliwatt_is_0_dbm0(law):
    pcm = codec.decode(law, MILLIWATT[law] * 100)
    assert level.dbm0(level.power(pcm)) == pytest.approx(0.0, abs=0.06)


def alaw_reference(sample: int) -> int:
    """G.191's alaw_compress, one sample of 16 bits."""
    magnitude = (~sample if sample < 0 else sample) >> 4
    if magnitude > 15:
        exponent = 1
        while magnitude > 16 + 15:
            magnitude >>= 1
            exponent += 1
        magnitude = magnitude - 16 + (exponent << 4)
    if sample >= 0:
        magnitude |= 0x80
    return magnitude ^ 0x55


def ulaw_reference(sample: int) -> int:
    """G.191's ulaw_compress, one sample of 16 bits."""
    magnitude = ((~sample >> 2) if sample < 0 else (sample >> 2)) + 33
    magnitude = min(magnitude, 0x1FFF)
    shifted, segment = magnitude >> 6, 1
    while shifted:
        segment += 1
        shifted >>= 1
    high, low = 0x8 - segment, 0xF - ((magnitude >> segment) & 0xF)
    code = (high << 4) | low
    return code | 0x80 if sample >= 0 else code


def ulaw_expand_reference(code: int) -> int:
    """G.191's ulaw_expand."""
    sign = -1 if code < 0x80 else 1
    mantissa = ~code
    exponent = (mantissa >> 4) & 7
    step = 4 << (exponent + 1)
    return sign * ((0x80 << exponent) + step * (mantissa & 15) + step // 2 - 4 * 33)


def alaw_expand_reference(code: int) -> int:
    """G.191's alaw_expand."""
    value = code ^ 0x55
    exponent = (value & 0x7F) >> 4
    mantissa = value & 15
    if exponent > 0:
        mantissa += 16
    mantissa = (mantissa << 4) + 8
    if exponent > 1:
        mantissa <<= exponent - 1
    return mantissa if value > 127 else -mantissa


@pytest.mark.parametrize(("law", "compress"), [("PCMA", alaw_reference), ("PCMU", ulaw_reference)])
def test_all_65536_linear_values_encode_as_the_itu_reference_does(law, compress):
    values = np.arange(-32768, 32768).astype(np.int16)
    expected = bytes(compress(int(v)) for v in values)
    assert codec.encode(law, values) == expected


@pytest.mark.parametrize(("law", "expand"), [
    ("PCMA", alaw_expand_reference), ("PCMU", ulaw_expand_reference),
])
def test_all_256_codes_decode_as_the_itu_reference_does(law, expand):
    assert codec.decode(law, bytes(range(256))).tolist() == [expand(c) for c in range(256)]


def test_coding_and_decoding_keeps_the_signal_to_noise_ratio_that_g711_promises():
    pcm = (16086 * 2**0.5 * 10 ** (-25 / 20) * np.sin(np.arange(80000) * 0.7)).astype(np.int16)
    for law in codec.DECODE:
        error = codec.decode(law, codec.encode(law, pcm)).astype(float) - pcm
        assert 10 * np.log10((pcm.astype(float) ** 2).mean() / (error**2).mean()) > 35


def test_transcoding_is_decoding_and_encoding():
    octets = bytes(range(256))
    for (a, b), table in codec.TRANSCODE.items():
        assert octets.translate(table) == codec.encode(b, codec.decode(a, octets))
