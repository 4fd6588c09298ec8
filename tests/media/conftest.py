import sys
import wave
from pathlib import Path

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from media_rig import Rig  # noqa: E402


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.stop()


@pytest.fixture
def wav(tmp_path):
    """Writes int16 samples to a WAV file; its path."""

    def write(pcm: np.ndarray, rate: int, channels: int = 1) -> str:
        path = tmp_path / f"{rate}-{channels}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(pcm.astype("<i2").tobytes())
        return str(path)

    return write
