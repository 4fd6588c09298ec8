"""Whole calls that are recorded: what is in the files, what they are called, and what trouble costs."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rig import RATE, Bench, Driver, lines, until_monotonic

from engine.control import messages

NUMBERS = """
[numbers.5550001]
answer_after = 0.3
[numbers.5550002]
early = "busy"
refuse = 486
refuse_after = 1.5
[numbers.5550009]
voice = 5
[numbers.8001]
answer_after = 0.3
voice = 11
one_call = true
"""
COLD = ("operator.mode=cold", "operator.agents=8001")
Drive = Callable[[], Awaitable[Driver]]


def announcement(folder: Path) -> Path:
    """Half a second of 1000 Hz."""
    path = folder / "announcement.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        tone = 8000 * np.sin(2 * np.pi * 1000 / RATE * np.arange(RATE // 2))
        file.writeframes(tone.astype("<i2").tobytes())
    return path


def share(samples: np.ndarray, hz: float) -> float:
    """How much of the power is at a frequency, of 20 ms frames the most."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    at = np.exp(-2j * np.pi * hz / RATE * np.arange(160))
    power = (frames**2).sum(1)
    loud = power > 160 * 300**2
    return float((2 * abs(frames @ at) ** 2 / 160 / np.maximum(power, 1))[loud].max(initial=0.0))


def alike(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How alike our recording of a voice is to its own end's, 0 to 1: the median of quarters of a second,
    each where it fits best, since the jitter buffer may have stretched what lies between.
    """
    found = []
    for at in range(0, len(ours) - RATE // 4, RATE // 4):
        piece = ours[at : at + RATE // 4]
        size = 1 << (len(piece) + len(theirs)).bit_length()
        cross = np.fft.irfft(np.fft.rfft(theirs, size) * np.conj(np.fft.rfft(piece, size)), size)
        lag = int(np.argmax(cross[: len(theirs)]))
        there = theirs[lag : lag + len(piece)]
        found.append(cross[lag] / (np.linalg.norm(piece) * np.linalg.norm(there) + 1e-9))
    return float(np.median(found))


async def test_both_sides_are_recorded_after_the_announcement_and_named_by_the_result(
    bench: Bench, drive: Drive, tmp_path: Path
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(
        *COLD, "recording.what=both", "recording.format=flac",
        "recording.name={date:%Y}/{number}-{leg}-{result}",
        f"recording.announcement={announcement(tmp_path)}",
    )
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    answered = carrier.wait("answered", number="5550001")["t"]
    bridged = carrier.wait("answered", number="8001")["t"]
    await until_monotonic(max(bridged, answered + 0.6) + 2.0)
    await driver.send(messages.Record(on=False))
    for role in ("manual", "agent"):  # a pause is one on every leg of the talk
        await driver.until(messages.Leg, lambda e, role=role: e.role == role and e.recording_paused)
    await driver.send(messages.Record(on=True))
    for role in ("manual", "agent"):
        found = [e for e in driver.seen if isinstance(e, messages.Leg) and e.role == role][-1]
        assert found.recording
        assert not found.recording_paused
    await driver.send(messages.Hangup())
    done = await driver.until(messages.AttemptDone)
    folder = bench.folder / "recordings" / str(datetime.now().year)
    assert done.recording == str(folder / "5550001-manual-bridged.flac")
    assert 400 < done.states["announced"] - done.states["answered"] < 1500
    await driver.until(messages.Leg, lambda e: e.role == "agent" and e.state == "ended")
    carrier.wait("recording", number="5550001")
    carrier.wait("recording", number="8001")
    callee, agent = bench.recording("5550001"), bench.recording("8001")
    assert share(callee.received, 1000.0) > 0.9  # the callee heard it
    names = {"5550001-manual-bridged.flac": (callee, agent), "8001-agent-bridged.flac": (agent, callee)}
    for _ in range(200):
        if sorted(path.name for path in folder.iterdir()) == sorted(names):
            break
        await asyncio.sleep(0.02)
    for name, (near, far) in names.items():
        sound, rate = soundfile.read(folder / name, dtype="int16")
        assert (rate, sound.shape[1]) == (RATE, 2)
        left, right = sound.astype(float).T
        assert alike(left, near.sent) > 0.9
        assert alike(right, far.sent) > 0.9
        assert share(right, 1000.0) < 0.9  # it was over when the recording began
        assert 1.5 < len(sound) / RATE < 5.0


@pytest.mark.slow
async def test_early_media_is_in_the_recording_of_a_call_that_nobody_answers(
    bench: Bench, drive: Drive
) -> None:
    bench.start_carrier(NUMBERS)
    bench.start_engine(
        *COLD, "recording.what=callee", "recording.begin=early", "recording.layout=mixed",
        "recording.format=wav_ulaw", "dialer.early_media=ignore",
    )
    driver = await drive()
    await driver.send(messages.Dial(number="5550002"))
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "busy"
    assert done.recording.endswith("-5550002-manual-busy.wav")
    info = soundfile.info(done.recording)
    assert (info.channels, info.subtype) == (1, "ULAW")
    sound, _ = soundfile.read(done.recording, dtype="int16")
    assert share(sound.astype(float), 480.0) > 0.4  # busy: 480 and 620 Hz


async def test_a_full_disk_costs_the_recording_and_not_the_call(
    bench: Bench, drive: Drive, small_disk: Path
) -> None:
    bench.start_carrier(NUMBERS)
    settings = ("recording.what=callee", "recording.min_free_mb=0", f"recording.folder={small_disk}")
    bench.start_engine(*COLD, *settings)
    (small_disk / "other").write_bytes(bytes(130_000))
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Leg, lambda e: bool(e.recording))
    line = await driver.until(messages.LogLine, lambda e: e.level == "error")
    assert line.text.endswith("the disk is full, so the recording ended.")
    await driver.send(messages.SendDigits(digits="5"))
    bench.carrier.wait("digit", digit="5", number="5550001")  # the call goes on
    await driver.send(messages.Hangup())
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "bridged"
    assert len([e for e in driver.seen if isinstance(e, messages.LogLine) and "disk" in e.text]) == 1
    assert soundfile.info(done.recording).frames > RATE


async def test_what_a_killed_engine_was_recording_is_whole_and_named_when_it_is_back(
    bench: Bench, drive: Drive
) -> None:
    bench.start_carrier(NUMBERS)
    settings = (*COLD, "recording.what=callee", "recording.format=flac", "recording.name={number}-{result}")
    engine = bench.start_engine(*settings)
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    path = Path((await driver.until(messages.Leg, lambda e: bool(e.recording))).recording)
    assert path.name == "5550001-unfinished.flac"
    for _ in range(500):
        if path.stat().st_size > 3000:
            break
        await asyncio.sleep(0.02)
    engine.kill()
    engine.wait()
    bench.start_engine(*settings)
    after = path.with_name("5550001-interrupted.flac")
    sound, _ = soundfile.read(after, dtype="int16")
    assert len(sound) == soundfile.info(after).frames > RATE / 2
    assert not path.exists()


@pytest.mark.slow
async def test_a_call_that_comes_in_is_recorded_once_its_caller_was_told(
    bench: Bench, drive: Drive, tmp_path: Path
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD, "recording.what=callee", f"recording.announcement={announcement(tmp_path)}")
    driver = await drive()
    await asyncio.to_thread(carrier.wait, "registered")
    carrier.order("call", **{"from": "5550009", "to": "1001"})
    leg = await driver.until(messages.Leg, lambda e: e.role == "inbound" and e.state == "ringing")
    await driver.send(messages.Answer(leg=leg.id))
    await driver.until(messages.Leg, lambda e: e.id == leg.id and bool(e.recording) and bool(e.bridged_to))
    await driver.send(messages.Record(on=False, leg=leg.id))
    await driver.until(messages.Leg, lambda e: e.id == leg.id and e.recording_paused)
    await driver.send(messages.Record(on=True, leg=leg.id))
    await driver.send(messages.Hangup(leg=leg.id))
    await driver.until(messages.Leg, lambda e: e.id == leg.id and e.state == "ended")
    carrier.wait("recording", number="5550009")
    assert share(bench.recording("5550009").received, 1000.0) > 0.9
    folder = bench.folder / "recordings"
    for _ in range(200):
        if found := [p.name for p in folder.rglob("*-5550009-inbound-normal.wav")]:
            break
        await asyncio.sleep(0.02)
    assert len(found) == 1


def test_one_call_is_recorded_to_the_file_that_the_command_line_names(bench: Bench, tmp_path: Path) -> None:
    bench.start_carrier(NUMBERS)
    file = tmp_path / "call.flac"
    file.write_text("somebody's already")
    ran = bench.offhook(
        "call", "5550001", *bench.settings(), "--hangup-after", "0.5", "--record", str(file), "--json"
    )
    assert ran.returncode == 0, ran.stderr
    assert lines(ran.stdout)[-1]["recording"] == str(tmp_path / "call-2.flac")
    assert soundfile.info(tmp_path / "call-2.flac").format == "FLAC"
    assert file.read_text() == "somebody's already"
