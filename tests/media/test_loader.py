"""Sources read in the background: once where they stay as they are, again where they change."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import numpy as np
import pytest

from engine.media import clip, loader
from engine.media.loader import ClipLoader, Loaded
from engine.media.orders import Play, ToneSource, WavSource


@pytest.fixture
def posted() -> queue.Queue[Loaded]:
    return queue.Queue()


@pytest.fixture
def clips(posted) -> Iterator[ClipLoader]:
    made = ClipLoader(posted.put)
    made.start()
    yield made
    made.stop()


def level(loaded: Loaded) -> int:
    assert loaded.clip is not None, loaded.error
    return int(np.abs(loaded.clip.pcm).max())


def read(clips, posted, source) -> Loaded:
    clips.load(Play("x", source))
    return posted.get(timeout=10)


def test_a_file_that_was_asked_for_is_there_at_once_while_it_is_fresh(clips, posted, wav, monkeypatch):
    source = WavSource(wav(np.full(800, 1000, np.int16), 8000))
    assert clips.kept(source) is None
    clips.preload(source)
    found = read(clips, posted, ToneSource("us"))  # the same thread: the file has been read by then
    assert found.clip is clips.kept(ToneSource("us"))
    kept = clips.kept(source)
    assert kept is not None
    assert len(kept.pcm) == 800
    monkeypatch.setattr(loader, "FRESH_S", -1.0)
    assert clips.kept(source) is None


def test_a_file_is_read_once_until_it_changes(clips, posted, wav, monkeypatch):
    reads = []
    load = clip.load
    monkeypatch.setattr(clip, "load", lambda source: reads.append(source) or load(source))
    source = WavSource(wav(np.full(800, 1000, np.int16), 8000))
    assert level(read(clips, posted, source)) == 1000
    assert level(read(clips, posted, source)) == 1000
    assert len(reads) == 1
    wav(np.full(900, 2000, np.int16), 8000)
    assert level(read(clips, posted, source)) == 2000
    assert len(reads) == 2


def test_a_file_that_is_gone_is_told_and_not_played_from_memory(clips, posted, wav, tmp_path):
    source = WavSource(wav(np.full(800, 1000, np.int16), 8000))
    read(clips, posted, source)
    (tmp_path / "8000-1.wav").unlink()
    assert "cannot be read" in read(clips, posted, source).error


def test_no_more_than_some_files_are_kept_and_no_long_ones(clips, posted, tmp_path, wav, monkeypatch):
    data = (tmp_path / wav(np.full(800, 1000, np.int16), 8000)).read_bytes()
    sources = []
    for n in range(loader.MAX_FILES + 1):
        path = tmp_path / f"{n}.wav"
        path.write_bytes(data)
        sources.append(WavSource(str(path)))
        read(clips, posted, sources[-1])
    assert clips.kept(sources[0]) is None
    assert clips.kept(sources[-1]) is not None
    monkeypatch.setattr(loader, "MAX_KEPT_S", 0)
    long = WavSource(wav(np.full(800, 1000, np.int16), 8000))
    read(clips, posted, long)
    assert clips.kept(long) is None
