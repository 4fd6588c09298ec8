from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from engine.cli.main import app
from engine.config_file import ConfigError, load
from engine.detect.plans import Burst, Cadence, plan, use
from engine.detect.synth import render_cycle
from engine.detect.types import Tone

OWN = """[xy]
name = "X"
ringback = { hz = [500], cadence = [700, 900] }
busy = { hz = [500], cadence = [150, 150] }
"""


@pytest.fixture(autouse=True)
def built_in_plans_again():
    yield
    use(None)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    cycle = render_cycle(Cadence("xy", Tone.BUSY, (500.0,), (Burst(150, 150),)), -13.0)
    soundfile.write(tmp_path / "busy.wav", np.tile(cycle, 20), 8000, subtype="PCM_16")
    return tmp_path / "busy.wav"


def label(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["detect", "--json", *arguments])
    assert done.exit_code == 0, done.output
    found: str = json.loads(done.stdout.splitlines()[-1])["label"]
    return found


def test_offhook_detect_listens_by_a_tone_plan_of_ones_own(tmp_path: Path, recording: Path):
    file = tmp_path / "my.toml"
    file.write_text(OWN)
    assert label("--tone-plans", str(file), "--country", "xy", str(recording)) == "busy"
    assert label("--set", f"detection.tone_plans={file}", "--country", "xy", str(recording)) == "busy"
    assert label(str(recording)) != "busy"


def test_a_file_with_a_mistake_is_refused_in_one_sentence(tmp_path: Path, recording: Path):
    file = tmp_path / "my.toml"
    file.write_text("[xy]\nname = 5\n")
    done = CliRunner().invoke(app, ["detect", "--tone-plans", str(file), str(recording)])
    assert done.exit_code == 2
    assert f"--tone-plans: {file}: tone plan xy, name: Expected `str`" in done.stderr


def test_the_configuration_is_refused_where_its_tone_plans_have_a_mistake(tmp_path: Path):
    (tmp_path / "my.toml").write_text("[cn]\nbusy = { hz = [450], cadence = [350, 350, 350] }\n")
    with pytest.raises(ConfigError, match=r"detection\.tone_plans.*my\.toml: tone plan cn, busy"):
        load(None, [f"detection.tone_plans={tmp_path / 'my.toml'}"], need_trunk=False)


def test_a_plan_of_ones_own_is_everybodys(tmp_path: Path):
    (tmp_path / "my.toml").write_text("[cn]\nbusy = { hz = [450], cadence = [300, 300] }\n")
    use(tmp_path / "my.toml")
    assert plan("cn").busy.bursts == (Burst(300, 300),)
