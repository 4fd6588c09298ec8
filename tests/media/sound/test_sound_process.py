"""PortAudio in a process of its own: it may crash, hang or chatter, and the engine says one sentence."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.media.sound import host as sound_host
from engine.media.sound import process as sound_process
from engine.media.sound.devices import list_devices
from engine.media.sound.process import SoundError, SoundProcess


@pytest.fixture
def host(tmp_path: Path, monkeypatch):
    """Puts another script in the place of the real one."""

    def replace(text: str) -> None:
        script = tmp_path / "host.py"
        script.write_text(f"import os, sys, time, json\n{text}\n")
        monkeypatch.setattr(sound_host, "__file__", str(script))

    monkeypatch.setattr(sound_process, "OPEN_S", 1.0)
    return replace


def test_a_crash_is_one_sentence(host):
    host("os.abort()")
    with pytest.raises(SoundError, match=r"^There is no sound: PortAudio crashes here[^.]*\.$"):
        list_devices()


def test_a_process_that_never_answers_is_ended(host):
    host("time.sleep(600)")
    process = SoundProcess("input", "default")
    with pytest.raises(SoundError, match=r"^There is no sound: PortAudio does not answer within 1 s\.$"):
        process.open()
    assert process._child.poll() is not None


def test_what_it_writes_to_standard_error_reaches_nobody(host, capfd):
    host('os.write(2, b"ALSA lib pcm.c: Unknown PCM\\n" * 1000); print(json.dumps({"devices": []}))')
    assert list_devices() == []
    assert capfd.readouterr() == ("", "")


def test_what_a_sound_library_writes_between_its_answers_is_passed_over(host):
    host('print("jack server is not running\\n\\n[1]\\n7"); print(json.dumps({"devices": []}))')
    assert list_devices() == []


def test_a_machine_without_a_free_descriptor_is_one_sentence(monkeypatch):
    def none(*args):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socketpair", none)
    with pytest.raises(SoundError, match=r"^There is no sound: [^.]*Too many open files\)\.$"):
        SoundProcess("input", "default")


def test_it_says_when_its_device_is_gone(host):
    said = '{"opened": "USB", "rate": 48000, "channels": 2, "latency": 0.01}\\n{"gone": "It has stopped."}'
    host(f"print('{said}')")
    process = SoundProcess("output", "usb")
    assert process.open() == sound_process.Opened("USB", 48000, 2, 0.01)
    assert process.line(10) == {"gone": "It has stopped."}
    with pytest.raises(EOFError):
        process.line(10)
    process.close()
    process.sock.close()


def test_it_ends_with_the_engine_though_portaudio_hangs(tmp_path):
    hanging = "import time\nclass PyAudio:\n    def __init__(self): time.sleep(600)\n"
    (tmp_path / "pyaudio.py").write_text(hanging)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, "-P", sound_host.__file__, "open", "input", "default", "8000",
                   str(theirs.fileno())]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()],
                                 env={**os.environ, "PYTHONPATH": str(tmp_path)})
        assert child.poll() is None
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) == 0
