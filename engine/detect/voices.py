"""Speech or music: asked of the voice model only where no tone explains what is heard, and then sparingly."""

from __future__ import annotations

import numpy as np

from engine.detect.texture import Movement, Notes
from engine.detect.types import Detection, Tone
from engine.detect.voice import CHUNK, Floats, SignalOnly, VoiceModel

CHUNK_MS = 1000 * CHUNK / 8000
SPEECH = 0.5
"""Probability above which a chunk is speech."""
SPEECH_CHUNKS = 8
"""Chunks of speech within the last second that make it speech: 256 ms."""
MUSIC_MS = 1500.0
MUSIC_SHARE = 0.15
"""No more of the chunks than this may be speech where music is told."""
TONAL = 0.12
"""Least share of the strongest line that music has in the mean; noise has less."""
SPAN = 31
"""Chunks in a second."""
REST_CHUNKS, WORK_CHUNKS = 47, 16
"""Once told, the model rests for 1.5 s and is then asked for half a second."""
UNDECIDED_MS = 4000.0
"""After so much sound that is neither, the model is asked every other `TURN` frames."""
TURN = 32
HANGOVER_MS = 500.0
PAUSE_MS = 1000.0
"""The longest pause within an announcement."""
FORGET_MS = 2000.0
"""So long without sound, or with nothing but tones, ends speech and music."""
MOVES = 3
"""Changes of the spectrum within three seconds that music has, and hum and noise have not."""
NOTE_MOVES = 2
TALKS = 0.7
"""More of the chunks than this are speech where somebody talks, be it as steadily as notes."""
TALK_CHUNKS = 10
SONG_MS = 1500.0
"""So long notes must be heard where speech was told."""
UNSPOKEN_MS = 3200.0
"""So long without a word, what moves is no speech; longer than `Movement` remembers."""
SILENT = 0.35
"""What was speech is so until the probability is below this."""


class Voices:
    """Fed every frame. `state` is `PROMPT` for speech, `COLORRINGBACK` for music, or None."""

    def __init__(self, model: VoiceModel) -> None:
        self.model = model
        self._rests = not isinstance(model, SignalOnly)
        """Whether asking costs enough to let the model rest."""
        self._held: Floats = np.zeros(0, np.float32)
        self._answers: list[bool] = []
        self._sound_ms = 0.0
        self._other_ms = 0.0
        self._moves = Movement()
        self._notes = Notes()
        self._talk = 0.0
        self._asked = 0
        self._spoke_ms = 0.0
        self._sung_since: float | None = None
        self._begin_ms = 0.0
        self._chunks = 0
        self.state: Tone | None = None
        self.speech = False
        """Whether the last chunk asked about was speech."""
        self.voiced = False
        """Whether it was, or may be the end of a word."""
        self.always = False
        """Ask about every chunk: while a person is told from a machine."""

    def feed(
        self, frame: Floats, sounds: bool, explained: bool, power: Floats, now_ms: float
    ) -> Floats | None:
        """One frame of int16's scale: whether anything `sounds`, whether a tone explains it, and its spectrum
        `power`. Gives the chunk that the model is now to be asked
        about, if any; `answer` is to have what it says."""
        if sounds and not explained:
            if self._sound_ms == 0:
                self._begin_ms = now_ms - 20
            self._sound_ms += 20
            self._other_ms = 0.0
            self._notes.feed(frame)
            self._moves.feed(power)
        else:
            self._notes.pause()
            self._other_ms += 20
            if self._other_ms >= FORGET_MS:
                self._forget()
            if self._other_ms >= HANGOVER_MS and not self.always:
                self.speech = self.voiced = False
                return None
        if not self._asks():
            return None
        held = np.concatenate((self._held, frame))
        if len(held) < CHUNK:
            self._held = held
            return None
        self._held = held[CHUNK:]
        return held[:CHUNK] / np.float32(32768)

    @property
    def within_sound(self) -> bool:
        """Whether something that no tone explains sounds, or did a moment ago."""
        return self._sound_ms > 0 and self._other_ms < PAUSE_MS

    @property
    def begin_ms(self) -> float:
        """When the sound that goes on began."""
        return self._begin_ms

    def _asks(self) -> bool:
        if self.always or not self._rests:
            return True
        if self.state is None:
            return self._sound_ms < UNDECIDED_MS or int(self._sound_ms / 20) // TURN % 2 == 0
        if self._chunks == WORK_CHUNKS - 1 and self.speech is not (self.state is Tone.PROMPT):
            return True  # what was told is in doubt
        self._chunks += 1
        if self._chunks == REST_CHUNKS + WORK_CHUNKS:
            self._chunks = 0
            self._answers.clear()
            self.model.reset()
        return self._chunks < WORK_CHUNKS

    def answer(self, probability: float, now_ms: float) -> list[Detection]:
        """What the model said of the chunk."""
        speech = probability >= SPEECH
        self.speech = speech
        self.voiced = speech or (self.voiced and probability >= SILENT)
        self._asked += 1
        if speech:
            self._spoke_ms = now_ms
        self._talk += (speech - self._talk) / min(SPAN, self._asked)
        self._answers.append(speech)
        del self._answers[: -2 * SPAN]
        recent = sum(self._answers[-SPAN:])
        sung = self._sung()
        if not sung:
            self._sung_since = None
        elif self._sung_since is None:
            self._sung_since = now_ms
        if recent >= SPEECH_CHUNKS and self.state is not Tone.PROMPT and not sung:
            self.state = Tone.PROMPT
            share = recent / len(self._answers[-SPAN:])
            why = f"{recent * CHUNK_MS:.0f} ms of speech within a second"
            return [
                Detection(Tone.PROMPT, round(self._begin_ms), round(now_ms), min(1.0, 0.5 + share / 2), why)
            ]
        if self.state is Tone.COLORRINGBACK:
            return []
        unspoken = self.state is None or now_ms - self._spoke_ms > UNSPOKEN_MS
        if unspoken and self._is_music():
            why = f"{self._sound_ms:.0f} ms of sound that is neither speech, noise nor a tone"
            return [self._music(now_ms, 1 - 2 * self._talk, why)]
        if self._sung_since is not None and now_ms - self._sung_since >= (SONG_MS if self.state else 0.0):
            return [self._music(now_ms, 0.8, "notes that are held, without the pauses of speech")]
        return []

    def _is_music(self) -> bool:
        return (
            self._sound_ms >= MUSIC_MS
            and self._asked >= 30
            and self._talk <= MUSIC_SHARE
            and self._other_ms == 0
            and (self._moves.count >= MOVES or self._notes.changing())
            and self._moves.tonality >= TONAL
        )

    def _sung(self) -> bool:
        """Whether notes are heard, be it with a voice among them."""
        return (
            self._notes.heard
            and self._moves.count >= NOTE_MOVES
            and self._asked >= TALK_CHUNKS
            and self._talk <= TALKS
        )

    def _music(self, now_ms: float, confidence: float, why: str) -> Detection:
        self.state = Tone.COLORRINGBACK
        return Detection(Tone.COLORRINGBACK, round(self._begin_ms), round(now_ms), confidence, why)

    def _forget(self) -> None:
        self._sound_ms = 0.0
        self._answers.clear()
        self._chunks = 0
        self._notes.forget()
        self._moves = Movement()
        self._sung_since = None
        self._talk = 0.0
        self._asked = 0
        self.state = None
