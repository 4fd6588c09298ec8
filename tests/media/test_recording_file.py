"""Recordings on disk: what other programs read in them, also after a crash or on a full disk."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import wave

import numpy as np
import pytest
import soundfile

from engine.media import codec
from engine.media.recording_file import MAX_WAV, SUFFIX, Disk, create, open_sound, rename

SECOND = 8000
FORMATS = tuple(SUFFIX)
SUBTYPES = {"wav": "PCM_16", "wav_alaw": "ALAW", "wav_ulaw": "ULAW", "flac": "PCM_16"}
LOSES = {"wav": 0, "wav_alaw": 0, "wav_ulaw": 0, "flac": 4096}
"""Samples that are not on disk yet after a write: FLAC is written in blocks."""


def sound(seconds: int, channels: int = 2) -> np.ndarray:
    at = np.arange(seconds * SECOND)
    return np.stack([9000 * np.sin((0.1 + 0.2 * c) * at) for c in range(channels)], 1).astype(np.int16)


def begun(path, kind, channels=2):
    descriptor, found = create(str(path) + SUFFIX[kind])
    return open_sound(Disk(descriptor), kind, channels), found


def as_stored(kind: str, pcm: np.ndarray) -> np.ndarray:
    law = {"wav_alaw": "PCMA", "wav_ulaw": "PCMU"}.get(kind)
    if law is None:
        return pcm
    return codec.DECODE[law][codec.ENCODE[law][pcm.view(np.uint16)]]


def octets(path) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_back_by_libsndfile(tmp_path, kind, channels):
    pcm = sound(2, channels)
    file, path = begun(tmp_path / "a", kind, channels)
    file.write(pcm[:SECOND])
    file.write(pcm[SECOND:])
    file.close()
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (8000, channels, SUBTYPES[kind])
    assert info.format == ("FLAC" if kind == "flac" else "WAV")
    found, _ = soundfile.read(path, dtype="int16", always_2d=True)
    assert np.array_equal(found, as_stored(kind, pcm))


def test_a_plain_wav_is_read_by_pythons_own_module(tmp_path):
    file, path = begun(tmp_path / "a", "wav")
    file.write(sound(1))
    file.close()
    with wave.open(path) as found:
        assert (found.getnchannels(), found.getsampwidth(), found.getframerate()) == (2, 2, 8000)
        assert found.readframes(SECOND) == sound(1).tobytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_what_a_crash_leaves_is_a_whole_file(tmp_path, kind):
    file, path = begun(tmp_path / "a", kind)
    for second in range(1, 4):
        file.write(sound(1))
        # As it is on disk now, with nobody there to close it.
        left = tmp_path / "left"
        left.write_bytes(octets(path))
        found, _ = soundfile.read(left, dtype="int16")
        assert soundfile.info(left).frames == len(found)
        assert second * SECOND - LOSES[kind] <= len(found) <= second * SECOND
    assert np.array_equal(found[:SECOND], as_stored(kind, sound(1))[: len(found)])
    file.close()


def test_a_flac_says_how_long_it_is_and_carries_its_checksum_once_closed(tmp_path):
    file, path = begun(tmp_path / "a", "flac")
    file.write(sound(1))
    open_header = octets(path)[:42]
    file.close()
    closed_header = octets(path)[:42]
    assert open_header[26:42] == bytes(16)  # the MD5 is not known yet
    assert closed_header[26:42] != bytes(16)
    assert int.from_bytes(open_header[21:26], "big") & (2**36 - 1) == 4096
    assert int.from_bytes(closed_header[21:26], "big") & (2**36 - 1) == SECOND


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_leaves_all_that_fitted(small_disk, kind):
    file, path = begun(small_disk / "a", kind)
    noise = np.random.default_rng(3).integers(-3000, 3000, (100, SECOND // 4, 2), np.int16)
    written = 0

    def fill() -> None:
        nonlocal written
        for piece in noise:
            file.write(piece)
            written += len(piece)

    with pytest.raises(OSError, match="No space left"):
        fill()
    file.close()
    found, _ = soundfile.read(path, dtype="int16")
    assert written - LOSES[kind] <= len(found) <= written + SECOND // 4
    assert len(found) > 10_000
    assert soundfile.info(path).frames == len(found)
    assert np.array_equal(found, as_stored(kind, noise.reshape(-1, 2))[: len(found)])


_AT_A_LIMIT = """
import resource, sys
import numpy as np
from engine.media.recording_file import Disk, create, open_sound
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for kind, path in zip(sys.argv[1::2], sys.argv[2::2]):
    descriptor, _ = create(path)
    file = open_sound(Disk(descriptor), kind, 2)
    try:
        for n in range(100):
            file.write(np.random.default_rng(n).integers(-3000, 3000, (2000, 2), np.int16))
        sys.exit("no limit")
    except OSError as error:
        print(error.strerror)
    file.close()
"""


def test_a_limit_on_the_size_of_files_is_as_a_full_disk(tmp_path):
    paths = {kind: str(tmp_path / f"{kind}{SUFFIX[kind]}") for kind in FORMATS}
    arguments = [word for pair in paths.items() for word in pair]
    done = subprocess.run([sys.executable, "-c", _AT_A_LIMIT, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "File too large\n" * 4), done.stderr
    for path in paths.values():
        found, _ = soundfile.read(path, dtype="int16")
        assert 90_000 < os.stat(path).st_size <= 100_000
        assert soundfile.info(path).frames == len(found) > 20_000


@pytest.mark.parametrize("kind", FORMATS)
def test_a_device_that_takes_nothing_is_told_at_once_and_closed(kind):
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left"):
        open_sound(Disk(descriptor), kind, 2).write(sound(1))
    os.close(descriptor)


def test_a_wav_ends_before_its_header_can_count_no_further(tmp_path):
    file, path = begun(tmp_path / "a", "wav_alaw", 1)
    file._data = MAX_WAV - 10
    with pytest.raises(OSError, match="can't be longer"):
        file.write(sound(1, 1))
    file.close()
    assert struct.unpack("<I", octets(path)[-4:]) == (0,)


def test_no_file_is_ever_overwritten(tmp_path):
    paths = []
    for text in (b"first", b"second", b"third"):
        descriptor, path = create(str(tmp_path / "a.b.wav"))
        os.write(descriptor, text)
        os.close(descriptor)
        paths.append(path)
    assert [os.path.basename(path) for path in paths] == ["a.b.wav", "a.b-2.wav", "a.b-3.wav"]
    assert rename(paths[2], paths[0]) == str(tmp_path / "a.b-4.wav")
    assert octets(paths[0]) == b"first"
    assert octets(tmp_path / "a.b-4.wav") == b"third"
    assert not os.path.exists(paths[2])


def test_a_link_that_lies_in_the_way_is_not_followed(tmp_path):
    other = tmp_path / "other"
    (tmp_path / "a.wav").symlink_to(other)
    descriptor, path = create(str(tmp_path / "a.wav"))
    os.close(descriptor)
    assert path == str(tmp_path / "a-2.wav")
    assert not other.exists()


def test_files_and_new_folders_are_for_their_owner_alone(tmp_path):
    tmp_path.chmod(0o755)
    descriptor, path = create(str(tmp_path / "one" / "two" / "a.wav"))
    os.close(descriptor)
    paths = (path, tmp_path / "one" / "two", tmp_path / "one", tmp_path)
    modes = [oct(os.stat(p).st_mode & 0o777) for p in paths]
    assert modes == ["0o600", "0o700", "0o700", "0o755"]


def test_a_file_that_can_not_be_renamed_leaves_no_other_behind(tmp_path):
    with pytest.raises(FileNotFoundError):
        rename(str(tmp_path / "gone.wav"), str(tmp_path / "new.wav"))
    assert list(tmp_path.iterdir()) == []
