from __future__ import annotations

import numpy as np
import pytest

from engine.detect.plans import PlanError, code_of, has_plan, load, plan, plans, read, use
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
    ("[aa]\nname='A'\nringback={hz=[450],cadence=[1]}\nbusy={hz=[450],cadence=[350,350]}", "ringback"),
    ("[aa]\nname='A'\nringback={hz=[450],cadence=[100,100,100]}\nbusy={hz=[450],cadence=[350,350]}", "even"),
    ("[aa]\nname='A'\nringback={hz=[],cadence=[100,100]}\nbusy={hz=[450],cadence=[350,350]}", "hz"),
    ("[aa]\nname='A'\nbusy={hz=[450],cadence=[350,350]}", "ringback"),
    ("[a", "not TOML"),
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


def test_codes_of_iso_3166_find_the_plan_that_countries_share():
    found = {x: code_of(x) for x in ("GB", "ca", "PR", "kz", "de", "zz", "")}
    assert found == {"GB": "uk", "ca": "us", "PR": "us", "kz": "ru", "de": "de", "zz": "", "": ""}
    assert plan("CA") is plan("us")


@pytest.mark.parametrize("country", ["ar", "id", "ie", "il", "vn", "bg", "ee", "hu", "lt", "lv", "ve", "ae"])
def test_countries_that_had_no_plan_have_one(country):
    assert plan(country).country == country


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "my.toml"

    def write(text: str):
        file.write_text(text, "utf-8")
        return file

    yield write
    use(None)


def test_a_file_of_ones_own_adds_a_country(own):
    use(own('[xy]\nname = "X"\nringback = { hz = [500], cadence = [700, 900] }\n'
            'busy = { hz = [500], cadence = [150, 150] }\n'))
    assert plan("xy").busy.describe() == "500 Hz 150/150 ms"
    assert plan("de").busy.describe() == "425 Hz 480/480 ms"
    use(None)
    assert not has_plan("xy")


def test_a_file_of_ones_own_replaces_only_the_tones_it_has(own):
    found = read(own("[cn]\nbusy = { hz = [450], cadence = [300, 300] }\n"))["cn"]
    assert found.busy.describe() == "450 Hz 300/300 ms"
    assert found.congestion == plan("cn").congestion
    assert found.name == "China"


@pytest.mark.parametrize(("text", "problem"), [
    ("[cn", "not TOML: "),
    ("[xy]\nbusy = { hz = [500], cadence = [150, 150] }", "tone plan xy: .* required field `ringback`"),
    ("[cn]\nbusy = { hz = [4500], cadence = [150, 150] }", r"cn, busy.hz\[0\]: Expected `float` <= 700"),
    ("[cn]\nbusy = { hz = [450], cadence = [150, 150, 150] }", "cn, busy: the cadence needs an even"),
    ("[cn]\nbusy = { hz = [450], cadence = [700, 700] }", "cn: busy and congestion are the same, 450 Hz"),
    ("[cn]\nengaged = { hz = [450], cadence = [700, 700] }", "tone plan cn: .* unknown field `engaged`"),
    ("[china]\nname = 'X'", r"\[china\]: a country is two small letters"),
    ("cn = 5", "cn: expected a table of tones"),
    ("[cn]\nbusy = 5", "tone plan cn, busy: Expected `object`"),
])
def test_a_mistake_in_a_file_of_ones_own_is_told_in_one_sentence_with_its_place(own, text, problem):
    with pytest.raises(PlanError, match=problem) as told:
        read(own(text))
    assert "my.toml: " in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path):
    with pytest.raises(PlanError, match=r"none\.toml: No such file"):
        read(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match=r"bytes\.toml: not UTF-8"):
        read(tmp_path / "bytes.toml")


def test_every_dial_tone_is_a_plans():
    assert [c.describe() for c in plan("us").dials] == ["350+440 Hz", "350+440 Hz 100/100 ms"]
    assert plan("it").dials[0].describe() == "425 Hz 200/200/600/1000 ms"
    assert all(p.dials for p in plans().values())
