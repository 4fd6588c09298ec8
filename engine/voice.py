"""The operator's own voice and ears: muted or not, how loud, and the push-to-talk microphone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.media import orders
from engine.trunk_leg import TrunkLeg

if TYPE_CHECKING:
    from engine.service import Engine

GAIN_RANGE = (-30.0, 20.0)
"""dB that a level may be changed by."""
MAX_TALK = 3600.0
"""Longest time that one press opens the microphone for, in seconds."""


@dataclass(frozen=True, slots=True)
class Switches:
    """What the operator has switched, as consoles show it. Gains are the headset's, in dB: what is heard, and
    what is said."""

    muted: bool = False
    do_not_disturb: bool = False
    received_gain: float = 0.0
    sent_gain: float = 0.0
    push_to_talk: bool = False
    talking: bool = False


class Voice:
    """Commands return an empty text, or one sentence that says why nothing was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        audio = engine.config.audio
        self.muted = False
        self.talking = False
        self.push_to_talk = audio.push_to_talk
        self.received_gain, self.sent_gain = audio.output_gain, audio.input_gain
        self._closes: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Tell the media thread how the operator begins."""
        self._open_or_close()
        self._set_gain()

    def mute(self, on: bool) -> None:
        """The operator is muted wherever they are: at the headset and at every agent's phone."""
        self.muted = on
        self._open_or_close()
        for leg in self._engine.line.legs.values():
            if leg.role == "agent":
                self._engine.station.media.order(orders.Mute(leg.stream, on))

    def follow(self, leg: TrunkLeg) -> None:
        """An agent's phone is being called: whoever comes later is muted too."""
        if self.muted:
            self._engine.station.media.order(orders.Mute(leg.stream, True))

    def talk(self, on: bool, seconds: float) -> str:
        """Open the push-to-talk microphone for a time; then it closes, whatever becomes of the console."""
        if not self.push_to_talk:
            return "The microphone is open all the time: audio.push_to_talk is false."
        if not 0 < seconds <= MAX_TALK:
            return f"The microphone can be opened for up to {MAX_TALK:g} seconds."
        self._stop_waiting()
        if on:
            self._closes = asyncio.get_running_loop().call_later(seconds, self._close)
        self._talk(on)
        return ""

    def _close(self) -> None:
        self._closes = None
        self._talk(False)

    def _talk(self, on: bool) -> None:
        if on != self.talking:
            self.talking = on
            self._open_or_close()
            self._engine.desk.tell_flow()

    def gain(self, leg: TrunkLeg | None, received: float | None, sent: float | None) -> str:
        """How loud a leg is heard and spoken to, or the headset, which keeps it for later calls."""
        low, high = GAIN_RANGE
        if any(each is not None and not low <= each <= high for each in (received, sent)):
            return f"A level can be changed by {low:g} to +{high:g} dB."
        if received is None and sent is None:
            return "Say how many dB: what is received, what is sent, or both."
        if leg is None:
            self.received_gain = self.received_gain if received is None else received
            self.sent_gain = self.sent_gain if sent is None else sent
            self._set_gain()
        else:
            leg.received_gain = leg.received_gain if received is None else received
            leg.sent_gain = leg.sent_gain if sent is None else sent
            self._engine.line.set_gain(leg)
        return ""

    def _set_gain(self) -> None:
        """Of the sound card media hears the microphone and plays to the loudspeaker."""
        self._engine.station.media.order(orders.Gain(orders.SOUND, self.sent_gain, self.received_gain))

    def _open_or_close(self) -> None:
        closed = self.muted or (self.push_to_talk and not self.talking)
        self._engine.station.media.order(orders.Mute(orders.SOUND, closed))

    def close(self) -> None:
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._closes is not None:
            self._closes.cancel()
            self._closes = None
