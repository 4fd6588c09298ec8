"""`offhook register`: register and stay."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine import wire
from engine.cli.common import (
    EXIT_NO_TRUNK,
    EXIT_NOT_ANSWERED,
    EXIT_OK,
    emit,
    guarded,
    load_config,
    on_signals,
    say,
    set_up_logging,
)
from engine.sip.registration import Registration, RegistrationState
from engine.station import Station


def describe(station: Station) -> str:
    """The registration in plain words."""
    message = wire.trunk(station.phone)
    words = {
        "off": f"no registration needed at {message.server}",
        "registering": f"registering as {message.user} at {message.server}",
        "registered": f"registered as {message.user} at {message.server}",
        "failed": f"not registered at {message.server}: {message.detail}",
        "lost": f"registration at {message.server} lost: {message.detail}",
    }
    return words[message.state]


async def until_settled(station: Station, seconds: float) -> Registration:
    """Wait until the registration has succeeded or failed; `seconds` at most."""
    agent = station.phone.agent
    assert agent is not None
    registration = agent.registration
    settled = asyncio.Event()
    previous = station.on_registration

    def changed() -> None:
        previous()
        if registration.state is not RegistrationState.REGISTERING:
            settled.set()

    station.on_registration = changed
    if registration.state is RegistrationState.REGISTERING:
        try:
            async with asyncio.timeout(seconds):
                await settled.wait()
        except TimeoutError:
            registration.detail = "no answer"
    station.on_registration = previous
    return registration


def exit_status(registration: Registration) -> int:
    """0 registered; 4 when nothing answered or the credentials were refused; 3 otherwise."""
    if registration.state in (RegistrationState.REGISTERED, RegistrationState.OFF):
        return EXIT_OK
    if not registration.answered or registration.rejected:
        return EXIT_NO_TRUNK
    return EXIT_NOT_ANSWERED


def run_register(seconds: float, path: Path | None, overrides: list[str], as_json: bool) -> int:
    async def main() -> int:
        config = load_config(path, overrides)
        set_up_logging(config, stderr=True)
        station = Station(config)
        stop = asyncio.Event()

        def changed() -> None:
            say(describe(station))
            if as_json:
                emit(wire.trunk(station.phone))

        station.on_registration = changed
        await station.open(sound=False)
        try:
            on_signals(stop.set)
            try:
                async with asyncio.timeout(seconds or None):
                    await stop.wait()
            except TimeoutError:
                pass
            assert station.phone.agent is not None
            return exit_status(station.phone.agent.registration)
        finally:
            await station.close()

    return guarded(main)
