"""The console asks for the spectrum of the call on show, and keeps that of the last call."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from console_harness import Clock, open_console, screen_text
from fake_engine import START, FakeEngine, Script
from textual.color import Color

from engine.control import messages as wire
from tui import theme as themes
from tui.state import SPECTRA_KEPT, ConsoleState
from tui.tracks import Track


async def test_the_call_on_show_is_looked_at_and_nothing_once_it_is_over(
    engine: FakeEngine, clock: Clock
) -> None:
    async with open_console(engine, clock) as console:
        assert engine.server.looked_at == set()
        script = Script(engine)
        script.play_until(3)
        await console.until(lambda: engine.server.looked_at == {script.leg.id}, "the look at the call")
        script.to_leg(4, state="ended", cause="normal")
        script.to_state(4, "done", disposition="no_answer")
        await console.until(lambda: engine.server.looked_at == set(), "the end of the look")
        assert any("▄" in row for row in screen_text(console.app)), "the last call's strip is gone"


async def test_another_console_gets_no_spectrum(engine: FakeEngine, clock: Clock) -> None:
    async with open_console(engine, clock) as console:
        engine.publish(wire.Spectrum(at=START, leg="leg-4", step_s=0.1, columns=["f" * 16]))
        script = Script(engine)
        script.tell(script.leg)
        engine.publish(wire.LogLine(at=START, level="info", text="said"))
        await console.until(lambda: console.app.state.log, "the line")
        track = console.app.state.tracks[script.leg.id]
        assert not track.spectra.times


def test_only_the_last_calls_spectra_are_kept() -> None:
    state = ConsoleState()
    legs = [f"l{n}" for n in range(SPECTRA_KEPT + 3)]
    for place, leg in enumerate(legs):
        state.apply(wire.Leg(id=leg, role="callee", number="1", state="early", at=START))
        column = wire.Spectrum(at=START + place, leg=leg, step_s=0.1, columns=["f" * 16])
        state.apply(column)
    kept = [leg for leg in legs if state.tracks[leg].spectra.times]
    assert kept == legs[-SPECTRA_KEPT:]


@pytest.mark.parametrize("name", list(themes.shipped()))
def test_the_colours_of_the_spectrum_are_told_apart_in_grey(name: str) -> None:
    theme = themes.shipped()[name]
    steps = [Color.parse(str(theme.background))]
    steps += [Color.parse(theme.variables[f"heat-{number}"]) for number in range(1, 7)]
    grey = [color.brightness for color in steps]
    assert grey == sorted(grey, reverse=not theme.dark)
    assert min(abs(a - b) for a, b in pairwise(grey)) > 0.03


def test_a_long_call_is_drawn_quickly() -> None:
    track = Track()
    for place in range(5500):
        track.spectra.add(wire.Spectrum(at=place / 10, leg="l", step_s=0.1, columns=["5" * 16]))
    began = time.process_time()
    track.spectra.loudest(0.0, 60.0, 70)
    assert time.process_time() - began < 0.5
