"""A trunk of fakes: callees that do what a script says, legs that write down what is done to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from engine.config import Config, Trunk
from engine.detect.categories import CATEGORIES
from engine.detect.outcome import FinishCause, Outcome
from engine.dialer.dialer import Dialer
from engine.dialer.ports import (
    AttemptChanged,
    AttemptDone,
    AttemptRecord,
    CallFacts,
    Digit,
    EntryRow,
    HangupCause,
    Heard,
    LegEvent,
    LegState,
    Listened,
    LogLine,
    NewRow,
    PlaybackEnded,
    StateChanged,
)
from engine.dialer.seats import HeadsetPrompt
from engine.store.store import SqlStore

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class FakeLeg:
    """`did` lists what was done to the leg: (virtual time, what, with what)."""

    deaf = False
    """Never confirms a hangup."""

    def __init__(self, leg_id: str, number: str, role: str) -> None:
        self.id = leg_id
        self.number = number
        self.role = role
        self.state = LegState.DIALING
        self.cause: HangupCause | None = None
        self.events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self.facts = CallFacts()
        self.announced = False
        self.campaign = ""
        self.outcome: Outcome | None = None
        self.did: list[tuple[float, str, Any]] = []
        self.began = asyncio.get_running_loop().time()
        self.acts: asyncio.Task[None] | None = None
        self.quality: dict[str, float | None] = {"mos": 4.2, "round_trip_ms": None}

    # the dialer's side

    def hangup(self, cause: str = "normal", category: int = 0) -> None:
        self._did("hangup", cause)
        if category:
            self._did("told", category)
        if self.state is LegState.ENDED or self.deaf:
            return
        end = HangupCause("cancelled", "us", 487, "Request Terminated")
        if self.state is LegState.ANSWERED:
            end = HangupCause(cause, "us")
        asyncio.get_running_loop().call_later(0.05, self.ends, end)

    def play_wait_tone(self, wait_tone: str) -> None:
        self._did("wait_tone", wait_tone)

    def play(self, path: str, tag: str) -> None:
        self._did("play", path)

    async def whisper(self, what: str) -> str:
        self._did("whisper", what)
        await asyncio.sleep(1.5)
        return "there is no such file" if what == "gone.wav" else ""

    def bridge(self, other: Any) -> None:
        self._did("bridge", other.id if other is not None else None)

    def unbridge(self) -> None:
        self._did("unbridge")

    def listen(self, on: bool) -> None:
        self._did("listen", on)

    async def listened(self) -> Outcome | None:
        return self.outcome

    def record(self) -> None:
        self._did("record", self.facts)

    def pause_recording(self) -> None:
        self._did("pause_recording")

    async def end_recording(self, result: str) -> str:
        if not self.withs("record"):
            return ""
        self._did("end_recording", result)
        return f"/recordings/{self.id}-{result}.wav"

    def _did(self, what: str, with_what: Any = None) -> None:
        self.did.append((asyncio.get_running_loop().time(), what, with_what))

    # the far end's side

    def rings(self) -> None:
        self._state(LegState.RINGING, 180, "Ringing")

    def early(self) -> None:
        self._state(LegState.EARLY, 183, "Session Progress")

    def answers(self) -> None:
        self._state(LegState.ANSWERED, 200, "OK")

    def refuses(self, code: int, reason: str = "") -> None:
        self.ends(HangupCause("rejected", "far", code, reason))

    def far_bye(self) -> None:
        self.ends(HangupCause("normal", "far"))

    def ends(self, cause: HangupCause) -> None:
        if self.state is not LegState.ENDED:
            self.cause = cause
            self._state(LegState.ENDED, cause.sip_code, cause.reason, cause)

    def hears(self, tone: str) -> None:
        ms = int((asyncio.get_running_loop().time() - self.began) * 1000)
        self.events.put_nowait(Heard(tone, max(0, ms - 1000), ms, 0.9, "as the test says"))

        if tone in ("busy", "congestion") and self.withs("listen")[-1:] == [True]:
            self.listened_out(Outcome(FinishCause.STOPTONE, 1, tone, tone))

    def announces(self, category: int) -> None:
        """A known announcement ends the listening."""
        alias = CATEGORIES[category].alias
        self.listened_out(Outcome(FinishCause.STOPTONE, 0x12, "sample", "sample", category, category, alias))

    def listened_quietly(self, outcome: Outcome) -> None:
        """Listening ends, and the call goes on."""
        self.listened_out(outcome, hang_up=False)

    def listened_out(self, outcome: Outcome, hang_up: bool = True) -> None:
        self.outcome = outcome
        self.events.put_nowait(Listened(outcome, hang_up))

    def digit(self, digit: str) -> None:
        self.events.put_nowait(Digit(digit))

    def announcement_ends(self, error: str = "") -> None:
        self.events.put_nowait(PlaybackEnded("announcement", error))

    def message_ends(self, error: str = "") -> None:
        self.events.put_nowait(PlaybackEnded("machine", error))

    def playback_fails(self, error: str) -> None:
        self.events.put_nowait(PlaybackEnded("wait_tone", error))

    def _state(
        self, state: LegState, code: int | None, reason: str, cause: HangupCause | None = None
    ) -> None:
        if self.state is not LegState.ENDED:
            self.state = state
            self.events.put_nowait(StateChanged(state, code, reason, cause))

    # for assertions

    def times(self, what: str) -> list[float]:
        return [at for at, did, _ in self.did if did == what]

    def withs(self, what: str) -> list[Any]:
        return [arg for _, did, arg in self.did if did == what]


Fate = Callable[[FakeLeg], Awaitable[None]]


def fate(*steps: float | str | tuple[str, Any]) -> Fate:
    """A callee's doing: numbers are seconds to wait, texts are FakeLeg methods, pairs have an argument."""

    async def act(leg: FakeLeg) -> None:
        for step in steps:
            if isinstance(step, int | float):
                await asyncio.sleep(step)
            elif isinstance(step, tuple):
                getattr(leg, step[0])(step[1])
            else:
                getattr(leg, step)()

    return act


SILENT = fate()
ANSWERS = fate(0.1, "rings", 2, "answers")
TALKS = fate(0.1, "rings", 2, "answers", 30, "far_bye")


class FakeLine:
    """`fates` by number; a number without one answers, talks for 30 s and hangs up."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate | list[Fate]] = {}
        self.legs: list[FakeLeg] = []
        self.deaf = False
        self._up = asyncio.Event()
        self._up.set()

    def dial(
        self, number: str, *, caller_id: str | None = None, role: str = "callee", entry: int | None = None,
        options: dict[str, str] | None = None, campaign: str = "",
    ) -> FakeLeg:
        leg = FakeLeg(f"L{len(self.legs) + 1}", number, role)
        leg.deaf = self.deaf
        leg.campaign = campaign
        self.legs.append(leg)
        act = self.fates.get(number, TALKS)
        if isinstance(act, list):
            act = act.pop(0) if len(act) > 1 else act[0]
        leg.acts = asyncio.get_running_loop().create_task(act(leg))  # type: ignore[arg-type]
        return leg

    @property
    def registered(self) -> bool:
        return self._up.is_set()

    async def until_registered(self) -> None:
        await self._up.wait()

    def register(self, up: bool) -> None:
        if up:
            self._up.set()
        else:
            self._up.clear()

    def to(self, number: str) -> FakeLeg:
        """The latest leg to a number."""
        return [leg for leg in self.legs if leg.number == number][-1]

    def numbers(self, role: str = "callee") -> list[str]:
        return [leg.number for leg in self.legs if leg.role == role]


def config(**sections: dict[str, Any]) -> Config:
    """A configuration for a trunk on loopback, with some keys set."""
    values: dict[str, Any] = {"trunk": {"server": "127.0.0.1:5060", "register": False}}
    for name, keys in sections.items():
        values.setdefault(name, {}).update(keys)
    made = msgspec.convert(values, Config)
    assert isinstance(made.trunk, Trunk)
    return made


class World:
    """A dialer with everything around it. Use with `async with`."""

    def __init__(
        self, numbers: list[str] | None = None, *, store: SqlStore | None = None,
        fates: dict[str, Fate | list[Fate]] | None = None, **sections: Any,
    ) -> None:
        self.config = config(**sections)
        self.numbers = numbers or []
        self.line = FakeLine()
        self.line.fates.update(fates or {})
        self.sound = True
        self.notices: list[Any] = []
        self.store = store or SqlStore("sqlite://")
        self._own_store = store is None
        self.whispers: list[tuple[float, str]] = []
        self.prompt = HeadsetPrompt(self.config.operator.accept_after, lambda: self.sound, self._whispered)
        self.start_time = START
        self.dialer: Dialer
        self._watchers: list[tuple[Callable[[Any], bool], asyncio.Future[Any]]] = []

    async def __aenter__(self) -> World:
        loop = asyncio.get_running_loop()
        if self._own_store:
            await self.store.open()
        self.dialer = Dialer(
            self.config, self.line, self.prompt, self.store, self.wall, self._notice  # type: ignore[arg-type]
        )
        campaign = await self.store.open_campaign("")
        await self.store.add_rows(campaign.id, [NewRow(number) for number in self.numbers])
        self.campaign = campaign.id
        await self.dialer.start()
        self.loop = loop
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.dialer.close()
        if self._own_store:
            await self.store.close()
        for leg in self.line.legs:
            if leg.acts is not None:
                leg.acts.cancel()

    def wall(self) -> datetime:
        return self.start_time + timedelta(seconds=asyncio.get_running_loop().time())

    async def _whispered(self, what: str) -> str:
        self.whispers.append((asyncio.get_running_loop().time(), what))
        await asyncio.sleep(1.5)
        return ""

    def _notice(self, notice: Any) -> None:
        self.notices.append(notice)
        for wanted, future in self._watchers:
            if not future.done() and wanted(notice):
                future.set_result(notice)

    async def work(self) -> list[AttemptRecord]:
        """Resume, and wait until the queue is worked."""
        await self.dialer.resume()
        await self.dialer.worked()
        return self.records

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The next notice that is so."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._watchers.append((wanted, future))
        return await future

    async def until_state(self, state: str, number: str | None = None) -> AttemptChanged:
        def wanted(notice: Any) -> bool:
            if not isinstance(notice, AttemptChanged):
                return False
            return notice.state == state and number in (None, notice.number)

        found = await self.until(wanted)
        assert isinstance(found, AttemptChanged)
        return found

    async def until_done(self) -> AttemptRecord:
        found = await self.until(lambda notice: isinstance(notice, AttemptDone))
        assert isinstance(found, AttemptDone)
        return found.record

    @property
    def records(self) -> list[AttemptRecord]:
        return [notice.record for notice in self.notices if isinstance(notice, AttemptDone)]

    @property
    def log(self) -> list[str]:
        return [notice.text for notice in self.notices if isinstance(notice, LogLine)]

    async def rows(self) -> list[EntryRow]:
        return await self.store.page(self.campaign, 0, 1000)

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]
