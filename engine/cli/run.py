"""`offhook run`: work a queue without a screen, one JSON object per finished attempt."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from engine.cli.call import REGISTER_WAIT
from engine.cli.common import (
    EXIT_INTERRUPTED,
    EXIT_NOT_ANSWERED,
    EXIT_OK,
    Usage,
    emit,
    guarded,
    load_config,
    on_signals,
    say,
    set_up_logging,
)
from engine.cli.register import describe, exit_status, until_settled
from engine.control import messages
from engine.dialer.ports import StoreError
from engine.dialer.queue_csv import QueueError
from engine.service import Engine

AGENT_PATIENCE = 10.0
"""Seconds beyond an agent's ringing for which a queue waits while no operator is free and no call is up."""


class Reporter:
    """Events as progress on standard error, finished attempts as data on standard output."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._trunks: dict[str, str] = {}
        self.finished = 0

    def __call__(self, event: messages.Event) -> None:
        if isinstance(event, messages.AttemptDone):
            self.finished += 1
            if self._as_json:
                emit(event)
            else:
                print(_line(event), flush=True)
        elif isinstance(event, messages.Attempt) and event.state != "done":
            say(f"{event.number}: {event.state.replace('_', ' ')}")
        elif isinstance(event, messages.LogLine) and event.level in ("warning", "error"):
            say(f"{event.level}: {event.text}")
        elif isinstance(event, messages.Trunk) and event.state != self._trunks.get(event.name):
            self._trunks[event.name] = event.state
            say(f"trunk {event.server}: {event.state} {event.detail}".rstrip())
        elif isinstance(event, messages.Flow) and event.notice:
            say(event.notice)


def _line(done: messages.AttemptDone) -> str:
    code = str(done.sip_code or "")
    heard = " ".join(dict.fromkeys(_word(d) for d in done.detections))
    digits = f" digits {done.digits}" if done.digits else ""
    return (
        f"{done.number:<18} {done.disposition:<16} {code:<4} {done.duration:6.1f} s  {heard}{digits}".rstrip()
    )


def _word(heard: messages.Detection) -> str:
    """A tone by its name, a known announcement by what it means."""
    sample = heard.sample
    return heard.tone if sample is None else repr(sample.alias or sample.name or sample.uniqueid)


def run_queue(queue: Path, path: Path | None, overrides: list[str], fresh: bool, as_json: bool) -> int:
    async def main() -> int:
        config = load_config(path, overrides)
        config = msgspec.structs.replace(
            config, dialer=msgspec.structs.replace(config.dialer, autostart=True)
        )
        set_up_logging(config, stderr=False)
        engine = Engine(config, serve=False, on_event=Reporter(as_json))
        try:
            file = await engine.start(queue, fresh=fresh)
            on_signals(engine.stopping.set)
            if status := await _trunk_status(engine):
                return status
            if file is not None:
                say(f"{len(file.rows)} numbers in {queue}, {len(file.problems)} bad rows")
            if engine.dialer.campaign is not None and engine.dialer.campaign.resumed:
                say("resuming this queue's campaign; --fresh starts it anew")
            if not await _until_worked(engine):
                say("interrupted: run again to go on")
                return EXIT_INTERRUPTED
            counts = engine.dialer.counts
            if counts.interrupted:
                say(
                    f"{counts.interrupted} calls were cut off by a crash and are not redialled: --fresh would"
                )
            left = f"{counts.queued} still queued, {counts.blocked} blocked"
            say(f"{counts.done} of {counts.total} done, {left}")
            if engine.dialer.stopped:
                say(engine.dialer.stopped)
                return EXIT_NOT_ANSWERED
            return EXIT_OK
        except (StoreError, QueueError) as error:
            raise Usage(str(error)) from None
        finally:
            await engine.close()

    return guarded(main)


async def _trunk_status(engine: Engine) -> int:
    """0 once calls can be made; else the exit status, with the reason on standard error."""
    phone = await until_settled(engine.station, REGISTER_WAIT)
    status = exit_status(phone)
    if status:
        say(describe(phone))
    elif engine.dialer.seats.mode == "headset" and not engine.prompt.available:
        raise Usage(
            "nobody could talk to whoever answers: there is no sound here, so set operator.mode to standing "
            "or cold and operator.agents to an agent's number"
        )
    return status


async def _until_worked(engine: Engine) -> bool:
    """True once the queue is worked, False when interrupted. Raises Usage where no operator can be had."""
    tasks = [asyncio.ensure_future(engine.dialer.worked()), asyncio.ensure_future(engine.stopping.wait())]
    loop = asyncio.get_running_loop()
    waiting_since: float | None = None
    try:
        while not (await asyncio.wait(tasks, timeout=1, return_when=asyncio.FIRST_COMPLETED))[0]:
            if engine.dialer.active or engine.dialer.seats.free:
                waiting_since = None
            elif waiting_since is None:
                waiting_since = loop.time()
            elif loop.time() - waiting_since > engine.config.operator.ring_timeout + AGENT_PATIENCE:
                why = engine.dialer.seats.problem or "no agent answers"
                raise Usage(f"the operator can't be reached: {why}; run again to go on")
    finally:
        for task in tasks:
            task.cancel()
    return not engine.stopping.is_set()
