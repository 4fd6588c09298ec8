"""A recording's file: WAV in 16 bit, A-law or mu-law, or FLAC; 8 kHz.

Whatever ends the writing (a full disk, a crash of the process), what was written up to then is a whole file:
data that does not fit is taken back, and the length in the header is put right after every write.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from pathlib import Path
from typing import Protocol

import soundfile

from engine.media.codec import ENCODE, SAMPLE_RATE, Pcm
from engine.media.orders import Format

SUFFIX: dict[Format, str] = {"wav": ".wav", "wav_alaw": ".wav", "wav_ulaw": ".wav", "flac": ".flac"}

MAX_WAV = 2**32 - 2**20
"""Octets of sound in a WAV; its header counts with 32 bits."""
MAX_SAME_NAME = 10_000
_PCM, _ALAW, _ULAW = 1, 6, 7
"""Format tags of WAV (RFC 2361)."""
_FLAC_BLOCK_SIZE = slice(8, 10)
"""Octets of a FLAC file that tell the samples of a block (RFC 9639, 8.2)."""
_FLAC_TOTAL = slice(18, 26)
"""Octets with sample rate, channels, bits and, in the last 36 bits, the samples of the whole (0: unknown)."""


def create(path: str) -> tuple[int, str]:
    """A new file, open for writing and for its owner alone, and its path: `path`, or with -2, -3 and so on
    before its suffix where that is taken. Folders are made as needed. Raises OSError.
    """
    wanted = Path(path)
    make_folder(wanted.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    for number in range(1, MAX_SAME_NAME):
        found = wanted if number == 1 else wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        with contextlib.suppress(FileExistsError):
            return os.open(found, flags, 0o600), str(found)
    raise FileExistsError(errno.EEXIST, "too many files have this name", path)


def make_folder(folder: Path) -> None:
    """A folder with those above it; those that are not there yet are made for their owner alone."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder)) from None


def rename(path: str, wanted: str) -> str:
    """Give a file another name, or that with a number where it is taken; the new path. Raises OSError.

    The name is taken first, by an empty file, so that none is ever overwritten.
    """
    if path == wanted:
        return path
    descriptor, found = create(wanted)
    os.close(descriptor)
    try:
        os.replace(path, found)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(found)
        raise
    return found


class Disk:
    """An open file that grows at its end; what it holds already can be written over."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = 0

    def append(self, data: bytes) -> None:
        """Write all of it or none. Raises OSError."""
        view, at = memoryview(data), self.size
        try:
            while view:
                written = os.pwrite(self._descriptor, view, at)
                view, at = view[written:], at + written
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size = at

    def replace(self, data: bytes, at: int) -> None:
        """Write over what is there. Raises OSError."""
        os.pwrite(self._descriptor, data, at)

    def free(self) -> int:
        """Octets that the file system has left for us. Raises OSError."""
        found = os.fstatvfs(self._descriptor)
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """Raises OSError."""
        os.close(self._descriptor)


class SoundFile(Protocol):
    """Sound being written. `write` takes samples of shape (n, channels); both methods raise OSError, after
    which the file holds what was written before and only `close` may be called.
    """

    def write(self, pcm: Pcm) -> None: ...

    def close(self) -> None: ...


class WavFile:
    """WAV (RIFF), the header written anew after every write."""

    def __init__(self, disk: Disk, kind: Format, channels: int) -> None:
        self._disk = disk
        self._channels = channels
        self._tag = {"wav_alaw": _ALAW, "wav_ulaw": _ULAW}.get(kind, _PCM)
        self._table = {_ALAW: ENCODE["PCMA"], _ULAW: ENCODE["PCMU"]}.get(self._tag)
        self._data = 0
        disk.append(self._header())

    def write(self, pcm: Pcm) -> None:
        octets = pcm.astype("<i2") if self._table is None else self._table[pcm.view("u2")]
        data = octets.tobytes()
        if self._data + len(data) > MAX_WAV:
            raise OSError(errno.EFBIG, "a WAV file can't be longer")
        self._disk.append(data)
        self._data += len(data)
        self._disk.replace(self._header(), 0)

    def close(self) -> None:
        self._disk.close()

    def _header(self) -> bytes:
        width = 2 if self._tag == _PCM else 1
        frame = width * self._channels
        form = struct.pack(
            "<HHIIHH", self._tag, self._channels, SAMPLE_RATE, SAMPLE_RATE * frame, frame, width * 8
        )
        rest = b""
        if self._tag != _PCM:  # the length of an extension, and how many samples there are
            form += struct.pack("<H", 0)
            rest = struct.pack("<4sII", b"fact", 4, self._data // frame)
        chunks = struct.pack("<4s4sI", b"WAVE", b"fmt ", len(form)) + form + rest
        chunks += struct.pack("<4sI", b"data", self._data)
        return struct.pack("<4sI", b"RIFF", len(chunks) + self._data) + chunks


class FlacFile:
    """FLAC by libsndfile, written frame by frame: blocks of half a second."""

    def __init__(self, disk: Disk, channels: int) -> None:
        self._sink = _FlacSink(disk)
        self._disk = disk
        self._channels = channels
        self._encoder = soundfile.SoundFile(self._sink, "w", SAMPLE_RATE, channels, "PCM_16", format="FLAC")

    def write(self, pcm: Pcm) -> None:
        self._encoder.write(pcm)
        self._sink.check()

    def close(self) -> None:
        failed = self._sink.error
        try:
            self._encoder.close()
            if not self._disk.size and failed is None:  # libsndfile writes the header with the first samples
                self._disk.append(_empty_flac(self._channels))
        finally:
            self._disk.close()
        if failed is None:  # else it was raised before
            self._sink.check()


def _empty_flac(channels: int) -> bytes:
    """The header of a FLAC file without a frame (RFC 9639, 8.1 and 8.2)."""
    rate_channels_bits_samples = SAMPLE_RATE << 44 | (channels - 1) << 41 | 15 << 36
    info = struct.pack(">HH6xQ16x", 4096, 4096, rate_channels_bits_samples)
    return b"fLaC" + struct.pack(">I", 0x80 << 24 | len(info)) + info


class _FlacSink:
    """What libsndfile takes for a file. After an error nothing is written any more: `check` raises it.

    libFLAC writes the length into the header only at the end, so it is put there here after each frame. The
    MD5 of the sound, beside it, stays 0 until then, which stands for unknown.
    """

    def __init__(self, disk: Disk) -> None:
        self.error: OSError | None = None
        self._disk = disk
        self._at = 0
        self._header = b""
        self._frames = 0

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._disk.size}[whence]
        return self._at

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                self._write(data)
            except OSError as error:
                self.error = error
        self._at += len(data)
        return len(data)

    def _write(self, data: bytes) -> None:
        if self._at < self._disk.size:
            self._disk.replace(data, self._at)
            return
        self._disk.append(data)
        if len(self._header) < _FLAC_TOTAL.stop:
            self._header += data
        elif data[:2] in (b"\xff\xf8", b"\xff\xf9"):  # the beginning of a frame (RFC 9639, 9.1)
            self._frames += 1
            block = int.from_bytes(self._header[_FLAC_BLOCK_SIZE], "big")
            total = int.from_bytes(self._header[_FLAC_TOTAL], "big") + self._frames * block
            self._disk.replace(total.to_bytes(8, "big"), _FLAC_TOTAL.start)


def open_sound(disk: Disk, kind: Format, channels: int) -> SoundFile:
    """A file of a format, begun on a disk's file that is empty. Raises OSError."""
    return FlacFile(disk, channels) if kind == "flac" else WavFile(disk, kind, channels)
