"""Recording as the media thread drives it: what is collected, when it ends, what is told."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
import soundfile

from engine.media.codec import FRAME
from engine.media.orders import Fact, Record, RecordingEnded, RecordingStarted
from engine.media.recorder import CHUNK_FRAMES, MAX_WAITING, Recording, RecordingWriter


def frame(value: int) -> np.ndarray:
    return np.full(FRAME, value, np.int16)


class Desk:
    """A writer, and recordings fed as the media thread feeds them."""

    def __init__(self) -> None:
        self.writer = RecordingWriter()

    def begin(self, path, **options: object) -> Recording:
        recording = Recording(Record("leg", str(path), tag="t", **options))  # type: ignore[arg-type]
        self.writer.start(recording)
        return recording

    def feed(self, recording: Recording, ticks: int, received: int = 100, sent: int = -7) -> int:
        """How many ticks it took."""
        for tick in range(ticks):
            if recording.failed:
                return tick
            if chunk := recording.add(frame(received), frame(sent)):
                self.writer.write(recording, chunk)
        return ticks

    def fact(self, kind: type) -> Fact:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            while self.writer.facts:
                found = self.writer.facts.popleft()
                if isinstance(found, kind):
                    return found
            time.sleep(0.002)
        raise AssertionError(f"no {kind.__name__}")


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.writer.close()


def test_received_is_left_and_sent_is_right(desk, tmp_path):
    recording = desk.begin(tmp_path / "a.wav")
    started = desk.fact(RecordingStarted)
    desk.feed(recording, CHUNK_FRAMES + 10)
    desk.writer.finish(recording)
    ended = desk.fact(RecordingEnded)
    assert (started.path, started.tag) == (ended.path, ended.tag) == (str(tmp_path / "a.wav"), "t")
    assert (ended.error, ended.seconds) == ("", 1.2)
    found, _ = soundfile.read(ended.path, dtype="int16")
    assert found.shape == (60 * FRAME, 2)
    assert np.all(found == [100, -7])


def test_mixed_is_the_sum_of_both_within_the_range(desk, tmp_path):
    recording = desk.begin(tmp_path / "a.wav", mixed=True)
    desk.feed(recording, 10)
    desk.feed(recording, 10, 30000, 9000)
    desk.feed(recording, 10, -30000, -9000)
    desk.writer.finish(recording)
    found, _ = soundfile.read(desk.fact(RecordingEnded).path, dtype="int16")
    assert found.shape == (30 * FRAME,)
    assert [int(v) for v in found[:: 10 * FRAME]] == [93, 32767, -32768]


def test_a_pause_is_cut_out(desk, tmp_path):
    recording = desk.begin(tmp_path / "a.wav")
    desk.feed(recording, 30, received=1)
    recording.paused = True
    desk.feed(recording, 500, received=2)
    recording.paused = False
    desk.feed(recording, 30, received=3)
    desk.writer.finish(recording)
    found, _ = soundfile.read(desk.fact(RecordingEnded).path, dtype="int16")
    assert found[:, 0].tolist() == [1] * 30 * FRAME + [3] * 30 * FRAME


@pytest.mark.parametrize("kind", ["wav", "wav_alaw", "wav_ulaw", "flac"])
def test_a_full_disk_ends_the_recording_with_one_sentence(desk, small_disk, kind):
    path = small_disk / f"a.{kind}"
    recording = desk.begin(path, format=kind)
    rng = np.random.default_rng(1)
    while not recording.failed:
        noise = rng.integers(-9000, 9000, FRAME, np.int16)
        if chunk := recording.add(noise, noise[::-1].copy()):
            desk.writer.write(recording, chunk)
            while recording.file.taken < recording.file.queued:
                time.sleep(0.001)
    desk.writer.finish(recording)
    ended = desk.fact(RecordingEnded)
    assert ended.error == f"{path}: the disk is full, so the recording ended."
    found, _ = soundfile.read(path, dtype="int16")
    assert len(found) == soundfile.info(path).frames >= ended.seconds * 8000 - 4096
    assert len(found) > 20_000


def test_it_ends_before_the_disk_is_full(desk, small_disk):
    (small_disk / "other").write_bytes(bytes(50_000))
    recording = desk.begin(small_disk / "a.wav", min_free=80_000)
    while not recording.failed:
        desk.feed(recording, CHUNK_FRAMES)
        while recording.file.taken < recording.file.queued:
            time.sleep(0.001)
    desk.writer.finish(recording)
    ended = desk.fact(RecordingEnded)
    assert "less than 0.08 MB are left on its disk, so the recording ended" in ended.error
    assert soundfile.info(ended.path).duration == pytest.approx(ended.seconds)
    assert ended.seconds >= 1


def test_it_does_not_begin_where_there_is_no_room(desk, small_disk):
    recording = desk.begin(small_disk / "a.wav", min_free=10**9)
    desk.writer.finish(recording)
    assert "less than 1000 MB are left" in desk.fact(RecordingEnded).error


def test_a_disk_that_hangs_costs_the_recording_and_bounded_memory(desk, tmp_path):
    go = threading.Event()
    recording = desk.begin(tmp_path / "a.wav")
    desk.fact(RecordingStarted)
    writing = recording.file.write

    def hangs(received: bytes, sent: bytes) -> None:
        go.wait(10)
        writing(received, sent)

    recording.file.write = hangs  # type: ignore[method-assign]
    took = desk.feed(recording, 100 * CHUNK_FRAMES)
    assert took <= (MAX_WAITING + 1) * CHUNK_FRAMES
    desk.writer.finish(recording)
    go.set()
    ended = desk.fact(RecordingEnded)
    assert ended.error.endswith("the disk is too slow, so the recording ended.")
    assert soundfile.info(ended.path).frames == 0 or soundfile.info(ended.path).duration <= MAX_WAITING


def test_a_folder_that_can_not_be_made_is_told_in_one_sentence(desk, tmp_path):
    (tmp_path / "file").write_text("")
    recording = desk.begin(tmp_path / "file" / "a.wav")
    desk.writer.finish(recording)
    ended = desk.fact(RecordingEnded)
    why = "it cannot be written (Not a directory), so the recording ended."
    assert ended.error == f"{tmp_path}/file/a.wav: {why}"


@pytest.mark.parametrize(("kind", "size"), [("wav", 44), ("wav_alaw", 58), ("flac", 42)])
def test_a_recording_of_nothing_is_a_header_alone(desk, tmp_path, kind, size):
    recording = desk.begin(tmp_path / "a", format=kind)
    desk.writer.finish(recording)
    ended = desk.fact(RecordingEnded)
    assert (ended.error, ended.seconds, os.stat(ended.path).st_size) == ("", 0, size)
    assert soundfile.info(ended.path).samplerate == 8000


def test_the_media_threads_part_is_small(tmp_path):
    """A hundred legs are recorded in a tenth of a tick, on whatever machine this is."""
    legs = [Recording(Record("leg", str(tmp_path / str(n)))) for n in range(100)]
    received, sent = frame(1), frame(2)
    best = 1.0
    for _ in range(20):
        begun = time.perf_counter()
        for leg in legs:
            leg.add(received, sent)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.002
