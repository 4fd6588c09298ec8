"""Devices of the sound card: rates, which is chosen, a second one that rings, and some that come and go."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from media_rig import Rig, sine
from sound_server import MISSING, SoundServer, available, card, in_environment, sound_server

from engine.media.orders import RING, SOUND, Bridge, OpenSound, Play, SoundChanged, ToneSource
from engine.media.sound import keeper as sound_keeper
from engine.media.sound import process as sound_process
from engine.media.sound.find import Missing, attempts, choose

RATES = [8000, 16000, 44100, 48000]
DEVICES = [
    {"name": "USB Headset", "inputs": 1, "outputs": 2, "default_input": False, "default_output": False},
    {"name": "usb headset mono", "inputs": 1, "outputs": 0, "default_input": True, "default_output": False},
    {"name": "Speakers", "inputs": 0, "outputs": 8, "default_input": False, "default_output": True,
     "served_output": "alsa_output.pci"},
]
needs_server = pytest.mark.skipif(not available(), reason=MISSING)


@pytest.mark.parametrize(
    ("wanted", "side", "found"),
    [
        ("USB Headset", "input", "USB Headset"), ("usb headset mono", "input", "usb headset mono"),
        ("USB HEADSET MONO", "input", "usb headset mono"), ("headset", "output", "USB Headset"),
        ("mono", "input", "usb headset mono"), ("default", "input", "usb headset mono"),
        ("default", "output", "Speakers"), ("speak", "output", "Speakers"),
        ("alsa_output.pci", "output", "Speakers"),
    ],
)  # fmt: skip
def test_a_device_is_chosen_by_its_name_then_in_any_case_then_by_a_part_of_it(wanted, side, found):
    assert choose(DEVICES, wanted, side)["name"] == found


def test_a_device_that_has_no_such_side_is_not_chosen():
    with pytest.raises(Missing, match=r"no microphone 'Speakers'; .*'USB Headset', 'usb headset mono'\.$"):
        choose(DEVICES, "Speakers", "input")
    with pytest.raises(Missing, match="no default sound output"):
        choose(DEVICES[:2], "default", "output")


def test_8_khz_in_mono_is_tried_first_then_the_devices_own_rate_then_stereo():
    tried = attempts({"rate": 44100, "inputs": 2}, "input", [8000, 0, 48000])
    assert tried == [(8000, 1), (44100, 1), (48000, 1), (8000, 2), (44100, 2), (48000, 2)]
    assert attempts({"rate": 44101, "inputs": 1}, "input", [0, 48000]) == [(48000, 1), (48000, 2)]


@needs_server
def test_devices_of_every_rate_hear_and_are_heard_at_the_right_pitch_and_level(monkeypatch):
    """Each card hears what it plays itself; the far end hears that."""
    cards = "".join(card(f"card{rate}", f"card{rate}", f"card{rate}.monitor") for rate in RATES)
    spawn = sound_process._spawn

    def at_its_rate(args: list[str], *fds: int):  # PulseAudio would take any
        return spawn([*args[:3], args[2].removeprefix("card"), *args[4:]], *fds)

    monkeypatch.setattr(sound_process, "_spawn", at_its_rate)
    rigs: list[Rig] = []
    with sound_server({f"card{rate}": rate for rate in RATES}, cards) as environment, \
            in_environment(environment):  # fmt: skip
        try:
            far_ends = []
            for rate in RATES:
                rigs.append(Rig())
                rigs[-1].engine.order(OpenSound(f"card{rate}", f"card{rate}"))
            for rig, rate in zip(rigs, RATES, strict=True):
                changed = rig.fact(SoundChanged, 30)
                assert (changed.input, changed.output, changed.problem) == (f"card{rate}", f"card{rate}", "")
                name, far = rig.open()
                rig.engine.order(Bridge(name, SOUND))
                far_ends.append(far)
            heard: dict[int, np.ndarray] = {}

            def listen(rate: int) -> None:
                heard[rate] = far_ends[RATES.index(rate)].receive_pcm(8000 * 4)

            threads = [threading.Thread(target=listen, args=(rate,)) for rate in RATES]
            said = (sine(1000, 8000 * 4),)
            threads += [threading.Thread(target=far.send_pcm, args=said) for far in far_ends]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        finally:
            for rig in rigs:
                rig.stop()
    for rate in RATES:
        pieces = [heard[rate][at : at + 1600].astype(float) for at in range(12000, 30400, 800)]
        hz, power = zip(*map(_tone_of, pieces), strict=True)
        purest = int(np.argmax(power))  # of several pieces the one with no gap in it
        assert abs(hz[purest] - 1000) <= 8, rate
        loud = 20 * np.log10(pieces[purest].std() / (8000 / 2**0.5))
        assert abs(loud) < 1.0, (rate, loud)


def _tone_of(piece: np.ndarray) -> tuple[float, float]:
    """The strongest frequency, and what part of the power is near it."""
    power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2
    peak = int(power.argmax())
    return peak * 8000 / len(piece), float(power[max(0, peak - 3) : peak + 4].sum() / (power.sum() + 1))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch):
    """A machine with a default card, and a card `desk` of another server, which can be pulled out."""
    monkeypatch.setattr(sound_keeper, "POLL_S", 0.3)
    home = tmp_path / "desk"
    home.mkdir()
    server = SoundServer(home, {"desk": 44100})
    lines = card("desk", "desk", "desk.monitor", f"unix:{server.native}")
    with sound_server(cards=lines) as environment, in_environment(environment):
        server.start()
        try:
            yield server
        finally:
            server.stop()


def until(rig: Rig, wanted) -> SoundChanged:
    """The next SoundChanged that is as wanted."""
    for _ in range(20):
        changed = rig.fact(SoundChanged, 30)
        if wanted(changed):
            return changed
    raise AssertionError("many changes, and none was it")


@needs_server
def test_a_device_pulled_out_in_a_call_is_stood_in_for_and_comes_back_by_itself(desk):
    rig = Rig()
    try:
        rig.engine.order(OpenSound("desk", "desk"))
        assert until(rig, lambda c: c.input == c.output == "desk").problem == ""
        name, far = rig.open()
        rig.engine.order(Bridge(name, SOUND))
        far.receive()
        desk.stop()
        away = until(rig, lambda c: c.input == c.output == "default")
        assert "The loudspeaker 'desk' has stopped. 'default' stands in until it is there." in away.problem
        assert "The microphone 'desk' has stopped. 'default' stands in until it is there." in away.problem
        far.forget()
        far.send(b"\x12" * 160)
        far.receive()  # the call goes on
        desk.start()
        assert until(rig, lambda c: c.input == c.output == "desk").problem == ""
        assert rig.engine.late_us(100) < 100_000
    finally:
        rig.stop()


@needs_server
def test_a_device_of_the_sound_server_is_chosen_by_its_description_and_found_again(monkeypatch):
    """PulseAudio plays on at another device, where nobody may be: that isn't left so."""
    monkeypatch.setattr(sound_keeper, "POLL_S", 0.3)
    plug_in = ["load-module", "module-null-sink", "sink_name=bt",
               "sink_properties=device.description=Headset-X"]
    with sound_server() as environment, in_environment(environment):
        rig = Rig()
        try:
            module = pactl(*plug_in)
            rig.engine.order(OpenSound("none", "headset-x"))
            changed = rig.fact(SoundChanged, 30)
            assert (changed.output, changed.problem) == ("Headset-X", "")
            playing = pactl("list", "short", "sink-inputs").split("\t")[1]
            sinks = [line.split("\t") for line in pactl("list", "short", "sinks").splitlines()]
            assert [sink[1] for sink in sinks if sink[0] == playing] == ["bt"]
            pactl("unload-module", module)
            away = until(rig, lambda c: c.output == "default")
            assert away.problem.startswith("The loudspeaker 'Headset-X' has stopped. 'default' stands in")
            pactl(*plug_in)
            assert until(rig, lambda c: c.output == "Headset-X").problem == ""
        finally:
            rig.stop()


def pactl(*args: str) -> str:
    ran = subprocess.run(["pactl", *args], check=True, capture_output=True, text=True, timeout=30)
    return ran.stdout.strip()


@needs_server
def test_without_any_sound_the_call_goes_on_and_the_default_device_comes_back(desk, monkeypatch):
    """The whole sound server dies and begins again."""
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    rig = Rig()
    try:
        rig.engine.order(OpenSound("none", "default"))
        assert until(rig, lambda c: c.output == "default").problem == ""
        desk.stop()
        gone = until(rig, lambda c: c.output == "none")
        assert gone.problem == "The loudspeaker 'default' has stopped."
        _, far = rig.open()
        far.receive()
        desk.start()
        assert until(rig, lambda c: c.output == "default").problem == ""
    finally:
        rig.stop()


@needs_server
def test_what_rings_is_heard_at_the_second_device_and_not_in_the_call(desk):
    rig = Rig()
    try:
        rig.engine.order(OpenSound("none", "default", "desk"))
        changed = rig.fact(SoundChanged, 30)
        assert (changed.output, changed.ring, changed.problem) == ("default", "desk", "")
        rig.engine.order(Play(RING, ToneSource("us"), loop=True))
        card_of = rig.engine._board.sound
        pushed = threading.Event()
        original = card_of._ring.push

        def push(pcm):
            if pcm.any():
                pushed.set()
            original(pcm)

        card_of._ring.push = push
        assert pushed.wait(10)
        assert not card_of._heard.any()
    finally:
        rig.stop()


def test_a_call_that_comes_in_does_not_ring_into_another(rig):
    card_of = rig.engine._board.sound
    rig.engine.order(OpenSound("none", "none"))
    rig.fact(SoundChanged)
    rig.engine.order(Play(RING, ToneSource("us"), loop=True))
    heard = [threading.Event(), threading.Event()]
    end_tick = card_of.end_tick

    def watched(now, facts):
        end_tick(now, facts)
        heard[0 if card_of._heard.any() else 1].set()

    card_of.end_tick = watched
    assert heard[0].wait(10)
    name, _ = rig.open()
    rig.engine.order(Bridge(name, SOUND))
    heard[1].clear()
    assert heard[1].wait(10)
    for _ in range(5):
        heard[0].clear()
        heard[1].clear()
        assert heard[1].wait(10)
        assert not heard[0].is_set()
