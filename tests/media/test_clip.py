"""What can be played: WAV files as people have them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from engine.media import clip, codec
from engine.media.clip import Clip, Player, SourceError
from engine.media.orders import BeepSource, WavSource


def riff(kind: int, channels: int, rate: int, bits: int, body: bytes, extra: bytes = b"") -> bytes:
    block = channels * bits // 8
    header = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(header)) + header
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def wave_of(hz: float, rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(rate) / rate)


def as_bits(x: np.ndarray, bits: int) -> bytes:
    if bits == 8:
        return (np.rint(x * 127) + 128).astype(np.uint8).tobytes()
    if bits == 24:
        return b"".join(int(v).to_bytes(3, "little", signed=True) for v in np.rint(x * (2**23 - 1)))
    return np.rint(x * (2 ** (bits - 1) - 1)).astype(f"<i{bits // 8}").tobytes()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
def test_pcm_of_any_rate_and_width_becomes_eight_kilohertz(tmp_path, rate, bits, channels):
    path = tmp_path / "x.wav"
    path.write_bytes(riff(1, channels, rate, bits, as_bits(np.repeat(wave_of(600, rate), channels), bits)))
    pcm = clip.load(WavSource(str(path))).pcm
    assert len(pcm) == pytest.approx(8000, abs=2)
    middle = pcm[1000:7000].astype(float)
    expected = 16384 * np.sin(2 * np.pi * 600 * np.arange(1000, 7000) / 8000)
    error = ((middle - expected) ** 2).mean()
    assert 10 * np.log10((expected**2).mean() / error) > (30 if bits == 8 else 45)


@pytest.mark.parametrize(("kind", "law"), [(6, "PCMA"), (7, "PCMU")])
def test_g711_files_play_as_they_are(tmp_path, kind, law):
    octets = bytes(range(256)) * 4
    path = tmp_path / "x.wav"
    path.write_bytes(riff(kind, 1, 8000, 8, octets, b"\0\0"))
    assert clip.load(WavSource(str(path))).pcm.tolist() == codec.decode(law, octets).tolist()


def test_an_extensible_header_is_understood(tmp_path):
    path = tmp_path / "x.wav"
    extra = struct.pack("<HHIH14x", 22, 16, 4, 1)
    path.write_bytes(riff(0xFFFE, 1, 8000, 16, as_bits(wave_of(600, 8000), 16), extra))
    assert len(clip.load(WavSource(str(path))).pcm) == 8000


@pytest.mark.parametrize("data", [
    b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"ID3" + bytes(100), riff(1, 0, 8000, 16, bytes(4)),
    riff(1, 1, 0, 16, bytes(4)), riff(1, 1, 8000, 12, bytes(4)), riff(3, 1, 8000, 32, bytes(4)),
    riff(85, 2, 44100, 16, bytes(400)), riff(1, 1, 8000, 16, b""), riff(1, 1, 8000, 24, bytes(2)),
    riff(1, 1, 8000, 16, bytes(40))[:30],
])
def test_a_file_that_is_not_playable_is_one_plain_sentence(tmp_path, data):
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        clip.load(WavSource(str(path)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_loop_goes_on_from_its_end_to_its_beginning_in_one_frame():
    pcm = np.arange(100, 350).astype(np.int16)
    player = Player(Clip(pcm), True, "")
    got = []
    for _ in range(10):
        got.append(player.pcm())
        assert player.octets("PCMA") == codec.encode("PCMA", got[-1])
        player.advance()
    assert np.concatenate(got).tolist() == np.resize(pcm, 1600).tolist()


def test_played_once_the_last_frame_is_filled_with_silence():
    player = Player(Clip(np.full(200, 5000, np.int16)), False, "")
    player.advance()
    assert not player.ended
    assert player.pcm().tolist() == [5000] * 40 + [0] * 120
    player.advance()
    assert player.ended


def test_a_beep_is_one_sine_of_its_length_and_level_without_a_click() -> None:
    pcm = clip.load(BeepSource(hertz=880, ms=250, level_dbm0=-16)).pcm.astype(float)
    assert len(pcm) == 2000
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    assert abs(np.argmax(spectrum) * 4 - 880) <= 4
    peak = 32768 / 10 ** (3.17 / 20) * 10 ** (-16 / 20)
    assert abs(np.max(np.abs(pcm)) - peak) / peak < 0.02
    assert max(abs(pcm[0]), abs(pcm[-1])) < 100
    assert np.max(np.abs(np.diff(pcm))) < peak * 2 * np.pi * 880 / 8000 * 1.05
