"""Recording what a stream receives and sends: a little work in the media thread, the rest in the writer's.

The media thread only collects frames and hands over a second of them at a time. Decoding, mixing, encoding
and the disk are the writer thread's. A disk that is full or too slow ends the recording, never the call.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
import time
from collections import deque

import numpy as np

from engine.media.codec import SAMPLE_RATE, Pcm
from engine.media.orders import Fact, Record, RecordingEnded, RecordingStarted
from engine.media.recording_file import Disk, SoundFile, create, open_sound

CHUNK_FRAMES = 50
"""Frames of 20 ms written at a time: what a crash may cost, and FLAC's half a second with it."""
MAX_WAITING = 10
"""Chunks of one recording that may wait for the disk."""
FREE_EVERY = 2
"""Chunks after which the free space is looked at again."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Chunk = tuple[bytes, bytes]
"""Samples received and sent."""


class Recording:
    """One recording, in the media thread: it collects frames."""

    def __init__(self, order: Record) -> None:
        self.order = order
        self.paused = False
        self.failed = False
        """Written by the writer thread too: nothing more is to be added."""
        self.begun = False
        """Whether the writer has it."""
        self.file = _File(order)
        self._received: list[bytes] = []
        self._sent: list[bytes] = []

    def add(self, received: Pcm, sent: Pcm) -> Chunk | None:
        """Take a frame of each side, unless paused; a chunk where it is full."""
        if self.paused:
            return None
        self._received.append(received.tobytes())
        self._sent.append(sent.tobytes())
        return self.rest() if len(self._received) == CHUNK_FRAMES else None

    def rest(self) -> Chunk:
        """What is not a full chunk yet."""
        chunk = b"".join(self._received), b"".join(self._sent)
        self._received.clear()
        self._sent.clear()
        return chunk


class RecordingWriter:
    """The writer thread, started with the first recording. `facts` holds what it has to tell."""

    def __init__(self) -> None:
        self.facts: deque[Fact] = deque()
        self._queue: queue.SimpleQueue[tuple[Recording, Chunk | None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, recording: Recording) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()
        recording.begun = True
        self.write(recording, (b"", b""))

    def write(self, recording: Recording, chunk: Chunk) -> None:
        """Queue a chunk; never blocks. The recording has failed where the disk can't keep up."""
        file = recording.file
        if file.queued - file.taken >= MAX_WAITING:
            file.fail("the disk is too slow")
            recording.failed = True
        elif not recording.failed:
            file.queued += 1
            self._queue.put((recording, chunk))

    def finish(self, recording: Recording) -> None:
        """Close the file once everything queued has been written; a fact tells of it."""
        self.write(recording, recording.rest())
        recording.failed = True
        self._queue.put((recording, None))

    def close(self) -> None:
        """Write everything queued, then end the thread; waits 5 s for the disk at most."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(5)
            self._thread = None

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            recording, chunk = item
            file, order = recording.file, recording.order
            if chunk is None:
                file.close()
                self.facts.append(RecordingEnded(
                    order.stream, time.monotonic(), file.path, file.error, order.tag, file.seconds,
                ))
                continue
            opened = file.is_open
            file.write(*chunk)
            if file.error:
                recording.failed = True
            elif not opened:
                self.facts.append(RecordingStarted(order.stream, time.monotonic(), file.path, order.tag))


class _File:
    """One recording, in the writer thread. `error` is empty, or one plain sentence; nothing is raised."""

    def __init__(self, order: Record) -> None:
        self.path = order.path or ""
        self.error = ""
        self.queued = 0
        """Chunks: counted by the media thread; `taken` by the writer."""
        self.taken = 0
        self._order = order
        self._disk: Disk | None = None
        self._sound: SoundFile | None = None
        self._samples = 0

    @property
    def is_open(self) -> bool:
        return self._sound is not None

    @property
    def seconds(self) -> float:
        """How much sound the file holds."""
        return self._samples / SAMPLE_RATE

    def fail(self, why: str) -> None:
        self.error = self.error or f"{self.path}: {why}, so the recording ended."

    def write(self, received: bytes, sent: bytes) -> None:
        """Append samples; the first call opens the file."""
        self.taken += 1
        if self.error:
            return
        try:
            sound = self._sound or self._open()
            if self.taken % FREE_EVERY == 1 and not self._has_room():
                return
            if received:
                sound.write(self._channels(received, sent))
                self._samples += len(received) // 2
        except OSError as error:
            self._failed(error)
        except Exception as error:  # libsndfile's own: no file is worth a thread that all recordings share
            self.fail(f"it can't be encoded ({error})")

    def close(self) -> None:
        try:
            if self._sound is not None:
                self._sound.close()
            elif self._disk is not None:
                self._disk.close()
        except OSError as error:
            self._failed(error)
        except Exception as error:
            self.fail(f"it can't be encoded ({error})")

    def _open(self) -> SoundFile:
        descriptor, self.path = create(self.path)
        self._disk = Disk(descriptor)
        self._sound = open_sound(self._disk, self._order.format, 1 if self._order.mixed else 2)
        return self._sound

    def _has_room(self) -> bool:
        least = self._order.min_free
        enough = not least or self._disk is None or self._disk.free() >= least
        if not enough:
            self.fail(f"less than {least / 1e6:g} MB are left on its disk")
            if self.taken == 1:  # nobody knows of the file yet
                os.unlink(self.path)
        return enough

    def _channels(self, received: bytes, sent: bytes) -> Pcm:
        left, right = np.frombuffer(received, np.int16), np.frombuffer(sent, np.int16)
        if not self._order.mixed:
            return np.column_stack((left, right))
        both = left.astype(np.int32) + right
        return both.clip(-32768, 32767).astype(np.int16).reshape(-1, 1)

    def _failed(self, error: OSError) -> None:
        if error.errno in _FULL:
            self.fail("the disk is full" if error.errno != errno.EFBIG else "no file may be longer")
        else:
            self.fail(f"it cannot be written ({error.strerror or error})")
