from __future__ import annotations

import re

import numpy as np
import pytest
from line_sounds import Pcm, silence, tone

from engine.detect.analyzer import Analyzer
from engine.detect.plans import Burst, Cadence, load, plan
from engine.detect.rules import RuleError, ToneRules, parse
from engine.detect.types import Tone


def heard(pcm: Pcm, country: str | None, rules: ToneRules) -> list[tuple[str, int]]:
    analyzer = Analyzer(country, rules=rules)
    return [
        (d.tone.label, analyzer.now_ms)
        for at in range(0, len(pcm) - 159, 160) for d in analyzer.feed(pcm[at : at + 160])
    ]


def names(pcm: Pcm, country: str | None, rules: ToneRules) -> list[str]:
    return [name for name, _ in heard(pcm, country, rules) if name != "450hz"]


def beeps(on: int, off: int, ms: int = 8000) -> Pcm:
    return tone(Cadence("cn", Tone.BUSY, (450.0,), (Burst(on, off),)), ms)


def test_the_seeds_rule_is_a_range_of_on_and_one_of_off():
    (burst,) = parse("300-400|250-400")
    assert (burst.on_range, burst.off_range) == ((300, 400), (250, 400))


@pytest.mark.parametrize("rule", ["380-420|180-220|380-420|1800-2200", "380-420,180-220, 380-420,1800-2200"])
def test_a_rule_may_have_several_pairs(rule: str):
    assert [b.off_range for b in parse(rule)] == [(180, 220), (1800, 2200)]


@pytest.mark.parametrize(("rule", "problem"), [
    ("300-400", "pairs"), ("300-400|x", "'x' is no time"), ("400-300|250", "smaller one first"),
    ("1|2", "from 20"), ("300|400|500", "pairs"), ("|".join(["50"] * 18), "8 at most"),
    ("300--400|5", "no time"), ("300|99999999", "no time"),
])
def test_a_rule_that_makes_no_sense_is_refused_with_the_reason(rule: str, problem: str):
    with pytest.raises(RuleError, match=re.escape(problem)):
        parse(rule)


def test_tone_busy_rule_replaces_the_plans_busy():
    rules = ToneRules(busy=parse("130-170|130-170"))
    assert names(beeps(150, 150), "cn", rules) == ["busy"]
    assert names(beeps(150, 150), "cn", ToneRules()) == []
    assert names(beeps(350, 350), "cn", rules) == []


def test_a_rules_bounds_are_the_times_that_count():
    assert names(beeps(350, 350), "cn", ToneRules(busy=parse("340-500|340-500"))) == ["busy"]
    assert names(beeps(350, 350), "cn", ToneRules(busy=parse("390-500|340-500"))) == []


def test_tone_congestion_rule_gives_a_country_without_congestion_one():
    pcm = tone(Cadence("jp", Tone.BUSY, (400.0,), (Burst(200, 200),)), 6000)
    assert names(pcm, "jp", ToneRules(congestion=parse("180-220|180-220"))) == ["congestion"]


def test_tone_ringback_rule_of_two_pairs_is_told():
    pcm = tone(plan("uk").ringback, 9000)
    double = parse("380-420|180-220|380-420|1800-2200")
    uk_on_450 = Cadence("cn", Tone.RINGBACK, (450.0,), tuple(Burst(b.on_ms, b.off_ms) for b in double))
    assert names(tone(uk_on_450, 9000), "cn", ToneRules(ringback=double)) == ["ringback"]
    assert names(pcm, "uk", ToneRules(ringback=double)) == ["ringback"]


@pytest.mark.parametrize("country", ["cn", "us"])
def test_tone_450hz_rule_tells_the_first_burst_after_its_gap(country: str):
    rules = ToneRules(single=parse("500-2500|1000-1000"))
    first = heard(np.concatenate((silence(300), tone(plan(country).ringback, 5000))), country, rules)
    names = [name for name, _ in first]
    when = dict(first)["450hz"]
    on = plan(country).ringback.bursts[0].on_ms
    assert names.count("450hz") == 1
    assert 300 + on + 1000 <= when <= 300 + on + 1080


def test_tone_450hz_rule_passes_over_bursts_of_other_lengths():
    rules = ToneRules(single=parse("500-1500|1000-1000"))
    assert "450hz" not in [n for n, _ in heard(beeps(350, 350), "cn", rules)]


def test_tone_450hz_rule_is_not_told_once_the_quiet_has_outlasted_its_upper_bound():
    """Frames that nobody had the time to hear cover the moment at which it would have been told."""
    told = {}
    for rule in ("500-1500|1000-1000", "500-1500|1000-1300"):
        analyzer = Analyzer("cn", rules=ToneRules(single=parse(rule)))
        names = []
        for number, frame in enumerate(tone(plan("cn").ringback, 5000).reshape(-1, 160)):
            if 98 <= number < 102:
                analyzer.skip()
            else:
                names += [d.tone.label for d in analyzer.feed(frame)]
        told[rule] = names
    assert told == {"500-1500|1000-1000": ["ringback"], "500-1500|1000-1300": ["ringback", "450hz"]}


def test_ringback_waits_for_its_whole_cadence_where_that_is_set():
    pcm = tone(plan("cn").ringback, 9000)
    early = dict(heard(pcm, "cn", ToneRules()))["ringback"]
    late = dict(heard(pcm, "cn", ToneRules(ringback_whole=True)))["ringback"]
    assert early < 2000
    assert 4000 <= late <= 5200


def test_a_plan_of_ones_own_has_a_code_of_its_own_or_replaces_one():
    text = "[xy]\nname='X'\nringback={hz=[500],cadence=[700,900]}\nbusy={hz=[500],cadence=[150,150]}"
    assert load(text)["xy"].busy.bursts == (Burst(150, 150),)
