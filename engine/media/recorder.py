"""Recording to stereo WAV: the left channel is received, the right one sent; 16 bit, 8 kHz.

The media thread only fills bounded queues; one writer thread opens, writes and closes the files. A disk
that is full or too slow ends the recording, never the call.
"""

from __future__ import annotations

import os
import queue
import threading
import wave
from collections import deque
from typing import BinaryIO

import numpy as np

from engine.media.codec import FRAME, SAMPLE_RATE, Pcm

_CHUNK_FRAMES = 10
MAX_QUEUED = 500
"""Chunks of 200 ms waiting for the disk, of all recordings together."""


class Recording:
    """One file being written. `error` is empty, or one plain sentence."""

    def __init__(self, stream: str, path: str) -> None:
        self.stream = stream
        self.path = path
        self.error = ""
        self.failed = False
        self._file: BinaryIO | None = None
        self._wave: wave.Wave_write | None = None
        self._chunk = np.zeros((_CHUNK_FRAMES * FRAME, 2), np.int16)
        self._frames = 0

    def add(self, received: Pcm, sent: Pcm) -> bytes | None:
        """Take one tick; a chunk for the writer where it is full."""
        at = self._frames * FRAME
        self._chunk[at : at + FRAME, 0] = received
        self._chunk[at : at + FRAME, 1] = sent
        self._frames += 1
        return self.rest() if self._frames == _CHUNK_FRAMES else None

    def rest(self) -> bytes:
        """What is not a full chunk yet."""
        data = self._chunk[: self._frames * FRAME].tobytes()
        self._frames = 0
        return data

    def fail(self, sentence: str) -> None:
        self.error = self.error or sentence
        self.failed = True

    def write(self, data: bytes) -> None:
        """In the writer thread: open at first, then append. Raises OSError."""
        if self._wave is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            self._file = os.fdopen(os.open(self.path, flags, 0o600), "wb")
            self._wave = wave.open(self._file, "wb")  # noqa: SIM115
            self._wave.setnchannels(2)
            self._wave.setsampwidth(2)
            self._wave.setframerate(SAMPLE_RATE)
        self._wave.writeframes(data)  # keeps the header right: a crash leaves a valid file
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """In the writer thread. Raises OSError."""
        writer, file = self._wave, self._file
        self._wave = self._file = None
        try:
            if writer is not None:
                writer.close()
        finally:
            if file is not None:
                file.close()


class RecordingWriter:
    """The writer thread, started with the first recording. `finished` holds recordings now closed."""

    def __init__(self) -> None:
        self.finished: deque[Recording] = deque()
        self._queue: queue.Queue[tuple[Recording, bytes | None] | None] = queue.Queue(MAX_QUEUED)
        self._thread: threading.Thread | None = None

    def start(self, recording: Recording) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()
        self.write(recording, b"")

    def write(self, recording: Recording, data: bytes) -> None:
        """Queue a chunk; never blocks. Marks the recording failed where the disk cannot keep up."""
        try:
            self._queue.put_nowait((recording, data))
        except queue.Full:
            recording.fail(f"{recording.path}: the disk is too slow, so the recording ended.")

    def finish(self, recording: Recording) -> None:
        """Close it once everything queued has been written."""
        self.write(recording, recording.rest())
        try:
            self._queue.put_nowait((recording, None))
        except queue.Full:
            # The writer is stuck in the disk: hand the closing over to a thread that may wait for it.
            threading.Thread(target=self._queue.put, args=((recording, None),), daemon=True).start()

    def close(self) -> None:
        """Write everything queued, then end the thread; waits 5 s for the disk at most."""
        if self._thread is not None:
            try:
                self._queue.put(None, timeout=5)
            except queue.Full:
                return
            self._thread.join(5)
            self._thread = None

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            recording, data = item
            try:
                if data is None:
                    recording.close()
                elif not recording.failed:
                    recording.write(data)
            except OSError as error:
                recording.fail(f"{recording.path} cannot be written: {error.strerror or error}.")
            if data is None:
                self.finished.append(recording)
