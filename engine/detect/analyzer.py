"""What a line says, frame by frame: the door to the detector.

Each part listens for its own; here it is decided who is asked, and what explains what. Nothing looks ahead,
and what was told is never taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from engine.detect import front
from engine.detect.announcements import Announcements
from engine.detect.answering import AmdSettings, Answering
from engine.detect.beep import Beep
from engine.detect.dtmf import DtmfDetector, KeyPress
from engine.detect.fax import FaxTones
from engine.detect.front import Floats, Front, Look
from engine.detect.plans import plan, plans
from engine.detect.prints import Library
from engine.detect.progress import ProgressTones
from engine.detect.pure import PureTones
from engine.detect.rules import ToneRules
from engine.detect.silence import SILENCE_DBM0, SILENCE_MS, SilenceTimer
from engine.detect.sit import SpecialInformation
from engine.detect.types import Detection, Tone
from engine.detect.voice import VoiceModel, probabilities
from engine.detect.voices import Voices

FRAME_MS = 20
_CADENCES = (Tone.RINGBACK, Tone.BUSY, Tone.CONGESTION, Tone.DIAL)
EXPLAINED_FRAMES = 40
"""A pure tone of so many frames is neither voice nor music."""
QUIET_DBM0 = -60.0
"""What is so weak holds no tone that counts."""
KEY_MS = 1000.0
"""So long after a key what is heard is of keys."""
BEEP_MS = 8000.0
"""A beep may follow speech after so long, no longer."""
BEEP_WAIT_MS = 90_000.0
"""So long after the answer the beep at the end of a greeting is listened for."""
STEADY_MS = 200.0
"""A line alone in noise that lasts so long is no voice."""


class Analyzer:
    """Listens to one stream. `country` picks the tone plan, None listens for all of them; `model` tells
    speech, and without one neither speech, music, people nor machines are told. Speech is laid against the
    `library` for `compared_s` seconds; `rules` replace the plans' cadences.

    Raises PlanError for a country without a plan. Times in detections count from the first frame.
    """

    def __init__(
        self,
        country: str | None,
        model: VoiceModel | None = None,
        library: Library | None = None,
        amd: AmdSettings | None = None,
        compared_s: float = 10.0,
        rules: ToneRules | None = None,
    ) -> None:
        self._front = Front()
        self._tones = ProgressTones([plan(country)] if country else list(plans().values()), rules)
        self._silence = SilenceTimer()
        self._level_before = 0.0
        self._said_silence = False
        self._waiting: list[Detection] = []
        self._pure = PureTones()
        self._sit = SpecialInformation()
        self._fax = FaxTones()
        self._beep = Beep()
        self._dtmf = DtmfDetector()
        self.presses: list[KeyPress] | None = None
        """Presses that another listener heard in this audio, to be told with the next frame; None: none does,
        and they are listened for here."""
        self._key_ms = -1e9
        self._voices = Voices(model) if model is not None else None
        self._library = library
        self._announcements = Announcements(library) if library is not None and len(library) else None
        self._matched = self._unmatched = self._comparing = False
        self._compared_from = 0
        self._compared_ms = compared_s * 1000
        self._amd = amd or AmdSettings()
        self._answering: Answering | None = None
        self._answered_ms: float | None = None
        self._spoke_ms = -1e9
        self._awaits_beep = False
        self._half: tuple[Look, list[Detection]] | None = None
        self._question: Floats | None = None
        self._answer: float | None = None
        self.now_ms = 0

    @property
    def current(self) -> str:
        """The label of what is heard now; empty for nothing in particular."""
        if self._tones.current:
            return self._tones.current
        if self._said_silence:
            return Tone.SILENCE.label
        state = self._voices.state if self._voices is not None else None
        return state.label if state is not None else ""

    @property
    def quiet(self) -> bool:
        """Whether the last frame was silent."""
        return self._silence.since_ms is not None

    def answered(self) -> None:
        """The call was answered: from the next frame on a person is told from a machine, and beeps are
        looked for."""
        self._answered_ms = float(self.now_ms)
        self._tones.patient = True
        if self._voices is not None:
            self._answering = Answering(self._amd, self._answered_ms)
            self._voices.always = True
            self._awaits_beep = False

    def feed(self, frame: npt.NDArray[np.int16]) -> list[Detection]:
        """One frame of 160 samples (20 ms at 8 kHz); what became certain with it."""
        return self.hear(self.look(frame[None])[0])

    def look(self, frames: npt.NDArray[np.int16]) -> list[Look]:
        """The figures of the next frames, [frames, 160], which `hear` is to get one by one: many at once
        cost less. They tell it nothing of the frames to come. See also `look_at_each`."""
        return self._front.look(frames)

    def hear(self, look: Look) -> list[Detection]:
        """The next frame that was looked at; what became certain with it."""
        self.begin(look)
        return self.end()

    def begin(self, look: Look) -> None:
        """The first half of `hear`: the tones. `end` is to follow; before it, `answer_each` asks the voice
        model for many analyzers at once, which costs less."""
        level = look.level
        self._silence.feed(level, self.now_ms)
        self.now_ms += FRAME_MS
        loudest = max(level, self._level_before)
        self._level_before = level
        if loudest < QUIET_DBM0:
            self._pure.rest(self.now_ms)
        else:
            self._pure.feed(look.line, self.now_ms)
        found = self._outside_music(self._tones.feed(look.band, level, self.now_ms))
        found += self._single_tones(look)
        for press in self._heard_keys(look, loudest < SILENCE_DBM0):
            if self._amid_music:
                continue  # two notes of a chord
            self._key_ms = self.now_ms
            if not press.over:
                heard = (press.begin_ms, self.now_ms, 0.95, press.why)
                found.append(Detection(Tone.DTMF, *heard, digit=press.digit))
        self._half = look, found
        self._question = self._asked(look)

    def end(self) -> list[Detection]:
        """The second half: voices and announcements. What became certain with the frame."""
        assert self._half is not None
        (look, found), self._half = self._half, None
        if self._voices is not None:
            if (question := self._question) is not None:
                self._question, self._answer = None, self._voices.model.probability(question)
            found += self._speech(look, self._voices)
        found += self._still()
        return found

    def _heard_keys(self, look: Look, quiet: bool) -> list[KeyPress]:
        if self.presses is None:
            return self._dtmf.hear(look.samples, look.keys, quiet)
        told, self.presses = self.presses, []
        return told

    @property
    def _amid_music(self) -> bool:
        return self._voices is not None and self._voices.state is Tone.COLORRINGBACK

    def _outside_music(self, found: list[Detection]) -> list[Detection]:
        """Long notes sound like a network's tones: amid music those wait until the music has ended; a dial
        tone does not last so long."""
        music = self._amid_music
        waited = [] if music else [d for d in self._waiting if d.tone.label == self._tones.current]
        if music:
            told = [d for d in found if d.tone in _CADENCES and d.tone is not Tone.DIAL]
            self._waiting = (told or self._waiting)[-1:]
            return [d for d in found if d.tone not in _CADENCES]
        self._waiting = []
        return waited + found

    def _single_tones(self, look: Look) -> Iterable[Detection]:
        now = self.now_ms
        if (heard := self._sit.feed(look.line, now)) is not None:
            yield Detection(Tone.SIT, round(heard[0]), now, 1.0, heard[1])
        if (heard := self._fax.look(self._pure, look.line, now)) is not None and not self._amid_music:
            self._decide()
            yield Detection(Tone.FAX, round(heard[0]), now, 0.95, heard[1])
        if self._answered_ms is not None and now - self._answered_ms < BEEP_WAIT_MS:
            heard = self._beep.look(self._pure, look.line, self._spoke_ms, now)
            if heard is not None and heard[0] >= self._answered_ms and now - self._spoke_ms < BEEP_MS:
                self._awaits_beep = False
                yield Detection(Tone.BEEP, round(heard[0]), now, 0.95, heard[1])

    def _asked(self, look: Look) -> Floats | None:
        """What the voice model is to be asked about."""
        voices = self._voices
        if voices is None:
            return None
        tone = self._pure.open
        key = self.now_ms - self._key_ms < KEY_MS
        explained = (
            key or self._tones.explains or self._fax.waits(self._pure)
            or (tone is not None and tone.frames >= EXPLAINED_FRAMES)
        )
        sounds = look.level >= SILENCE_DBM0
        return voices.feed(look.samples, sounds, explained, self._pure.power, self.now_ms)

    def _speech(self, look: Look, voices: Voices) -> list[Detection]:
        found: list[Detection] = []
        if self._answer is not None:
            found += voices.answer(self._answer, self.now_ms)
            self._answer = None
        found += self._compare(look.samples, voices)
        if voices.speech:
            self._spoke_ms = self.now_ms
        if self._answering is not None:
            line = self._beep.line
            steady = line.ms >= STEADY_MS and line.alone
            speech = voices.speech and not steady
            tone = steady or (self._tones.explains and not speech and look.level >= SILENCE_DBM0)
            told = self._answering.feed(speech, self.now_ms, look.level, voices.voiced, tone)
            if told is not None:
                found.append(told)
                self._awaits_beep = told.tone is Tone.MACHINE
            if self._answering.over:
                self._decide()
        elif self._awaits_beep and self._answered_ms is not None:
            self._awaits_beep = self.now_ms - self._answered_ms < BEEP_WAIT_MS
        voices.always = self._answering is not None or self._awaits_beep
        return found

    def _decide(self) -> None:
        """Who answered is told, or a fax machine did."""
        self._answering = None

    def _compare(self, x: Floats, voices: Voices) -> list[Detection]:
        """Lay what no tone explains against the known announcements; speech that ends unknown is
        `UNMATCH`."""
        if self._library is None:
            return []
        now = self.now_ms
        told = self._unknown(voices)
        if self._announcements is None:
            return told
        if not voices.within_sound:
            if self._comparing:
                self._announcements.reset()
            self._comparing = False
            return told
        if not self._comparing:
            self._comparing = True
            self._compared_from = now - FRAME_MS
        match = self._announcements.feed(x)
        if match is None:
            return told
        self._matched = True
        sample = self._library.samples[match.number]
        measured = f"correlation {match.score:.2f}, harmonics {match.voice:.2f}"
        why = f"{match.seconds:.1f} s of sample {sample.uniqueid}, {measured}"
        begin = self._compared_from + FRAME_MS * match.begin_frame
        return [*told, Detection(Tone.SAMPLE, begin, now, min(1.0, match.score), why, sample=sample)]

    def _unknown(self, voices: Voices) -> list[Detection]:
        """Speech that has ended, or gone on for long, and that no sample matched: told once."""
        if voices.state is not Tone.PROMPT:
            self._matched = self._unmatched = False
            return []
        age = self.now_ms - voices.begin_ms
        if self._matched or self._unmatched or (voices.within_sound and age < self._compared_ms):
            return []
        self._unmatched = True
        why = f"speech of {age / 1000:.1f} s that no sample matches"
        return [Detection(Tone.UNMATCH, round(voices.begin_ms), self.now_ms, 0.8, why)]

    def skip(self) -> None:
        """A frame that nobody had the time to look at: time goes on, and what was heard goes on with it."""
        self._silence.skip()
        self.now_ms += FRAME_MS
        self._front.skip()
        self._tones.skip()

    def _still(self) -> list[Detection]:
        """Silence, unless it is the gap of a cadence."""
        lasted = self._silence.lasted(self.now_ms)
        if lasted < SILENCE_MS:
            self._said_silence = False
            return []
        if self._said_silence or self._tones.expects_more:
            return []
        self._said_silence = True
        why = f"nothing above {self._silence.loudest:.0f} dBm0 for {lasted} ms"
        return [Detection(Tone.SILENCE, self.now_ms - lasted, self.now_ms, 1.0, why)]

    def finish(self) -> list[Detection]:
        """The stream is over: what a burst that was still going on says."""
        return self._tones.finish(self.now_ms)


def look_at_each(analyzers: Sequence[Analyzer], frames: Sequence[npt.NDArray[np.int16]]) -> list[Look]:
    """The next frame's figures of many streams at once, each for its analyzer's `hear`."""
    return front.look_at_each([a._front for a in analyzers], frames)


def answer_each(analyzers: Sequence[Analyzer]) -> None:
    """Between `begin` and `end` of many: have the voice model answer what it is to be asked."""
    asked = [(a, a._voices.model, a._question) for a in analyzers if a._voices and a._question is not None]
    answers = probabilities([model for _, model, _ in asked], [chunk for _, _, chunk in asked])
    for (analyzer, _, _), answer in zip(asked, answers, strict=True):
        analyzer._question, analyzer._answer = None, answer
