"""The flow over real sockets: answer, wait tone, agent, bridge, and the way out from either side."""

from __future__ import annotations

import wave
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from rig import RATE, Bench, Driver, Recorded, until_monotonic
from sound_server import locate, noise

from engine.control import messages

NUMBERS = """
[numbers.5550001]
answer_after = 0.6
says = "speech"
voice = 3
[numbers.5550002]
answer_after = 0.6
voice = 4
hangup_after = 3.0
[numbers.8001]
answer_after = 1.0
voice = 11
one_call = true
"""
COLD = ("operator.mode=cold", "operator.agents=8001")
Drive = Callable[[], Awaitable[Driver]]


def tone_begins(samples: np.ndarray, hertz: tuple[float, ...], floor: float = 200.0) -> float | None:
    """Seconds until the first 20 ms in which every one of these frequencies is strong."""
    n = RATE // 50
    window = np.hanning(n)
    kernels = [np.exp(-2j * np.pi * f * np.arange(n) / RATE) for f in hertz]
    for start in range(0, len(samples) - n, n // 4):
        part = samples[start : start + n] * window
        if all(abs(part @ k) * 4 / n > floor for k in kernels):
            return start / RATE
    return None


def delay(spoken: Recorded, heard: Recorded, begin: float, end: float) -> tuple[float, float]:
    """How much later `heard` received what `spoken` sent, in seconds, and how alike they are (0 to 1): the
    best of three pieces, since a machine that kept the far ends waiting spoils one or two.
    """
    cuts = np.linspace(begin, end, 4)
    return max((_delay(spoken, heard, a, b) for a, b in pairwise(cuts)), key=lambda found: found[1])


def _delay(spoken: Recorded, heard: Recorded, begin: float, end: float) -> tuple[float, float]:
    source = spoken.cut("sent", begin, end)
    target = heard.cut("received", begin, end + 0.5)
    source = source - source.mean()
    size = 1 << (len(source) + len(target)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(target, size) * np.conj(np.fft.rfft(source, size)), size)[: RATE // 2]
    lag = int(np.argmax(cross))
    matched = target[lag : lag + len(source)]
    return lag / RATE, float(cross[lag] / (np.linalg.norm(source) * np.linalg.norm(matched) + 1e-9))


async def test_the_wait_tone_starts_at_the_answer_and_the_bridge_carries_both_voices(
    bench: Bench, drive: Drive
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    answered = carrier.wait("answered", number="5550001")["t"]
    bridged = carrier.wait("answered", number="8001")["t"]
    leg = await driver.until(messages.Leg, lambda e: e.role == "manual" and bool(e.bridged_to))
    assert leg.bridged_to
    # three seconds of talk: the far ends' own clock says when they are over
    carrier_end = bridged + 3.5
    await until_monotonic(carrier_end)
    live = await driver.until(messages.Qualities, lambda q: leg.id in q.legs)
    assert live.legs[leg.id].received > 0
    await driver.send(messages.Hangup())
    done = await driver.until(messages.AttemptDone)
    assert done.quality is not None
    assert done.quality.received > 100
    carrier.wait("recording", number="5550001")
    carrier.wait("recording", number="8001")
    callee, agent = bench.recording("5550001"), bench.recording("8001")

    begins = tone_begins(callee.cut("received", answered, bridged), (440.0, 480.0))
    assert begins is not None, "the callee never heard the wait tone"
    assert begins < 0.1

    talk = (bridged + 0.5, bridged + 3.0)
    to_callee, alike_callee = delay(agent, callee, *talk)
    to_agent, alike_agent = delay(callee, agent, *talk)
    print(
        f"wait tone {begins * 1000:.0f} ms after the 200; delay agent->callee {to_callee * 1000:.1f} ms "
        f"(r {alike_callee:.2f}), callee->agent {to_agent * 1000:.1f} ms (r {alike_agent:.2f})"
    )
    assert alike_callee > 0.9
    assert alike_agent > 0.9
    assert to_callee < 0.1
    assert to_agent < 0.1


async def test_the_callee_hangs_up_and_the_agent_is_free(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    await driver.send(messages.Dial(number="5550002"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "bridged"
    assert done.agent == "8001"
    agent = await driver.until(messages.Leg, lambda e: e.role == "agent" and e.state == "ended")
    assert agent.cause == "normal"
    carrier.wait("bye", number="8001")
    driver.forget()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")


async def test_the_agent_hangs_up_and_the_callee_is_hung_up(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    carrier.order("hangup", number="8001")
    done = await driver.until(messages.AttemptDone)
    assert done.disposition == "bridged"
    carrier.wait("bye", number="5550001")
    await driver.until(messages.Leg, lambda e: e.role == "manual" and e.state == "ended")


async def test_a_standing_agent_is_bridged_at_once_and_stays_between_calls(
    bench: Bench, drive: Drive
) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine("operator.mode=standing", "operator.agents=8001")
    driver = await drive()
    for _ in range(2):
        await driver.send(messages.Dial(number="5550002"))
        done = await driver.until(messages.AttemptDone)
        assert done.disposition == "bridged"
        assert done.states["bridged"] - done.states["answered"] < 2000
        driver.forget()
    assert len([e for e in carrier.events if e["event"] == "answered" and e["number"] == "8001"]) == 1


async def test_the_wait_tone_may_be_a_wav_file(bench: Bench, drive: Drive) -> None:
    music = noise(3, 5)
    file = bench.folder / "wait.wav"
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(music.astype("<i2").tobytes())
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD, f"dialer.wait_tone={file}")
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    answered = carrier.wait("answered", number="5550001")["t"]
    await driver.send(messages.Hangup())
    carrier.wait("recording", number="5550001")
    heard = bench.recording("5550001").cut("received", answered, answered + 1.0)
    at, alike = locate(heard, music[: RATE // 2])
    print(f"the file begins {at / RATE * 1000:.0f} ms after the 200 (r {alike:.2f})")
    assert alike > 0.9
    assert at / RATE < 0.15


async def test_hold_resume_mute_digits_and_recording_on_a_bridged_call(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    await driver.send(messages.Dial(number="5550001"))
    await driver.until(messages.Attempt, lambda a: a.state == "bridged")
    await driver.send(messages.Record(on=True))
    recording = (await driver.until(messages.Leg, lambda e: bool(e.recording))).recording
    await driver.send(messages.Hold(on=True))
    await driver.until(messages.Leg, lambda e: e.role == "manual" and e.held)
    driver.forget()
    await driver.send(messages.Hold(on=False))
    await driver.until(messages.Leg, lambda e: e.role == "manual" and not e.held)
    await driver.send(messages.SendDigits(digits="42#"))
    for digit in "42#":
        carrier.wait("digit", digit=digit, number="5550001")
    await driver.send(messages.Mute(on=True))
    assert (await driver.until(messages.Flow, lambda f: f.muted)).muted
    await driver.send(messages.Hangup())
    done = await driver.until(messages.AttemptDone)
    assert recording.endswith("-manual-unfinished.wav")
    assert done.recording == recording.replace("unfinished", "bridged")
    assert Path(done.recording).stat().st_size > 8000


async def test_a_command_that_makes_no_sense_now_is_one_sentence(bench: Bench, drive: Drive) -> None:
    bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    for command in (
        messages.Hold(on=True),
        messages.SendDigits(digits="1"),
        messages.SendDigits(digits="x"),
        messages.Hangup(),
        messages.Accept(),
        messages.Skip(entry=99),
        messages.Redial(entry=99),
        messages.Answer(leg="x"),
        messages.Refuse(leg="x", code=200),
        messages.Dial(number="911"),
        messages.LoadQueue(path="/nowhere.csv"),
        messages.QueuePage(offset=-1, limit=1),
    ):
        reply = await driver.client.send(command)
        assert not reply.ok, command
        assert reply.error.endswith((".", ":")) or " " in reply.error, command
    assert not [e for e in driver.seen if isinstance(e, messages.Leg)]


async def test_an_inbound_call_rings_is_answered_and_talks_to_the_agent(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    await driver.until(messages.Snapshot)
    carrier.wait("registered")
    carrier.order("call", **{"from": "5550001", "to": "1001"})
    ringing = await driver.until(messages.Leg, lambda e: e.role == "inbound" and e.state == "ringing")
    assert "5550001" in ringing.number + ringing.remote
    await driver.send(messages.Answer(leg=ringing.id))
    await driver.until(messages.Leg, lambda e: e.id == ringing.id and bool(e.bridged_to))
    driver.forget()
    await driver.send(messages.Hangup(leg=ringing.id))
    await driver.until(messages.Leg, lambda e: e.role == "agent" and e.state == "ended")


async def test_an_inbound_call_is_refused(bench: Bench, drive: Drive) -> None:
    carrier = bench.start_carrier(NUMBERS)
    bench.start_engine(*COLD)
    driver = await drive()
    carrier.wait("registered")
    carrier.order("call", **{"from": "5550001", "to": "1001"})
    ringing = await driver.until(messages.Leg, lambda e: e.role == "inbound" and e.state == "ringing")
    await driver.send(messages.Refuse(leg=ringing.id, code=603))
    ended = await driver.until(messages.Leg, lambda e: e.id == ringing.id and e.state == "ended")
    assert ended.cause == "rejected"
    carrier.wait("refused", code=603)
