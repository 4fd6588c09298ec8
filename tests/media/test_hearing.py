"""Listening to a leg: what ends it, what comes of it, and what goes on after the answer."""

from __future__ import annotations

from collections import deque

import msgspec
import numpy as np
from media_rig import wait

from engine.detect.analyzer import Analyzer
from engine.detect.control import Listening, Settings
from engine.detect.dtmf import KeyPress
from engine.detect.outcome import FinishCause
from engine.detect.plans import plan
from engine.detect.synth import render_cycle
from engine.detect.types import Detection, Tone
from engine.media.ending import Ending
from engine.media.hearing import Hearing
from engine.media.listening import Listening as StreamEars
from engine.media.orders import Answered, CloseStream, Detect, Detected, DigitReceived, Listened, Unmatched
from engine.media.playout import Bounds

STILL = np.zeros(160, np.int16)


def busy(seconds: float) -> list[np.ndarray]:
    cycle = render_cycle(plan("cn").cadence("busy"))
    sound = np.tile(cycle, int(seconds * 8000 / len(cycle)) + 1)
    return [sound[at : at + 160].astype(np.int16) for at in range(0, int(seconds * 8000), 160)]


class Leg:
    """A stream's ear without the stream."""

    def __init__(self, settings: Settings | None = None, *, answered: bool = False) -> None:
        order = Detect("leg", country="cn", settings=settings or Settings(), answered=answered)
        self.hearing = Hearing(order, 0.0)
        self.facts: list = []
        self.now = 0.0

    def ready(self) -> None:
        listening = Listening(Analyzer("cn"), self.hearing.order.settings)
        self.hearing.begin(listening)

    def hear(self, frames: list[np.ndarray]) -> None:
        for frame in frames:
            if self.hearing.over:
                return
            self.now += 0.02
            self.hearing.feed(frame, self.now, self.facts)

    def end(self, waiting: tuple[np.ndarray, ...] = (), cause: FinishCause = FinishCause.BUS_CLOSE) -> None:
        self.hearing.end(deque(waiting), self.now, self.facts, cause)

    @property
    def tones(self) -> list[Tone]:
        return [fact.detection.tone for fact in self.facts if isinstance(fact, Detected)]

    @property
    def outcomes(self) -> list[Listened]:
        return [fact for fact in self.facts if isinstance(fact, Listened)]


def test_a_stop_tone_ends_it_and_hangs_up() -> None:
    leg = Leg()
    leg.ready()
    leg.hear(busy(4))
    assert leg.hearing.over
    assert Tone.BUSY in leg.tones
    (told,) = leg.outcomes
    assert told.hang_up
    assert (told.outcome.finish_cause, told.outcome.result) == (FinishCause.STOPTONE, "busy")
    leg.end()
    assert len(leg.outcomes) == 1


def test_one_of_no_sound_at_all_is_told_from_one_that_was_cut_short() -> None:
    silent, cut = Leg(), Leg()
    for leg in (silent, cut):
        leg.ready()
    cut.hear([STILL] * 10)
    silent.end()
    cut.end()
    assert silent.outcomes[0].outcome.finish_cause is FinishCause.BUG_ADD_FAIL
    assert cut.outcomes[0].outcome.finish_cause is FinishCause.BUS_CLOSE


def test_what_waits_when_the_call_ends_is_heard_still() -> None:
    frames = busy(3)
    for settings, heard in ((Settings(), True), (Settings(wait_for_result=0), False)):
        leg = Leg(settings)
        leg.ready()
        at = next(n for n in range(len(frames)) if _told_by(frames[:n]))
        leg.hear(frames[: at - 1])
        assert Tone.BUSY not in leg.tones
        leg.end(tuple(frames[at - 1 : at + 9]))
        assert (Tone.BUSY in leg.tones) is heard


def _told_by(frames: list[np.ndarray]) -> bool:
    leg = Leg()
    leg.ready()
    leg.hear(frames)
    return Tone.BUSY in leg.tones


def test_the_answer_ends_it_but_a_person_is_still_told_from_a_machine() -> None:
    leg = Leg(Settings(max_after_answer=2.0))
    leg.ready()
    leg.hear([STILL] * 5)
    leg.hearing.answered(leg.now, leg.facts)
    leg.hearing.answered(leg.now, leg.facts)
    (told,) = leg.outcomes
    assert (told.outcome.finish_cause, told.hang_up) == (FinishCause.ANSWER, False)
    leg.hear([STILL] * 99)
    assert not leg.hearing.over
    leg.hear([STILL] * 2)
    assert leg.hearing.over
    assert len(leg.outcomes) == 1


def test_an_answer_that_comes_before_it_is_ready_is_not_forgotten() -> None:
    leg = Leg()
    leg.hearing.skip()
    leg.hearing.answered(0.0, leg.facts)
    assert not leg.hearing.ready
    leg.ready()
    assert leg.hearing.now_ms == 20
    leg.hear([STILL])
    assert leg.outcomes[0].outcome.finish_cause is FinishCause.ANSWER


def test_keys_that_another_listener_hears_are_told_and_its_own_detector_rests() -> None:
    leg = Leg()
    leg.ready()
    leg.hearing.hears_keys(False)
    leg.hearing.key(KeyPress("7", 0, 60))
    leg.hear([STILL])
    (heard,) = [fact.detection for fact in leg.facts if isinstance(fact, Detected)]
    assert (heard.tone, heard.digit) == (Tone.DTMF, "7")
    time = np.arange(1600) / 8000
    key = 8000 * (np.sin(2 * np.pi * 770 * time) + np.sin(2 * np.pi * 1336 * time))
    leg.hear(list(key.astype(np.int16).reshape(-1, 160)))
    assert leg.tones.count(Tone.DTMF) == 1
    leg.hearing.hears_keys(True)
    leg.hear([STILL] * 10 + list(key.astype(np.int16).reshape(-1, 160)))
    assert leg.tones.count(Tone.DTMF) == 2


def test_keys_as_tones_before_the_answer_are_digits_though_telephone_event_was_agreed() -> None:
    leg = Leg()
    leg.ready()
    time = np.arange(1600) / 8000
    key = 8000 * (np.sin(2 * np.pi * 770 * time) + np.sin(2 * np.pi * 1336 * time))
    frames = [*key.astype(np.int16).reshape(-1, 160), *([STILL] * 10)]
    leg.hear(frames)
    pressed = [fact for fact in leg.facts if isinstance(fact, DigitReceived)]
    assert [(fact.digit, fact.way) for fact in pressed] == [("5", "inband")]
    leg.hearing.hears_keys(False)  # whoever listens for keys tells them
    leg.hearing.key(KeyPress("7", 0, 60))
    leg.hear([STILL])
    leg.hearing.hears_keys(True)
    leg.hearing.answered(leg.now, leg.facts)
    leg.hear(frames)
    assert len([fact for fact in leg.facts if isinstance(fact, DigitReceived)]) == 1
    assert leg.tones.count(Tone.DTMF) == 3


def test_a_stream_tells_the_outcome_when_it_is_closed_or_told_to_stop(rig) -> None:
    name, far = rig.open()
    rig.engine.order(Detect(name, country="cn"))
    rig.engine.order(Detect(name, on=False))
    assert rig.fact(Listened).outcome.finish_cause is FinishCause.BREAK
    rig.engine.order(Detect(name, country="cn"))
    far.send(b"\xd5" * 160)
    stream = rig.engine.stream(name)
    wait(lambda: stream.hearing is not None and stream.hearing.now_ms > 0)
    rig.engine.order(Answered(name))
    assert rig.fact(Listened).outcome.finish_cause is FinishCause.ANSWER
    rig.engine.order(CloseStream(name))


def test_more_calls_than_may_be_are_not_listened_to(rig) -> None:
    first, _ = rig.open()
    second, _ = rig.open()
    few = Settings(max_calls=1)
    rig.engine.order(Detect(first, settings=few))
    rig.engine.order(Detect(second, settings=few))
    told = rig.fact(Listened)
    assert (told.stream, told.outcome.finish_cause) == (second, FinishCause.LIMIT)


def test_the_time_of_the_call_counts_from_its_dialling() -> None:
    leg = Leg()
    leg.hearing = Hearing(msgspec.structs.replace(leg.hearing.order, call_s=38.0), 5.0)
    listening = Listening(Analyzer("cn"), leg.hearing.order.settings)
    leg.hearing.begin(listening)
    leg.now = 9.0
    leg.hear([STILL])
    assert round(listening.began_s, 2) == 42.02


def test_unknown_speech_is_handed_out_to_be_learnt() -> None:
    class Listener:
        now_ms = 0
        finished = None
        current = ""

        def feed(self, frame: np.ndarray) -> list[Detection]:
            self.now_ms += 20
            return [Detection(Tone.UNMATCH, 1000, 2000, 0.8, "")] if self.now_ms == 2000 else []

    leg = Leg()
    leg.hearing.begin(Listener())  # type: ignore[arg-type]
    leg.hear([np.full(160, n, np.int16) for n in range(100)])
    (fact,) = [fact for fact in leg.facts if isinstance(fact, Unmatched)]
    frames = np.frombuffer(fact.pcm, np.int16).reshape(-1, 160)[:, 0]
    assert frames.tolist() == list(range(25, 100))


def test_what_the_jitter_buffer_holds_when_the_call_ends_is_heard_still(rig) -> None:
    """The far end hangs up in the moment in which the busy tone can be told: its last 200 ms wait here."""
    name, far = rig.open()
    stream = rig.engine.stream(name)
    stream.listening = StreamEars(Bounds(200, 200, 200))
    rig.engine.order(Detect(name, country="cn", settings=Settings(hang_up=False)))
    wait(lambda: stream.hearing is not None and stream.hearing.ready)
    frames = busy(3)
    at = next(n for n in range(len(frames)) if _told_by(frames[:n]))
    far.send_pcm(np.concatenate(frames[:at]))
    rig.engine.order(CloseStream(name))
    told = rig.fact(Listened)
    assert (told.outcome.result, told.outcome.last_tone) == ("busy", "busy")
    assert stream.listening.playout.holds is False


def test_no_result_is_waited_for_longer_than_is_asked() -> None:
    for wait_for, heard in ((0.0, 0), (0.5, 10)):
        leg = Leg(Settings(wait_for_result=wait_for))
        leg.ready()
        ending = Ending(leg.hearing, deque([STILL] * 10), 5.0)
        while ending.waits and not ending.over(5.0):
            ending.hear(5.0, leg.facts)
        assert leg.hearing.now_ms == 20 * heard
        assert ending.over(5.6)
        ending.close(5.0, leg.facts)
        assert leg.outcomes[0].outcome.finish_cause is not FinishCause.UNKNOWN
