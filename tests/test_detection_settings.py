"""[detection], and what a queue entry has otherwise, as the detector's control takes them."""

from __future__ import annotations

import msgspec
import pytest

from engine.config import Detection
from engine.config_file import ConfigError, load
from engine.detect.categories import CATEGORIES
from engine.detect.control import Settings
from engine.hearing import SEED_NAMES, OptionError, code_of, option_name, settings, told, with_options

GOOD = ["trunk.server=127.0.0.1:5070", "trunk.username=1001", "trunk.password=x"]


def test_the_defaults_are_the_detectors_own_which_are_mod_da2s() -> None:
    assert settings(Detection()) == Settings()


def test_every_key_reaches_the_detector() -> None:
    config = load(None, [
        *GOOD, "detection.stop_on=ringback,unmatch", "detection.hang_up=false", "detection.hang_up_on=answer",
        "detection.ignore=redial later,busy now", "detection.unmatched_limit=3", "detection.matched_limit=4",
        "detection.stop_at_answer=false", "detection.max_time=5", "detection.max_sound=6",
        "detection.max_silence=7", "detection.max_after_answer=8", "detection.max_prompt=9",
        "detection.wait_for_result_ms=250", "detection.max_calls=2", "detection.amd.greeting=1200",
        "detection.tone_busy_rule=300-400|250-400", "detection.ringback_whole_cadence=true",
    ], {}).detection  # fmt: skip
    made = settings(config)
    assert made.stop_on == {"ringback", "unmatch"}
    assert (made.hang_up, made.hang_up_on) == (False, {"answer"})
    assert made.ignored == {"redial later", "busy now"}
    assert (made.unmatched_limit, made.matched_limit, made.stop_at_answer) == (3, 4, False)
    times = made.max_time, made.max_sound, made.max_silence, made.max_after_answer, made.max_prompt
    assert times == (5, 6, 7, 8, 9)
    assert (made.wait_for_result, made.max_calls, made.amd.greeting) == (0.25, 2, 1200)
    assert (made.rules.busy[0].on_range, made.rules.ringback_whole) == ((300, 400), True)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("detection.stop_on=busy,beeps", "busy"), ("detection.codes.1=404", "from 2 to 20"),
        ("detection.codes.3=200", "from 300 to 699"), ("detection.amd.greting=5", "greeting"),
        ("detection.amd.greeting=-5", "from 0 to"), ("detection.reason_header=X Reason", "X-Reason"),
        ("detection.max_time=-1", "from 0 to"), ("detection.tone_450hz_rule=500", "pairs"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_what_is_allowed(setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(None, [*GOOD, setting], {})


@pytest.mark.parametrize("seed", SEED_NAMES)
def test_an_entry_may_have_each_of_mod_da2s_channel_variables(seed: str) -> None:
    assert option_name(f"da2_param_{seed}") == option_name(SEED_NAMES[seed]) == SEED_NAMES[seed]
    assert SEED_NAMES[seed] in {field.name for field in msgspec.structs.fields(Detection)}


def test_an_entrys_own_values_win() -> None:
    own = with_options(Detection(), {
        "stop_on": "ringback busy", "hang_up": "False", "max_time": "30", "ignore": "redial later",
        "unmatched_limit": "1", "caller_id": "5551234",
    })  # fmt: skip
    assert (own.stop_on, own.hang_up, own.max_time) == (["ringback", "busy"], False, 30.0)
    assert (own.ignore, own.unmatched_limit) == (["redial later"], 1)
    assert own.max_sound == Detection().max_sound


@pytest.mark.parametrize(
    ("key", "text"),
    [("stop_on", "beeps"), ("max_time", "soon"), ("hang_up", "perhaps"), ("unmatched_limit", "0")],
)
def test_an_entrys_value_that_makes_no_sense_is_refused(key: str, text: str) -> None:
    with pytest.raises(OptionError, match=key):
        with_options(Detection(), {key: text})


def test_other_columns_are_no_options() -> None:
    assert [option_name(word) for word in ("name", "da2_param_nothing", "maxdetect")] == ["", "", ""]
    assert option_name("da2_param_answerautosotp") == "stop_at_answer"


def test_categories_have_mod_da2s_codes_unless_others_are_set() -> None:
    assert [code_of(Detection(), each) for each in CATEGORIES] == [
        (430 + each, category.alias) for each, category in CATEGORIES.items()
    ]
    config = Detection(codes={"3": 404, "4": 0}, reason_header="X-Genesys-Reason")
    value = 'SIP;cause=404;text="does not exist"'
    assert told(config, 3) == [("Reason", value), ("X-Genesys-Reason", value)]
    assert told(config, 4) == told(config, 0) == told(config, 21) == []
