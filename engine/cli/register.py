"""`offhook register`: register at every trunk and stay."""

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
from engine.sip.phone import Phone
from engine.sip.registration import RegistrationState
from engine.station import Station


def describe(phone: Phone) -> str:
    """A trunk's registration in plain words."""
    message = wire.trunk(phone)
    words = {
        "off": f"no registration needed at {message.server}",
        "registering": f"registering as {message.user} at {message.server}",
        "registered": f"registered as {message.user} at {message.server}",
        "failed": f"not registered at {message.server}: {message.detail}",
        "lost": f"registration at {message.server} lost: {message.detail}",
    }
    return words[message.state] + ("" if message.reachable else ", which does not answer")


async def until_settled(station: Station, seconds: float, *, every: bool = False) -> Phone:
    """Wait until a trunk can be used, or (`every`) until each has succeeded or failed; `seconds` at most.

    Returns the first that can be used, else the first.
    """
    changed = asyncio.Event()
    previous = station.on_registration

    def follow(phone: Phone) -> None:
        previous(phone)
        changed.set()

    def settled() -> bool:
        usable = any(phone.usable for phone in station.phones.values())
        return not any(map(_registering, station.phones.values())) or (usable and not every)

    station.on_registration = follow
    try:
        async with asyncio.timeout(seconds):
            while not settled():
                changed.clear()
                await changed.wait()
    except TimeoutError:
        for phone in filter(_registering, station.phones.values()):
            if phone.agent is not None:
                phone.agent.registration.detail = "no answer"
    finally:
        station.on_registration = previous
    return next((phone for phone in station.phones.values() if phone.usable), station.phone)


def _registering(phone: Phone) -> bool:
    return phone.agent is not None and phone.agent.registration.state is RegistrationState.REGISTERING


def exit_status(phone: Phone) -> int:
    """0 registered; 4 when nothing answered or the credentials were refused; 3 otherwise."""
    registration = phone.agent.registration if phone.agent is not None else None
    if registration is None:
        return EXIT_NO_TRUNK
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
        told: dict[str, str] = {}

        def tell(phone: Phone) -> None:
            if told.get(phone.name) != (words := describe(phone)):  # not every attempt's same failure
                told[phone.name] = words
                say(words)

        def changed(phone: Phone) -> None:
            tell(phone)
            if as_json:
                emit(wire.trunk(phone))

        station.on_registration = changed
        await station.open(sound=False)
        try:
            for phone in station.phones.values():
                if phone.agent is None:  # told by nobody else
                    changed(phone)
                else:
                    tell(phone)
            on_signals(stop.set)
            try:
                async with asyncio.timeout(seconds or None):
                    await stop.wait()
            except TimeoutError:
                pass
            for phone in filter(_registering, station.phones.values()):
                say(f"not registered at {wire.trunk(phone).server}: no answer")
            return max(map(exit_status, station.phones.values()))
        finally:
            await station.close()

    return guarded(main)
