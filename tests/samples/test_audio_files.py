"""Recordings as users have them: other formats, headers that were never finished."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_like import speech_like

from engine.samples import audio

SAID = speech_like(3, 1.0)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    size = min(len(one), len(other))
    return float(np.corrcoef(one[:size].astype(float), other[:size].astype(float))[0, 1])


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_16"), ("a.wav", "ALAW"), ("a.wav", "ULAW"), ("a.wav", "PCM_24"), ("a.wav", "FLOAT"),
     ("a.wav", "GSM610"), ("a.WAV", "GSM610"), ("a.wav", "IMA_ADPCM"), ("a.flac", "PCM_16")],
)  # fmt: skip
def test_is_read(tmp_path: Path, name: str, subtype: str) -> None:
    soundfile.write(tmp_path / name, SAID / 32768, 8000, subtype=subtype)
    assert alike(audio.read(tmp_path / name), SAID) > 0.9


@pytest.mark.parametrize("told", [0, 0xFFFFFFFF])
def test_a_recorder_that_was_killed_left_no_length(tmp_path: Path, told: int) -> None:
    path = tmp_path / "killed.wav"
    soundfile.write(path, SAID, 8000, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.find(b"data") + 4, told)
    path.write_bytes(content)
    assert np.array_equal(audio.read(path), SAID)


def test_an_empty_recording_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    soundfile.write(path, SAID[:0], 8000, subtype="PCM_16")
    assert len(audio.read(path)) == 0


def test_what_is_no_recording_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.raw").write_bytes(SAID.tobytes())
    os.mkfifo(tmp_path / "pipe.wav")
    said = {}
    for name in ("x.raw", "pipe.wav", "none.wav"):
        with pytest.raises(audio.AudioError) as raised:
            audio.read(tmp_path / name)
        said[name] = str(raised.value)
        assert name in said[name]
    assert "no header" in said["x.raw"]
    assert said["pipe.wav"].endswith("is no file")
    assert said["none.wav"].startswith("there is no file")
