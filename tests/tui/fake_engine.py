"""An engine that only talks: the real control server over a scripted state, no telephony behind it.

Tests drive it by hand. Run as a program it plays a lively call for looking at the console:
`python tests/tui/fake_engine.py SOCKET [--rows N] [--hold STEP]`, then `python -m tui --socket SOCKET`.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.control import messages as wire
from engine.control.framing import encode
from engine.control.server import ControlServer, Outcome

START = 1_750_000_000.0
NAMES = (
    "王小明",
    "Ada Lovelace",
    "李娜",
    "Grace Hopper",
    "陈伟",
    "Tim Berners-Lee",
    "",
    "Claude Shannon",
    "张三丰",
    "Hedy Lamarr",
    "Katherine Johnson",
    "刘洋",
)


def entry(place: int, *, number: str | None = None, name: str | None = None, **fields: object) -> wire.Entry:
    """A queue entry at `place`, id one higher."""
    values: dict[str, object] = {
        "id": place + 1,
        "position": place,
        "number": number or f"+8610{60000000 + place * 7919 % 9999999:08}",
        "name": NAMES[place % len(NAMES)] if name is None else name,
        "note": "",
        "state": "queued",
        "attempts": 0,
    }
    return wire.Entry(**{**values, **fields})  # type: ignore[arg-type]


class FakeEngine:
    """Keeps a state to snapshot, writes down the commands that come, refuses what `refusals` names."""

    def __init__(self, path: Path, rows: list[wire.Entry] | None = None, at: float = START) -> None:
        self.path = path
        self.rows = rows if rows is not None else [entry(i) for i in range(12)]
        self.commands: list[wire.Command] = []
        self.pages: list[tuple[int, int]] = []
        self.traced: wire.Traced | None = None
        self.refusals: dict[type, str] = {}
        self.on_command: Callable[[wire.Command], None] = lambda command: None
        self.at = at
        self.trunk = wire.Trunk(
            server="sip.example.net:5060", user="1001", state="registered", expires_at=at + 252
        )
        self.more_trunks: list[wire.Trunk] = []
        self.sound = wire.Sound(input="default", output="default")
        self.flow = wire.Flow(running=False, operator="headset", agents=[])
        self.legs: dict[str, wire.Leg] = {}
        self.attempts: dict[int, wire.Attempt] = {}
        self.log: list[wire.LogLine] = []
        self.server = ControlServer(path, self, version="0.1.0")
        self.server.hello = msgspec.structs.replace(self.server.hello, pid=4242)

    async def start(self) -> None:
        await self.server.start()

    async def close(self, reason: str = "the engine is ending") -> None:
        await self.server.close(reason)

    def crash(self) -> None:
        """Go without a word, as a killed engine does."""
        for client in list(self.server._clients):
            client.abort()
        if self.server._server is not None:
            self.server._server.close()
        if self.server._endpoint is not None:
            self.server._endpoint.release()

    @property
    def counts(self) -> wire.Counts:
        states = [row.state for row in self.rows]
        return wire.Counts(
            total=len(states),
            queued=states.count("queued"),
            active=states.count("active"),
            done=states.count("done"),
            interrupted=states.count("interrupted"),
            blocked=states.count("blocked"),
            answered=sum(row.disposition in ("answered", "bridged") for row in self.rows),
        )

    def snapshot(self) -> wire.Snapshot:
        return wire.Snapshot(
            at=self.at,
            trunk=self.trunk,
            trunks=[self.trunk, *self.more_trunks],
            sound=self.sound,
            flow=self.flow,
            counts=self.counts,
            legs=list(self.legs.values()),
            attempts=list(self.attempts.values()),
            log=self.log,
        )

    async def handle(self, command: wire.Command) -> Outcome:
        if isinstance(command, wire.QueuePage):
            self.pages.append((command.offset, command.limit))
            rows = self.rows[command.offset : command.offset + command.limit]
            return Outcome(rows=wire.QueueRows(offset=command.offset, total=len(self.rows), rows=rows))
        self.commands.append(command)
        if type(command) in self.refusals:
            return Outcome(error=self.refusals[type(command)])
        self.on_command(command)
        return Outcome(trace=self.traced) if isinstance(command, wire.Trace) else Outcome()

    def publish(self, event: wire.Event) -> None:
        """Send an event, keeping what a later snapshot must hold."""
        match event:
            case wire.Leg():
                self.legs[event.id] = event
            case wire.Attempt():
                self.attempts[event.entry] = event
            case wire.Flow():
                self.flow = event
            case wire.Sound():
                self.sound = event
            case wire.Trunk(name="trunk"):
                self.trunk = event
            case wire.LogLine():
                self.log.append(event)
            case wire.Entry():
                self.rows[event.position] = event
        self.server.publish(event)


class Script:
    """A call of the queue, told event by event with times counted from `began`."""

    def __init__(self, engine: FakeEngine, place: int = 4, began: float = START) -> None:
        self.engine = engine
        self.began = began
        self.row = engine.rows[place]
        self.leg = wire.Leg(
            id=f"leg-{place}",
            role="callee",
            number=self.row.number,
            state="dialing",
            at=began,
            remote=self.row.number,
            entry=self.row.id,
        )
        self.attempt = wire.Attempt(
            entry=self.row.id,
            attempt=1,
            number=self.row.number,
            name=self.row.name,
            state="dialing",
            at=began,
            leg=self.leg.id,
            deadline=began + 10,
        )

    def tell(self, event: wire.Event) -> None:
        self.engine.publish(event)

    def log(self, after: float, text: str, level: str = "info") -> None:
        self.tell(wire.LogLine(at=self.began + after, level=level, text=text, leg=self.leg.id))  # type: ignore[arg-type]

    def sip(self, after: float, text: str, *, sent: bool = False) -> None:
        self.tell(wire.Sip(at=self.began + after, leg=self.leg.id, sent=sent, text=text))

    def to_leg(self, after: float, **fields: object) -> None:
        self.leg = msgspec.structs.replace(self.leg, at=self.began + after, **fields)
        self.tell(self.leg)

    def to_state(self, after: float, state: str, deadline: float | None = None, **fields: object) -> None:
        end = None if deadline is None else self.began + after + deadline
        self.attempt = msgspec.structs.replace(
            self.attempt, state=state, at=self.began + after, deadline=end, **fields
        )
        self.tell(self.attempt)

    def heard(self, after: float, tone: str, begin_ms: int, end_ms: int, why: str) -> None:
        self.tell(
            wire.Detection(
                at=self.began + after,
                leg=self.leg.id,
                tone=tone,
                begin_ms=begin_ms,
                end_ms=end_ms,
                confidence=0.98,
                why=why,
            )
        )

    def levels(self, start: float, end: float, sound: Callable[[float], wire.Meter]) -> None:
        """Ten meters a second from `start` up to `end`."""
        for step in range(round(start * 10), round(end * 10)):
            self.meter(step / 10, sound(step / 10))

    def spectra(self, start: float, end: float) -> None:
        """Ten columns a second to every console, before it can ask."""
        for step in range(round(start * 10), round(end * 10)):
            event = wire.Spectrum(
                at=self.began + step / 10, leg=self.leg.id, step_s=0.1, columns=[self.column(step / 10)]
            )
            for client in self.engine.server._clients:
                client.send(encode(event))

    def column(self, after: float) -> str:
        """The spectrum at a time of the call: 450 Hz while it rings, then harmonics that come and go."""
        meter = self.sound(after)
        level = max(0, round((meter.received + 66) / 4))
        if meter.tone == "450hz":
            return f"0{level:x}" + "0" * 14
        if meter.received < -80:
            return "0" * 16
        vowel = 3 + 3 * math.sin(after * 4.1)
        digits = [
            level - abs(band - vowel) * 1.1 - band * 0.35 + 3 * math.cos(band * 2 + after * 7)
            for band in range(16)
        ]
        return "".join(f"{min(15, max(0, round(digit))):x}" for digit in digits)

    def meter(self, after: float, meter: wire.Meter) -> None:
        self.tell(wire.Meters(at=self.began + after, legs={self.leg.id: meter}))

    def steps(self) -> list[tuple[float, Callable[[], None]]]:
        """The whole call: when, and what happens."""
        return [
            (0.0, self._dial),
            (0.1, lambda: self.sip(0.1, "100 Trying")),
            (0.9, self._ring),
            (3.4, lambda: self.heard(3.4, "ringback", 200, 2500, "450 Hz, 1000 ms on, 4000 ms off")),
            (7.2, self._answer),
            (7.3, self._wait_tone),
            (11.4, self._bridge),
            (15.0, lambda: self.digit(15.0, "1")),
            (16.2, lambda: self.digit(16.2, "4")),
            (17.1, lambda: self.digit(17.1, "#")),
            (19.3, lambda: self.digit(19.3, "9", received=False)),
        ]

    def digit(self, after: float, digit: str, *, received: bool = True) -> None:
        self.tell(wire.Digit(at=self.began + after, leg=self.leg.id, digit=digit, received=received))
        self.log(after, f"DTMF {digit} {'received' if received else 'sent'} (RFC 4733)")

    def _dial(self) -> None:
        self.tell(msgspec.structs.replace(self.row, state="active", attempts=1, at=self.began))
        self.tell(self.engine.counts)
        self.tell(self.leg)
        self.tell(self.attempt)
        self.sip(0.0, "INVITE", sent=True)
        self.log(0.0, f"Dialling {self.row.number} for entry {self.row.id}")

    def _ring(self) -> None:
        self.to_leg(0.9, state="early", sip_code=183, reason="Session Progress", codec="PCMA")
        self.to_state(0.9, "listening", 60)
        self.sip(0.9, "183 Session Progress")
        self.log(0.9, "Early media: PCMA from 203.0.113.7:24816")

    def _answer(self) -> None:
        self.to_leg(7.2, state="answered", sip_code=200, reason="OK", answered_at=self.began + 7.2)
        self.to_state(7.2, "answered", 2)
        self.sip(7.2, "200 OK")
        self.sip(7.2, "ACK", sent=True)
        self.log(7.2, "Answered after 6.3 s of ringing")

    def _wait_tone(self) -> None:
        self.to_state(7.3, "wait_tone", 20, waiting_for_operator=True)
        self.log(7.3, "Wait tone: cn ringback; bringing in the operator")

    def _bridge(self) -> None:
        self.to_leg(11.4, bridged_to="sound")
        self.to_state(11.4, "bridged", 14400, waiting_for_operator=False)
        self.log(11.4, "Bridged to the headset")

    def sound(self, after: float) -> wire.Meter:
        """Levels at a time of the call: ringback with its cadence, then two people who take turns."""
        if after < 1.0 or 7.0 < after < 7.3:
            return wire.Meter(received=-90, sent=-90)
        if after < 7.2:
            on = (after - 1.0) % 5 < 1.0
            return wire.Meter(received=-19.2 if on else -72, sent=-90, tone="450hz" if on else "silence")
        if after < 11.4:
            return wire.Meter(received=-48 + 6 * math.sin(after * 3), sent=-19, tone="")
        mine = math.sin(after * 0.7) > 0.2
        wave = 7 * abs(math.sin(after * 5.3)) + 5 * abs(math.sin(after * 11.9))
        talk, hush = -30 + wave, -61 + wave / 2
        return wire.Meter(
            received=hush if mine else talk, sent=talk if mine else hush, tone="" if mine else "speech"
        )

    def play_until(self, end: float) -> None:
        """Tell everything up to `end` at once, levels included: the state is then that of a live call."""
        told = 0.0
        for after, act in self.steps():
            if after > end:
                break
            self.levels(told, after, self.sound)
            self.spectra(told, after)
            told = max(told, after)
            act()
        self.levels(told, end, self.sound)
        self.spectra(told, end)

    async def play(self, hold: float) -> None:
        """Tell it in its own time."""
        waiting = self.steps()
        while (after := time.time() - self.began) < hold:
            while waiting and waiting[0][0] <= after:
                waiting.pop(0)[1]()
            self.meter(after, self.sound(after))
            self.spectra(after, after + 0.1)
            await asyncio.sleep(0.1)

    def end(self, after: float) -> None:
        """The far end hangs up."""
        self.sip(after, "BYE")
        self.to_leg(after, state="ended", cause="normal", bridged_to="")
        self.to_state(after, "done", disposition="answered")
        self.tell(msgspec.structs.replace(self.row, state="done", attempts=1, disposition="answered"))
        self.tell(self.engine.counts)
        self.log(after, f"{self.row.number} hung up after {after:.1f} s")


def worked(rows: list[wire.Entry]) -> list[wire.Entry]:
    """A queue whose first rows have met their fates."""
    fates = (
        {"state": "done", "attempts": 1, "disposition": "answered"},
        {"state": "done", "attempts": 1, "disposition": "busy", "heard": "busy 450 Hz 350/350"},
        {
            "state": "blocked",
            "disposition": "calling_hours",
            "reason": "It is 22:10 there; calls are allowed 09:00-20:00",
        },
        {"state": "done", "attempts": 2, "disposition": "no_answer", "heard": "ringback"},
    )
    return [msgspec.structs.replace(row, **fate) for row, fate in zip(rows, fates, strict=False)] + rows[
        len(fates) :
    ]


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket", type=Path)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    engine = FakeEngine(options.socket, worked([entry(i) for i in range(options.rows)]), time.time())
    engine.flow = wire.Flow(
        running=True, operator="headset", agents=[], exemptions=["DEMO: calling hours off"]
    )
    await engine.start()
    try:
        for place in range(4, options.rows):
            script = Script(engine, place, time.time())
            await script.play(options.seconds)
            script.end(options.seconds)
            await asyncio.sleep(2)
    finally:
        await engine.close()


if __name__ == "__main__":
    asyncio.run(_main())
