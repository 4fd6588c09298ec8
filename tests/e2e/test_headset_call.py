"""The same call with the operator at this machine's headset: PyAudio and a real sound server."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import pytest
from rig import RATE, Bench, Driver, until_monotonic
from sound_server import MISSING, PRIORITY, Ear, available, locate, noise, sound_server
from test_first_call import tone_begins

from engine.control import messages

MAX_DELAY = 0.25
"""Seconds from microphone or callee to the other's ear that this test allows on a busy machine.

They hold PulseAudio's buffers and those of `pacat` and `parec` beside ours. The figure is printed.
"""

NUMBERS = """
[numbers.5550001]
answer_after = 0.6
says = "speech"
voice = 3
"""

pytestmark = pytest.mark.skipif(not available(), reason=MISSING)


@pytest.fixture
def sound() -> Iterator[dict[str, str]]:
    with sound_server() as environment:
        yield {k: v for k, v in environment.items() if k.startswith(("PULSE", "ALSA"))}


async def test_wait_tone_accept_and_both_voices_through_the_headset(
    bench: Bench,
    drive: Callable[[], Awaitable[Driver]],
    sound: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    everyone = {**os.environ, **sound}
    bench.start_engine(
        "audio.input=default", "audio.output=default", "operator.mode=headset", "operator.accept_after=-1",
        "rtp.codecs=['PCMU']", environment=sound,
    )  # fmt: skip
    driver = await drive()
    snapshot = await driver.until(messages.Snapshot)
    assert snapshot.sound.problem == ""
    queue = bench.folder / "queue.csv"
    queue.write_text("number\n5550001\n")
    await driver.send(messages.LoadQueue(path=str(queue)))
    await driver.send(messages.Resume())
    await driver.until(messages.Attempt, lambda a: a.waiting_for_operator)
    answered = carrier.wait("answered", number="5550001")["t"]
    await until_monotonic(answered + 1.0)

    loudspeaker = Ear("phones.monitor", everyone)
    microphone = Ear("mic.monitor", everyone)
    await asyncio.to_thread(loudspeaker.hearing.wait, 20)
    await asyncio.to_thread(microphone.hearing.wait, 20)
    await driver.send(messages.Accept())
    attempt = await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    voice = np.concatenate((np.zeros(RATE * 3, np.int16), noise(2, 7), np.zeros(RATE // 2, np.int16)))
    speaking = [
        *PRIORITY,
        "pacat",
        "--device=mic",
        f"--rate={RATE}",
        "--channels=1",
        "--format=s16le",
        "--raw",
        "--latency-msec=20",
    ]
    await asyncio.to_thread(
        subprocess.run, speaking, input=voice.tobytes(), check=True, timeout=60, env=everyone
    )
    await driver.send(messages.Hangup())
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "bridged"
    assert attempt.agent_leg == ""
    carrier.wait("recording", number="5550001")
    callee = bench.recording("5550001")
    heard, heard_at = loudspeaker.stop()
    said, said_at = microphone.stop()

    begins = tone_begins(callee.cut("received", answered, answered + 1.0), (440.0, 480.0))
    assert begins is not None
    assert begins < 0.1

    # each way by the best of three pieces: a sound server that the machine kept waiting spoils one or two
    outwards = []
    for begin in (RATE // 4, RATE * 3 // 4, RATE * 5 // 4):
        part = noise(2, 7)[begin : begin + RATE // 2]
        spoken, _ = locate(said, part)
        arrived, alike = locate(callee.received, part)
        outwards.append((alike, (callee.t0 + arrived / RATE) - (said_at + spoken / RATE)))
    inwards = []
    for seconds in (3.4, 2.7, 2.0):
        begin = round((heard_at + len(heard) / RATE - seconds - callee.t0) * RATE)
        found, alike = locate(heard, callee.sent[begin : begin + RATE // 2])
        inwards.append((alike, (heard_at + found / RATE) - (callee.t0 + begin / RATE)))
    (outward, out), (inward, back) = max(outwards), max(inwards)
    with capsys.disabled():
        print(
            f"\n  headset -> callee {out * 1000:.0f} ms (r {outward:.2f}), "
            f"callee -> headset {back * 1000:.0f} ms (r {inward:.2f})"
        )
    assert outward > 0.7
    assert inward > 0.7
    assert out < MAX_DELAY
    assert back < MAX_DELAY


async def test_without_a_sound_device_the_console_is_told_and_an_agent_takes_over(
    bench: Bench, drive: Callable[[], Awaitable[Driver]]
) -> None:
    bench.start_carrier(NUMBERS + "[numbers.8001]\nanswer_after = 0.2\n")
    nowhere = {"PULSE_SERVER": "unix:/nowhere", "ALSA_CONFIG_PATH": "/dev/null"}
    bench.start_engine("audio.input=default", "audio.output=default", environment=nowhere)
    driver = await drive()
    snapshot = await driver.until(messages.Snapshot)
    assert snapshot.sound.problem
    await driver.send(messages.Dial(number="5550001"))
    waiting = await driver.until(messages.Flow, lambda f: "sound" in f.notice)
    assert waiting.operator == "headset"
    await driver.send(messages.SetOperator(mode="cold", agents=["8001"]))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")


async def test_an_incoming_call_rings_at_its_own_device_and_outlives_the_headset_being_pulled_out(
    bench: Bench, drive: Callable[[], Awaitable[Driver]], sound: dict[str, str]
) -> None:
    everyone = {**os.environ, **sound}

    def pactl(*args: str) -> str:
        ran = subprocess.run(["pactl", *args], env=everyone, check=True, capture_output=True, text=True)
        return ran.stdout.strip()

    def plug_in(name: str) -> str:
        described = f"sink_properties=device.description={name.upper()}"
        return pactl("load-module", "module-null-sink", f"sink_name={name}", described)

    plug_in("bell")
    headset = plug_in("usb")
    carrier = bench.start_carrier("[numbers.5550009]\nvoice = 5\n")
    devices = ("audio.input=default", "audio.output=usb", "audio.ring_output=bell")
    bench.start_engine(*devices, environment=sound)
    driver = await drive()
    snapshot = await driver.until(messages.Snapshot)
    assert (snapshot.sound.output, snapshot.sound.ring, snapshot.sound.problem) == ("USB", "BELL", "")
    await asyncio.to_thread(carrier.wait, "registered")
    ear = Ear("bell.monitor", everyone)
    await asyncio.to_thread(ear.hearing.wait, 20)
    carrier.order("call", **{"from": "5550009", "to": "1001"})
    leg = await driver.until(messages.Leg, lambda e: e.role == "inbound" and e.state == "ringing")
    await asyncio.sleep(1.5)
    rung, _ = await asyncio.to_thread(ear.stop)
    assert tone_begins(rung, (440.0, 480.0)) is not None

    await driver.send(messages.Answer(leg=leg.id))
    await driver.until(messages.Leg, lambda e: e.id == leg.id and e.bridged_to == "sound")
    pactl("unload-module", headset)
    away = await driver.until(messages.Sound, lambda s: s.output == "default")
    assert away.problem.startswith("The loudspeaker 'USB' has stopped. 'default' stands in")
    told = await driver.until(messages.LogLine, lambda line: "stands in" in line.text)
    assert told.level == "warning"
    plug_in("usb")
    assert (await driver.until(messages.Sound, lambda s: s.output == "USB")).problem == ""
    driver.forget()
    await driver.send(messages.GetSnapshot())
    now = await driver.until(messages.Snapshot)
    assert [(each.id, each.state) for each in now.legs] == [(leg.id, "answered")]
