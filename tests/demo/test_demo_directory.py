"""The directory's files: the sample is complete and right, and mistakes are told by their place."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np
import pytest

from engine.config_file import load
from engine.demo import directory, g711, sounds
from engine.demo.directory import DirectoryError

DEMO = Path(directory.__file__).parent


def queue() -> list[dict[str, str]]:
    with (DEMO / "queue.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_number_of_the_sample_queue_says_what_must_come_of_it():
    sample = directory.load()
    rows = queue()
    assert len(rows) >= 12
    assert len({row["number"] for row in rows}) == len(rows)
    for row in rows:
        callee = sample.find(row["number"])
        assert callee is not None, row["number"]
        assert callee.expect is not None, row["number"]
        named = row["note"].rsplit(": ", 1)[1].split(" or ")
        assert named == callee.expect.dispositions


def test_the_sample_queue_meets_every_kind_of_fate():
    sample = directory.load()
    fates = {d for row in queue() for d in sample.find(row["number"]).expect.dispositions}
    assert fates >= {"bridged", "busy", "congestion", "no_answer", "invalid_number", "rejected", "no_rtp",
                     "caller_hung_up"}
    assert {sample.find(row["number"]).country for row in queue()} >= {"us", "cn", "uk", "de"}


def test_the_demos_configuration_is_valid_and_stays_on_this_machine():
    settings = load(DEMO / "demo.toml")
    assert settings.is_loopback
    sample = directory.load()
    assert {u.name: u.password for u in sample.users}[settings.trunk.username] == settings.trunk.password
    assert all(sample.find(agent).answer_after is not None for agent in settings.operator.agents)


@pytest.mark.parametrize(("text", "says"), [
    ("[numbers.1]\nanswer_after = 1\nrefuse = 486", "numbers.1: it has both answer_after and refuse"),
    ("[numbers.1]\nrefuse = 200", "refuse"),
    ('[numbers.1]\ncountry = "zz"', "numbers.1: no tone plan 'zz'"),
    ('[numbers.1]\nsays = "missing.wav"', "numbers.1: says = 'missing.wav': "),
    ('[numbers.1]\nearly = "ringback"\nrings = false', "numbers.1: early media needs rings = true"),
    ("[numbers.1]\ncodecs = []", "numbers.1: codecs is empty"),
    ('[numbers.1]\ndigits = "12x"', "digits"),
    ("[numbers.1\n", "not valid TOML"),
])
def test_a_mistake_is_told_by_its_place(tmp_path, text, says):
    path = tmp_path / "d.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(DirectoryError) as caught:
        directory.load(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_wav_file_beside_the_directory_can_be_said(tmp_path):
    with wave.open(str(tmp_path / "hello.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.arange(400, dtype="<i2").tobytes())
    (tmp_path / "d.toml").write_text('[numbers.1]\nsays = "hello.wav"\n', "utf-8")
    source = directory.source(directory.load(tmp_path / "d.toml").numbers["1"], tmp_path)
    played = np.concatenate([source.frame() for _ in range(4)])
    assert played[:400].tolist() == list(range(400))
    assert played[400:].tolist() == list(range(240))


def test_a_wav_file_of_another_format_is_refused_with_what_it_is(tmp_path):
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(bytes(400))
    with pytest.raises(ValueError, match="2 x 16 bits at 44100 Hz"):
        sounds.read_wav(tmp_path / "x.wav")


def test_voices_differ_and_each_is_the_same_every_time():
    sounds.speech.cache_clear()
    first = sounds.speech(1)
    sounds.speech.cache_clear()
    assert np.array_equal(first, sounds.speech(1))
    other = sounds.speech(2).astype(float)
    assert abs(np.corrcoef(first.astype(float), other)[0, 1]) < 0.1


@pytest.mark.parametrize(("codec", "known"), [
    # ITU-T G.711 tables 1a and 2a: value (16-bit), octet
    ("PCMA", [(8, 0xD5), (-8, 0x55), (32256, 0xAA), (-32256, 0x2A), (1056, 0xE5)]),
    ("PCMU", [(0, 0xFF), (32124, 0x80), (-32124, 0x00), (132, 0xEF), (-132, 0x6F)]),
])
def test_g711_has_the_standards_values(codec, known):
    for value, octet in known:
        assert g711.encode(codec, np.array([value], np.int16))[0] == octet
        assert g711.decode(codec, bytes([octet]))[0] == value


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_g711_error_stays_within_half_a_step(codec):
    samples = np.arange(-32768, 32768, dtype=np.int64).astype(np.int16)
    error = np.abs(g711.decode(codec, g711.encode(codec, samples)).astype(int) - samples)
    assert np.all(error <= np.maximum(16, np.abs(samples.astype(int)) / 29))
