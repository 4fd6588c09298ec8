"""The local headset: microphone, loudspeaker and a second one that rings, as one stream of the media thread.

The media thread only reads from and writes to the ends that are there at this moment; threads that wait for
devices put them there and take them away (keeper.py).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.media import codec, level
from engine.media.clip import Player
from engine.media.codec import Pcm
from engine.media.gain import Fader
from engine.media.mixer import Room
from engine.media.orders import RING, SOUND, Fact, Meter, OpenSound, PlaybackEnded, SoundChanged
from engine.media.seam import Seam
from engine.media.sound.gate import Gate
from engine.media.sound.keeper import End, Keeper, SideState
from engine.media.sound.loudspeaker import Loudspeaker
from engine.media.sound.microphone import Microphone
from engine.media.sound.process import Side, SoundError
from engine.media.sound.voice_processor import VoiceProcessor

if TYPE_CHECKING:
    from engine.media.stream import RtpStream

SIDES: dict[str, tuple[Side, str]] = {
    "input": ("input", "microphone"),
    "output": ("output", "loudspeaker"),
    "ring": ("output", "ringing loudspeaker"),
}
NOTHING = SideState("none", "", None)


class SoundCard:
    """The stream named `sound`: what `Bridge` joins a leg to. Served by the media thread."""

    def __init__(self) -> None:
        self.peer: RtpStream | None = None
        self.room: Room | None = None
        self.muted = False
        self.mic: Pcm = codec.SILENT_PCM
        self.mic_gain, self.speaker_gain = Fader(), Fader()
        self._player: Player | None = None
        self._ringing: Player | None = None
        self._ring_here = False
        """Whether it rings at the loudspeaker that calls are heard at."""
        self._out: Pcm = codec.SILENT_PCM
        self._seam = Seam()
        self._heard: Pcm = codec.SILENT_PCM
        self._gate = Gate()
        self._voice: VoiceProcessor | None = None
        self._states: dict[str, SideState] = {}
        self._input: Microphone | None = None
        self._output: Loudspeaker | None = None
        self._ring: Loudspeaker | None = None
        self._retired: deque[End] = deque()
        self._keepers: dict[str, Keeper] = {}
        self._turn = 0
        self._lock = threading.Lock()  # held for microseconds; no device is waited for in it

    @property
    def active(self) -> bool:
        return self._input is not None or self._output is not None

    def open(self, order: OpenSound, post: Callable[[Fact], None]) -> None:
        """Close what is open, then open; SoundChanged follows from another thread through `post`, and again
        whenever a device goes or comes."""
        with self._lock:
            self._turn += 1
            turn = self._turn
            self._states = {}
            self._release()
            self._ring_here = order.ring == ""
            wanted = {"input": order.input, "output": order.output, "ring": order.ring or "none"}
            before, self._keepers = self._keepers, {}
            for keeper in before.values():
                keeper.stop()
            for name, device in wanted.items():
                if device == "none":
                    self._states[name] = NOTHING
                else:
                    side, what = SIDES[name]

                    def changed(state: SideState, name: str = name) -> bool:
                        return self._changed(turn, name, state, post)

                    self._keepers[name] = Keeper(side, what, device, changed, before.get(name))
        args = (turn, order, post)
        threading.Thread(target=self._begin, args=args, name="sound-voice", daemon=True).start()

    def _begin(self, turn: int, order: OpenSound, post: Callable[[Fact], None]) -> None:
        """What takes too long for the media thread, and what is to be told where no device is wanted."""
        state = NOTHING
        voice = None
        if order.input != "none" and (order.echo_cancel or order.noise_suppression or order.auto_gain):
            try:
                voice = VoiceProcessor(
                    echo_cancel=order.echo_cancel, noise_suppression=order.noise_suppression,
                    auto_gain=order.auto_gain,
                )  # fmt: skip
            except SoundError as error:
                state = SideState("none", str(error), None)
        with self._lock:
            if turn == self._turn:
                self._voice = voice
        self._changed(turn, "voice", state, post)

    def _changed(self, turn: int, name: str, state: SideState, post: Callable[[Fact], None]) -> bool:
        """A keeper's word, in its thread; False where it comes too late."""
        with self._lock:
            if turn != self._turn:
                return False
            self._states[name] = state
            if name != "voice":
                self._install(name, state.end)
            states = self._states
            if len(states) > len(SIDES):  # all have said something
                problems = " ".join(s.problem for s in states.values() if s.problem)
                names = (states["input"].name, states["output"].name)
                post(SoundChanged(time.monotonic(), *names, problems, states["ring"].name))
        return True

    def _install(self, name: str, end: End | None) -> None:
        old = getattr(self, f"_{name}")
        setattr(self, f"_{name}", end)
        if old is not None:
            self._retired.append(old)  # the media thread may be using it at this moment: it closes it

    def _release(self) -> None:
        for name in SIDES:
            self._install(name, None)
        self._voice = None

    def close(self) -> None:
        """Close all; waits for the devices, some milliseconds."""
        with self._lock:
            self._turn += 1
            self._release()
            keepers, self._keepers = self._keepers, {}
        for keeper in keepers.values():
            keeper.stop()
        for keeper in keepers.values():
            keeper.join(5)
        self._close_retired()

    def _close_retired(self) -> None:
        while self._retired:
            self._retired.popleft().close()

    # --- each tick, in the media thread ---------------------------------------------------------

    def begin_tick(self, now: float) -> None:
        source, voice = self._input, self._voice
        frame = source.pull() if source is not None else codec.SILENT_PCM
        if voice is not None:
            frame = voice.process(frame, self._heard)
        self.mic = self._gate.pass_through(self.mic_gain.apply(frame), not self.muted)

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
        source = self._source()
        if self._player is not None:
            self._out = self._player.pcm()
            self._player.advance()
            if self._player.ended:
                facts.append(PlaybackEnded(SOUND, now, self._player.tag))
                self._player = None
        self._ring_tick(now, facts)
        if source is not self._seam.was:
            self._seam.change(source)
        if self._seam.pending:
            self._out = self._seam.apply(self._out)
        self._seam.last = self._out
        sink = self._output
        if sink is not None:
            sink.push(self._out)
        self._heard, self._out = self._out, codec.SILENT_PCM
        if self._retired:
            self._close_retired()

    def _source(self) -> object:
        """What is to be heard in the loudspeaker; None for nothing, or nothing yet."""
        if self._player is not None:
            return self._player
        if self.room is not None:
            place = self.room.places[SOUND]
            return place if place.ready else None
        if self.peer is not None:
            return self.peer if self.peer.ready else None
        return self._ringing if self._ring_here else None

    def _ring_tick(self, now: float, facts: list[Fact]) -> None:
        """The ring at its own device, else here as long as nobody talks here."""
        frame = codec.SILENT_PCM
        if self._ringing is not None:
            frame = self._ringing.pcm()
            self._ringing.advance()
            if self._ringing.ended:
                facts.append(PlaybackEnded(RING, now, self._ringing.tag))
                self._ringing = None
            elif self._ring_here and self.peer is self.room is None and self._player is None:
                self._out = frame
        bell = self._ring
        if bell is not None:
            bell.push(frame)

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

    def ring(self, player: Player | None) -> None:
        """Play at the ringing device."""
        self._ringing = player

    def meter(self) -> Meter:
        """Received is the microphone, sent the loudspeaker."""
        return Meter(level.dbm0(level.power(self.mic)), level.dbm0(level.power(self._heard)))
