"""What one campaign has otherwise: entry over campaign over everybody's, and mistakes with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import Config
from engine.config_file import ConfigError, load
from engine.config_lines import line_of
from engine.hearing import OptionError, option_name, recorded_with, with_options

FILE = """[trunk]
server = "127.0.0.1:5070"
username = "1001"
password = "x"

[detection]
stop_on = ["sample"]
max_time = 50.0
codes = {"3" = 404}

[recording]
folder = "calls"

[campaigns.spring.detection]
stop_on = ["ringback"]  # ends at the first ring
hang_up = false

[campaigns."late summer".recording]
what = "analysed"
folder = "summer"
"""


def loaded(folder: Path, text: str = FILE, *overrides: str) -> Config:
    path = folder / "offhook.toml"
    path.write_text(text)
    return load(path, overrides, {})


def mistakes(folder: Path, more: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, FILE + more)
    assert str(folder / "offhook.toml") in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def test_a_campaigns_own_keys_go_before_everybodys(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    spring = config.of_campaign("/queues/spring.csv").detection
    assert (spring.stop_on, spring.hang_up) == (["ringback"], False)
    assert (spring.max_time, spring.codes) == (50.0, {"3": 404})
    assert config.of_campaign("/queues/autumn.csv") is config
    assert config.detection.stop_on == ["sample"]


def test_a_campaign_may_be_recorded_in_its_own_way(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    own = config.of_campaign("late summer.csv").recording
    assert (own.what, own.folder) == ("analysed", str(tmp_path / "summer"))
    assert config.of_campaign("spring.csv").recording == config.recording
    assert config.recording.what == "off"


def test_an_entrys_own_go_before_its_campaigns(tmp_path: Path) -> None:
    spring = loaded(tmp_path).of_campaign("spring.csv").detection
    own = with_options(spring, {"stop_on": "busy", "max_calls": "3"})
    assert (own.stop_on, own.hang_up, own.max_calls, own.max_time) == (["busy"], False, 3, 50.0)


def test_the_command_line_goes_before_every_campaign(tmp_path: Path) -> None:
    config = loaded(tmp_path, FILE, "detection.stop_on=busy")
    spring = config.of_campaign("spring.csv").detection
    assert (spring.stop_on, spring.hang_up) == (["busy"], False)
    config = loaded(tmp_path, FILE, "campaigns.autumn.detection.max_time=5")
    assert config.of_campaign("autumn.csv").detection.max_time == 5.0


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ("a.detection]\nstop_no = []\n", "line 22, campaigns.a.detection.stop_no: found an unknown"),
        ("a.detection]\nmax_time = -1\n", "line 22, campaigns.a.detection.max_time: found -1; a num"),
        ("a.detection]\nstoptone = 'busy'\n", "mod_da2's stoptone is called stop_on here"),
        ("a]\ndetection.codes = {3 = 9}\n", "line 22, campaigns.a.detection.codes.3: found 9; from"),
        ("a.trunk]\nserver = 'a'\n", "line 21, campaigns.a.trunk: found"),
        ("spring.recording]\n[campaigns]\nb = 3\n", "line 23, campaigns.b: found 3; a section is allowed"),
        ("a.detection]\nsamples = 'x'\n", "line 22, campaigns.a.detection.samples: found"),
        ("a.detection]\nstarter = false\n", "line 22, campaigns.a.detection.starter: found false; det"),
        ("a.recording]\nkeep_days = 3\n", "line 22, campaigns.a.recording.keep_days: found 3; it"),
        ("a.recording]\nname = '{x}'\n", "line 22, campaigns.a.recording.name: found '{x}'; {x} is"),
        ("'a/b'.recording]\n", "line 21, campaigns.a/b: found a name that no file has"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_file_and_line(tmp_path: Path, more: str, wanted: str) -> None:
    (problem,) = mistakes(tmp_path, f"[campaigns.{more}")
    assert wanted in problem


def test_what_is_wrong_for_everybody_is_told_once(tmp_path: Path) -> None:
    text = FILE.replace('"3" = 404', '"3" = 4')
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert [(problem.key, problem.line) for problem in caught.value.problems] == [("detection.codes.3", 9)]


@pytest.mark.parametrize(
    ("key", "line"),
    [("trunk.server", 2), ("detection.codes.3", 9), ("campaigns.spring.detection.hang_up", 16),
     ("campaigns.late summer.recording.folder", 20), ("recording.none", 11), ("nothing", 0)],
)  # fmt: skip
def test_a_key_is_found_in_its_file(key: str, line: int) -> None:
    assert line_of(FILE, key) == line


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("codes", ""), ("detection.codes", "codes"), ("da2_param_amd", "amd"), ("max_calls", "max_calls"),
        ("detection.stop_on", "stop_on"), ("samples", ""), ("detection.samples", ""),
        ("recording.what", "recording.what"), ("recording.keep_days", ""), ("what", ""),
        ("da2_param_recordpath", "recording.folder"), ("recordformat", "recording.name"),
    ],
)  # fmt: skip
def test_every_key_of_a_call_may_be_a_column(column: str, key: str) -> None:
    assert option_name(column) == key


def test_tables_are_written_as_pairs_in_a_column() -> None:
    own = with_options(Config().detection, {"codes": "3=404, 5=0", "amd": "greeting=900"})
    assert (own.codes, own.amd) == ({"3": 404, "5": 0}, {"greeting": 900})


@pytest.mark.parametrize(
    "options", [{"codes": "3=44"}, {"amd": "greting=3"}, {"codes": "x"}, {"tone_busy_rule": "1-"},
                {"reason_header": "a b"}, {"recording.name": "/x"}, {"recording.what": "all"}],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused_with_its_key(options: dict[str, str]) -> None:
    (key,) = options
    with pytest.raises(OptionError, match=f"^{key} = '"):
        recorded_with(Config().recording, options) and with_options(Config().detection, options)


def test_a_path_alone_has_what_is_analysed_recorded_there() -> None:
    own = recorded_with(Config().recording, {"recording.folder": "/calls/one", "stop_on": "busy"})
    assert (own.folder, own.what) == ("/calls/one", "analysed")
    assert recorded_with(Config().recording, {"stop_on": "busy"}) == Config().recording
