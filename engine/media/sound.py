"""The local headset: PyAudio's two streams on one side, one stream of the media thread on the other.

PortAudio's callbacks touch bounded deques only, whose single operations need no lock of ours. Opening and
closing take long, so a thread of their own does them; the media thread never waits for a device.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.media import codec, level
from engine.media.clip import Player
from engine.media.codec import FRAME, SAMPLE_RATE, Pcm
from engine.media.devices import SoundError, open_stream, quiet, start_portaudio
from engine.media.drift import DriftControl, Stretcher
from engine.media.gain import Fader
from engine.media.mixer import Room
from engine.media.orders import SOUND, Fact, Meter, PlaybackEnded, SoundChanged

if TYPE_CHECKING:
    from engine.media.stream import RtpStream

_CONTINUE = 0  # paContinue
_MAX_CHUNKS = 100
_MAX_WAITING = 8
"""Frames of 20 ms that wait for the loudspeaker at most."""
MARGIN = 144
"""Samples left in a queue at its lowest: a callback's 10 ms, which slips past a tick now and then where the
clocks differ, and 8 ms that the trimming needs."""
EXCESS = 160
"""Samples over the margin that are thrown away at once instead of played fast: 20 ms."""
CONTROL_TICKS = 25
STALL_S = 5.0


class Microphone:
    """The input stream. `pull` gives 20 ms a tick."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque(maxlen=_MAX_CHUNKS)
        self._channels = 1
        self._stretch = Stretcher()
        self._control = DriftControl(MARGIN, EXCESS)
        self._fifo: Pcm = np.zeros(0, np.int16)
        self._filling = True
        self._least = 1 << 30
        self._ticks = 0
        self.heard = time.monotonic()
        self.underruns = 0

    def callback(self, rate: int, channels: int) -> Callable[..., tuple[None, int]]:
        self._channels = channels
        self._stretch = Stretcher(rate, SAMPLE_RATE)
        chunks = self._chunks

        def take(data: bytes, frames: int, times: Any, status: int) -> tuple[None, int]:
            chunks.append(data)
            return None, _CONTINUE

        return take

    def pull(self, now: float) -> Pcm:
        """160 samples; silence until the device delivers steadily."""
        pieces = [self._fifo]
        while self._chunks:
            pcm = np.frombuffer(self._chunks.popleft(), np.int16)[:: self._channels]
            pieces.append(self._stretch.process(pcm))
            self.heard = now
        fifo = np.concatenate(pieces) if len(pieces) > 1 else self._fifo
        if self._filling and len(fifo) >= FRAME + MARGIN:
            self._filling = False
            self._least = 1 << 30
        if self._filling or len(fifo) < FRAME:
            if not self._filling:
                self.underruns += 1
                self._filling = True
            self._fifo = fifo
            return codec.SILENT_PCM
        frame, self._fifo = fifo[:FRAME], fifo[FRAME:]
        self._least = min(self._least, len(self._fifo))
        self._ticks += 1
        if self._ticks % CONTROL_TICKS == 0:
            self._stretch.trim, drop = self._control.update(self._least)
            self._fifo = self._fifo[drop:]
            self._least = 1 << 30
        return frame


class Loudspeaker:
    """The output stream. `push` takes 20 ms a tick."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._rate = SAMPLE_RATE
        self._stretch = Stretcher()
        self._control = DriftControl(MARGIN, EXCESS)
        self._queued = 0  # octets put in; read by the callback
        self._taken = 0  # octets taken out; written by the callback alone
        self._least = 1 << 30
        self._width = 2
        self._ticks = 0
        self._drop = 0
        self.heard = time.monotonic()
        self.underruns = 0

    def callback(self, rate: int, channels: int) -> Callable[..., tuple[bytes, int]]:
        self._rate = rate
        self._width = 2 * channels
        self._stretch = Stretcher(SAMPLE_RATE, rate)
        chunks = self._chunks
        held = b""
        filling = True

        def give(data: None, frames: int, times: Any, status: int) -> tuple[bytes, int]:
            nonlocal held, filling
            need = frames * self._width
            room = self._width * MARGIN * rate // SAMPLE_RATE
            self.heard = time.monotonic()
            if filling and self._queued - self._taken < need + room:
                return bytes(need), _CONTINUE
            filling = False
            parts, size = [held], len(held)
            drop, self._drop = self._drop, 0
            while size < need + drop:
                try:
                    part = chunks.popleft()
                except IndexError:
                    break
                parts.append(part)
                size += len(part)
            held = b"".join(parts)[drop:]
            out, held = held[:need], held[need:]
            self._taken += min(size, need + drop) if len(out) == need else size
            if len(out) < need:
                self.underruns += 1
                filling = True
                out += bytes(need - len(out))
            self._least = min(self._least, self._queued - self._taken)
            return out, _CONTINUE

        return give

    def push(self, pcm: Pcm) -> None:
        out = self._stretch.process(pcm)
        if self._width > 2:
            out = np.repeat(out, self._width // 2)
        data = out.tobytes()
        self._queued += len(data)
        self._chunks.append(data)
        while len(self._chunks) > _MAX_WAITING:  # the device stalls, as many do when they start
            try:
                self._queued -= len(self._chunks.popleft())
            except IndexError:
                break
        self._ticks += 1
        if self._ticks % CONTROL_TICKS == 0 and self._least < 1 << 30:
            samples = self._least // self._width * SAMPLE_RATE // self._rate
            self._stretch.trim, drop = self._control.update(samples)
            self._drop = drop * self._rate // SAMPLE_RATE * self._width
            self._least = 1 << 30


class SoundCard:
    """The stream named `sound`: what `Bridge` joins a leg to. Served by the media thread."""

    def __init__(self) -> None:
        self.peer: RtpStream | None = None
        self.room: Room | None = None
        self.muted = False
        self.mic: Pcm = codec.SILENT_PCM
        self.mic_gain, self.speaker_gain = Fader(), Fader()
        self._player: Player | None = None
        self._out: Pcm = codec.SILENT_PCM
        self._input: Microphone | None = None
        self._output: Loudspeaker | None = None
        self._names = ("none", "none")
        self._opener: threading.Thread | None = None
        self._wanted = 0
        self._close_open: Callable[[], None] | None = None
        self._lock = threading.Lock()  # between opening threads; the media thread never takes it

    @property
    def active(self) -> bool:
        return self._input is not None or self._output is not None

    def open(self, input: str, output: str, post: Callable[[Fact], None]) -> None:
        """Close what is open, then open; SoundChanged follows from another thread through `post`."""
        self._input = self._output = None
        self._wanted += 1
        args = (self._wanted, input, output, post)
        self._opener = threading.Thread(target=self._open, args=args, name="sound-opener", daemon=True)
        self._opener.start()

    def close(self) -> None:
        """Close both sides; waits for the devices, some milliseconds."""
        self._wanted += 1
        self._input = self._output = None
        if self._opener is not None:
            self._opener.join(5)
            self._opener = None
        self._release()

    def _release(self) -> None:
        close, self._close_open = self._close_open, None
        if close is not None:
            close()

    def _open(self, turn: int, input: str, output: str, post: Callable[[Fact], None]) -> None:
        with self._lock:
            self._release()
            if turn != self._wanted:
                return
            problems: list[str] = []
            names = ["none", "none"]
            mic: Microphone | None = None
            speaker: Loudspeaker | None = None
            streams: list[Any] = []
            audio = None
            if (input, output) != ("none", "none"):
                try:
                    audio = start_portaudio()
                except SoundError as error:
                    problems.append(str(error))
            if audio is not None and input != "none":
                mic = Microphone()
                try:
                    stream, device, _ = open_stream(audio, input, "input", mic.callback)
                    streams.append(stream)
                    names[0] = device.name
                except SoundError as error:
                    problems.append(str(error))
                    mic = None
            if audio is not None and output != "none":
                speaker = Loudspeaker()
                try:
                    stream, device, _ = open_stream(audio, output, "output", speaker.callback)
                    streams.append(stream)
                    names[1] = device.name
                except SoundError as error:
                    problems.append(str(error))
                    speaker = None
            for stream in streams:
                try:
                    with quiet():
                        stream.start_stream()
                except OSError as error:
                    problems.append(f"The sound device does not start: {error}.")
            self._close_open = _closer(audio, streams)
            if turn == self._wanted:
                self._names = (names[0], names[1])
                self._input, self._output = mic, speaker
                post(SoundChanged(time.monotonic(), names[0], names[1], " ".join(problems)))

    # --- each tick, in the media thread ---------------------------------------------------------

    def begin_tick(self, now: float) -> None:
        source = self._input
        frame = source.pull(now) if source is not None else codec.SILENT_PCM
        self.mic = codec.SILENT_PCM if self.muted else self.mic_gain.apply(frame)

    @property
    def ready(self) -> bool:
        return True

    def heard(self) -> Pcm:
        """This tick's frame of the microphone."""
        return self.mic

    def speaker(self, pcm: Pcm) -> None:
        """This tick's frame from the bridged stream, or of the conference."""
        self._out = self.speaker_gain.apply(pcm)

    def end_tick(self, now: float, facts: list[Fact]) -> None:
        if self._player is not None:
            self._out = self._player.pcm()
            self._player.advance()
            if self._player.ended:
                facts.append(PlaybackEnded(SOUND, now, self._player.tag))
                self._player = None
        sink = self._output
        if sink is not None:
            sink.push(self._out)
        self._heard, self._out = self._out, codec.SILENT_PCM
        self._check(now, facts)

    _heard: Pcm = codec.SILENT_PCM

    def _check(self, now: float, facts: list[Fact]) -> None:
        """A device that was pulled out delivers nothing more: say so, once."""
        for side in (self._input, self._output):
            if side is not None and now - side.heard > STALL_S:
                name = self._names[0 if side is self._input else 1]
                what = "microphone" if side is self._input else "loudspeaker"
                if side is self._input:
                    self._input = None
                else:
                    self._output = None
                facts.append(SoundChanged(now, *self._names, f"The {what} {name!r} has stopped."))
                return

    def join(self, peer: Any) -> None:
        self.peer = peer

    def enter(self, room: Room | None) -> None:
        """Become a member of a conference, in place of any bridge, or leave it."""
        self.peer, self.room = None, room

    def set_gain(self, received_db: float, sent_db: float) -> None:
        self.mic_gain.set(received_db)
        self.speaker_gain.set(sent_db)

    def play(self, player: Player | None) -> None:
        self._player = player

    def meter(self) -> Meter:
        """Received is the microphone, sent the loudspeaker."""
        return Meter(level.dbm0(level.power(self.mic)), level.dbm0(level.power(self._heard)))


def _closer(audio: Any, streams: list[Any]) -> Callable[[], None]:
    def close() -> None:
        with quiet():
            for stream in streams:
                try:
                    stream.stop_stream()
                    stream.close()
                except OSError:
                    pass  # the device is gone already
            if audio is not None:
                audio.terminate()

    return close
