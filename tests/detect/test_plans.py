from __future__ import annotations

import numpy as np
import pytest

from engine.detect.plans import PlanError, load, plan, plans
from engine.detect.synth import render_cycle
from engine.detect.types import Tone


def test_there_are_twenty_plans_and_more_each_with_ringback_busy_and_congestion():
    assert len(plans()) >= 20
    for code, found in plans().items():
        assert found.country == code
        assert found.ringback.tone is Tone.RINGBACK
        assert found.busy.tone is Tone.BUSY


def test_a_country_with_one_tone_for_both_calls_it_busy():
    assert plan("jp").congestion is plan("jp").busy
    assert plan("jp").congestion.tone is Tone.BUSY
    assert len(plan("jp").cadences) == 2


def test_the_spanish_congestion_has_its_long_last_gap():
    assert [(b.on_ms, b.off_ms) for b in plan("es").congestion.bursts] == [(200, 200), (200, 200), (200, 600)]


def test_every_other_australian_congestion_burst_is_weaker():
    cycle = render_cycle(plan("au").congestion, -10).astype(np.float64)
    loud, weak = cycle[400:2600], cycle[6400:8600]
    assert 20 * np.log10(loud.std() / weak.std()) == pytest.approx(10, abs=0.2)


def test_iso_codes_find_the_plan_too():
    assert plan("GB") is plan("uk")


def test_an_unknown_country_is_refused_with_the_known_ones():
    with pytest.raises(PlanError, match=r"'xx'.*cn.*za"):
        plan("xx")


@pytest.mark.parametrize(("text", "problem"), [
    ("[a]\nname='A'\nringback={hz=[450],cadence=[1]}\nbusy={hz=[450],cadence=[350,350]}", "ringback"),
    ("[a]\nname='A'\nringback={hz=[450],cadence=[100,100,100]}\nbusy={hz=[450],cadence=[350,350]}", "even"),
    ("[a]\nname='A'\nringback={hz=[],cadence=[100,100]}\nbusy={hz=[450],cadence=[350,350]}", "hz"),
    ("[a]\nname='A'\nbusy={hz=[450],cadence=[350,350]}", "ringback"),
    ("[a", "tone plans"),
])
def test_a_plan_that_makes_no_sense_is_refused_with_its_place(text, problem):
    with pytest.raises(PlanError, match=problem):
        load(text)


@pytest.mark.parametrize("country", sorted(plans()))
def test_a_rendered_cycle_repeats_without_a_click(country):
    for cadence in plan(country).cadences:
        cycle = render_cycle(cadence, -10).astype(np.int32)
        assert len(cycle) == cadence.period_ms * 8
        twice = np.concatenate((cycle, cycle))
        top = max(cadence.frequencies)
        steepest = np.abs(cycle).max() * 2 * np.pi * top / 8000 * 1.2 + 2
        assert np.abs(np.diff(twice)).max() <= steepest
