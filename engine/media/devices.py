"""Finding and opening sound devices with PyAudio (PortAudio)."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

PROBE_S = 15
"""Seconds that PortAudio may take to look for devices."""
FRAMES_MS = 10
"""Audio that a device hands over at a time."""

_stderr_lock = threading.Lock()
_alsa_handler: Any = None


class SoundError(Exception):
    """A device that is missing or does not open; the text is one plain sentence."""


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device. `inputs` and `outputs` are channels, `rate` its default rate in Hz."""

    name: str
    inputs: int
    outputs: int
    rate: int
    default_input: bool
    default_output: bool


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """PortAudio, ALSA and JACK write to file descriptor 2 while they probe: send that nowhere."""
    with _stderr_lock:
        _silence_alsa()
        sys.stderr.flush()
        saved = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(null)


def _silence_alsa() -> None:
    """ALSA complains later too, about underruns: give it a handler that says nothing."""
    global _alsa_handler
    name = ctypes.util.find_library("asound") if _alsa_handler is None else None
    if name is not None:
        text, number = ctypes.c_char_p, ctypes.c_int
        kind = ctypes.CFUNCTYPE(None, text, number, text, number, text)
        _alsa_handler = kind(lambda *complaint: None)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(name).snd_lib_error_set_handler(_alsa_handler)


def start_portaudio() -> Any:
    """A PyAudio object; its `terminate` must be called. Raises SoundError."""
    try:
        import pyaudio
    except ImportError:
        raise SoundError("There is no sound: PyAudio is not installed.") from None
    if not _portaudio_survives():
        raise SoundError("There is no sound: PortAudio crashes here, as it does where ALSA is broken.")
    with quiet():
        try:
            return pyaudio.PyAudio()
        except Exception as error:
            raise SoundError(f"There is no sound: PortAudio does not start ({error}).") from None


@functools.cache
def _portaudio_survives() -> bool:
    """PortAudio ends the whole process by abort() where ALSA is broken: let a child find out first."""
    probe = [sys.executable, "-c", "import pyaudio; pyaudio.PyAudio().terminate()"]
    null = subprocess.DEVNULL
    try:
        ran = subprocess.run(probe, stdin=null, stdout=null, stderr=null, timeout=PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return ran.returncode >= 0  # a Python error is told by the real start


def list_devices() -> list[Device]:
    """Every sound device there is now. Raises SoundError where PortAudio does not start."""
    audio = start_portaudio()
    try:
        return _devices(audio)
    finally:
        with quiet():
            audio.terminate()


def _devices(audio: Any) -> list[Device]:
    ins, outs = _default(audio, "input"), _default(audio, "output")
    found = []
    for index in range(audio.get_device_count()):
        info = audio.get_device_info_by_index(index)
        found.append(Device(str(info["name"]), int(info["maxInputChannels"]), int(info["maxOutputChannels"]),
                            int(info["defaultSampleRate"]), index == ins, index == outs))
    return found


def _default(audio: Any, side: str) -> int | None:
    try:
        info = getattr(audio, f"get_default_{side}_device_info")()
    except OSError:
        return None
    return int(info["index"])


def find(audio: Any, wanted: str, side: str) -> tuple[int, Device]:
    """A device's index for `input` or `output`: `default`, its name, or part of it. Raises SoundError."""
    devices = _devices(audio)
    usable = [(i, d) for i, d in enumerate(devices) if (d.inputs if side == "input" else d.outputs)]
    what = "microphone" if side == "input" else "loudspeaker"
    if wanted == "default":
        index = _default(audio, side)
        if index is None:
            raise SoundError(f"There is no {what}: this machine has no default sound {side}.")
        return index, devices[index]
    for match in (lambda d: d.name == wanted, lambda d: wanted.lower() in d.name.lower()):
        for index, device in usable:
            if match(device):
                return index, device
    names = ", ".join(repr(d.name) for _, d in usable) or "none"
    raise SoundError(f"There is no {what} {wanted!r}; sound {side}s here: {names}.")


def open_stream(
    audio: Any, wanted: str, side: str, make: Callable[[int, int], Any]
) -> tuple[Any, Device, int]:
    """Open one side at 8 kHz mono, else at the device's own rate, else in stereo.

    `make(rate, channels)` gives the callback. Returns stream, device and rate. Raises SoundError.
    """
    index, device = find(audio, wanted, side)
    last: Exception | None = None
    for rate, channels in ((8000, 1), (device.rate, 1), (8000, 2), (device.rate, 2)):
        try:
            with quiet():
                stream = audio.open(
                    rate=rate, channels=channels, format=8, frames_per_buffer=rate * FRAMES_MS // 1000,
                    stream_callback=make(rate, channels), start=False,
                    **{side: True, f"{side}_device_index": index},
                )
            return stream, device, rate
        except (OSError, ValueError) as error:
            last = error
    reason = last.args[-1] if last is not None and last.args else last
    what = "microphone" if side == "input" else "loudspeaker"
    raise SoundError(f"The {what} {device.name!r} does not open: {reason}.")
