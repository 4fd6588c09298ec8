"""What a recording holds of streams that play, are bridged or are in a conference."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from media_rig import PCMA, PCMU, FarEnd, Rig, sine

from engine.media.orders import (
    Bridge,
    Conference,
    Detect,
    Listened,
    Member,
    PauseRecording,
    Play,
    Record,
    RecordingEnded,
    RtpStarted,
    ToneSource,
)


@contextmanager
def talking(*pairs: tuple[FarEnd, float]) -> Iterator[None]:
    """Far ends that each send a tone until the block is over."""
    done = threading.Event()

    def talk(far: FarEnd, hz: float) -> None:
        while not done.is_set():
            far.send_pcm(sine(hz, 1600))

    threads = [threading.Thread(target=talk, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def has(samples: np.ndarray, hz: float) -> bool:
    """Whether a good part of the last half second is this tone."""
    end = samples[-4000:].astype(float)
    at = np.exp(-2j * np.pi * hz / 8000 * np.arange(len(end)))
    return abs(end @ at) * 2 / len(end) > 2000


def recorded(rig: Rig, name: str) -> np.ndarray:
    rig.engine.order(Record(name, None))
    return soundfile.read(rig.fact(RecordingEnded).path, dtype="int16")[0]


def hear(rig: Rig, far: FarEnd, packets: int = 60) -> None:
    """Let so much of the call go by."""
    for _ in range(packets):
        far.receive()


@pytest.mark.parametrize("law", [PCMA, PCMU])
def test_both_voices_of_a_bridge_are_recorded_though_its_packets_pass_untouched(rig, tmp_path, law):
    (a, far_a), (b, far_b) = rig.open(), rig.open(law)
    with talking((far_a, 700.0), (far_b, 1100.0)):
        for _ in range(2):
            rig.fact(RtpStarted)
        rig.engine.order(Bridge(a, b))
        rig.engine.order(Record(a, str(tmp_path / "a.wav")))
        hear(rig, far_a)
        left, right = recorded(rig, a).T
    assert (has(left, 700), has(left, 1100)) == (True, False)
    assert (has(right, 700), has(right, 1100)) == (False, True)


def test_who_is_in_a_conference_hears_and_so_records_all_the_others(rig, tmp_path):
    legs = [rig.open() for _ in range(3)]
    with talking(*zip([far for _, far in legs], (500.0, 900.0, 1300.0), strict=True)):
        for _ in range(3):
            rig.fact(RtpStarted)
        rig.engine.order(Conference("c", tuple(Member(name) for name, _ in legs)))
        rig.engine.order(Record(legs[0][0], str(tmp_path / "a.flac"), format="flac"))
        hear(rig, legs[0][1])
        left, right = recorded(rig, legs[0][0]).T
    assert [has(left, hz) for hz in (500, 900, 1300)] == [True, False, False]
    assert [has(right, hz) for hz in (500, 900, 1300)] == [False, True, True]


def test_a_pause_leaves_out_what_is_said_in_it(rig, tmp_path):
    name, far = rig.open()
    rig.engine.order(Record(name, str(tmp_path / "a.wav")))
    rig.engine.order(Play(name, ToneSource("us", "busy", -10.0), loop=True))
    hear(rig, far, 20)
    rig.engine.order(PauseRecording(name, True))
    hear(rig, far, 60)
    rig.engine.order(PauseRecording(name, False))
    hear(rig, far, 20)
    seconds = len(recorded(rig, name)) / 8000
    assert 0.6 < seconds < 1.4  # of two that went by


def test_what_is_analysed_is_recorded_while_the_detector_listens(rig, tmp_path):
    name, far = rig.open()
    path = tmp_path / "heard.wav"
    rig.engine.order(Record(name, str(path), analysed=True))
    with talking((far, 700.0)):
        rig.fact(RtpStarted)
        assert not path.exists()
        rig.engine.order(Detect(name))
        hear(rig, far, 40)
        rig.engine.order(Detect(name, on=False))
        rig.fact(Listened)
        hear(rig, far, 40)
        samples = recorded(rig, name)
    assert 0.5 * 8000 < len(samples) < 1.2 * 8000
    assert has(samples[:, 0], 700)


def test_where_nothing_was_analysed_there_is_no_file(rig, tmp_path):
    name, _ = rig.open()
    rig.engine.order(Record(name, str(tmp_path / "none.wav"), tag="t", analysed=True))
    rig.engine.order(Detect(name))
    rig.engine.order(Record(name, None))
    ended = rig.fact(RecordingEnded)
    assert (ended.path, ended.error, ended.tag) == ("", "", "t")
    assert list(tmp_path.iterdir()) == []
