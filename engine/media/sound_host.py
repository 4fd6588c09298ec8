"""One stream of PyAudio (PortAudio) in a process of its own, run as a script by `sound_process.py`.

PortAudio finds devices only when it starts, hangs or ends its whole process where ALSA is broken or a device
is pulled out, and writes to standard error as do ALSA and JACK. Here it can do all that: the engine goes on,
and begins another process. Nothing of ours is imported, so that this starts in some 50 ms.

    sound_host.py list [rates]               one line of JSON: {"devices": [...]} or {"error": "..."}
    sound_host.py open SIDE DEVICE RATES FD  {"opened": name, ...} or {"error": "..."}, later perhaps
                                             {"gone": "..."}; ends with its standard input

SIDE is `input` or `output`, DEVICE as `audio.input` has it, RATES those to try in Hz (0: the device's own).
FD is a SOCK_SEQPACKET socket. Input: a packet holds a callback's samples, int16. Output: a packet is four
octets (how many octets of what waits to throw away, little-endian) and samples; back comes a `REPORT` four
times a second.
"""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

FRAMES_MS = 10
"""Audio that a device hands over at a time."""
MARGIN_MS = 18
"""Audio that waits for the loudspeaker at least: a callback's 10 ms, which slips past a tick now and then
where the clocks differ, and 8 ms that the trimming needs."""
LIMIT_MS = 160
"""Audio that waits for the loudspeaker at most."""
LUMP_S = 0.04
"""No rate is taken whose smallest whole number of samples at 8 kHz, too, is longer."""
REPORT = struct.Struct("<II")
"""Octets that waited after a callback at least (since the last report), and underruns in all."""
REPORT_CALLBACKS = 25
FIRST_CALLBACK_S = 10.0
STALL_S = 3.0
LOOK_S = 0.25
RATES = (8000, 16000, 44100, 48000)
NICE = -11

_CONTINUE = 0  # paContinue
_INT16 = 8  # paInt16


class Missing(Exception):
    """One plain sentence."""


class Playout:
    """What waits for the loudspeaker. `width` is that of a frame of all channels, in octets."""

    def __init__(self, rate: int, width: int) -> None:
        self._margin = MARGIN_MS * rate // 1000 * width
        self._limit = LIMIT_MS * rate // 1000 * width
        self._held = bytearray()
        self._filling = True
        self.least = 1 << 30
        self.underruns = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, packet: bytes) -> None:
        drop = int.from_bytes(packet[:4], "little")
        self._held += packet[4:]
        if drop:
            del self._held[:drop]

    def take(self, need: int) -> bytes:
        """So many octets; silence until enough waits."""
        held = self._held
        if len(held) > self._limit + need:  # the device stalled, as many do when they start
            del held[: len(held) - self._limit - need]
        if self._filling and len(held) < need + self._margin:
            return bytes(need)
        self._filling = False
        out = bytes(held[:need])
        del held[:need]
        if len(out) < need:
            self.underruns += 1
            self._filling = True
            out += bytes(need - len(out))
        self.least = min(self.least, len(held))
        return out


class Input:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.heard = 0.0

    def callback(self, rate: int, channels: int) -> Callable[..., tuple[None, int]]:
        sock = self._sock

        def take(data: bytes, frames: int, times: Any, status: int) -> tuple[None, int]:
            self.heard = time.monotonic()
            try:
                sock.send(data)
            except OSError:
                pass  # the engine is behind: newer sound is worth more, and this is the oldest that can go
            return None, _CONTINUE

        return take


class Output:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._count = 0
        self.waiting = Playout(8000, 2)
        self.heard = 0.0

    def callback(self, rate: int, channels: int) -> Callable[..., tuple[bytes, int]]:
        width = 2 * channels
        waiting = self.waiting = Playout(rate, width)
        sock = self._sock

        def give(data: None, frames: int, times: Any, status: int) -> tuple[bytes, int]:
            self.heard = time.monotonic()
            try:
                while packet := sock.recv(65536):
                    waiting.add(packet)
            except OSError:
                pass  # nothing more has come
            out = waiting.take(frames * width)
            self._count += 1
            if self._count % REPORT_CALLBACKS == 0:
                try:
                    sock.send(REPORT.pack(waiting.least, waiting.underruns))
                    waiting.least = 1 << 30
                except OSError:
                    pass
            return out, _CONTINUE

        return give


def choose(devices: Sequence[dict[str, Any]], wanted: str, side: str) -> dict[str, Any]:
    """A device for `input` or `output`: `default`, its name, in any case of letters, or a part of it."""
    usable = [device for device in devices if device[f"{side}s"]]
    what = "microphone" if side == "input" else "loudspeaker"
    if wanted == "default":
        for device in usable:
            if device[f"default_{side}"]:
                return device
        raise Missing(f"There is no {what}: this machine has no default sound {side}.")
    low = wanted.casefold()
    for match in (
        lambda name: name == wanted,
        lambda name: name.casefold() == low,
        lambda name: low in name.casefold(),
    ):
        for device in usable:
            if match(device["name"]):
                return device
    names = ", ".join(repr(device["name"]) for device in usable) or "none"
    raise Missing(f"There is no {what} {wanted!r}; sound {side}s here: {names}.")


def attempts(device: dict[str, Any], side: str, rates: Sequence[int]) -> list[tuple[int, int]]:
    """Rates and channels to try, in order: mono first, then stereo, then as many as the device has."""
    tried: list[tuple[int, int]] = []
    for channels in (1, 2, device[f"{side}s"]):
        for rate in rates:
            each = (rate or device["rate"], channels)
            if each not in tried and channels <= 32 and 1 / math.gcd(each[0], 8000) <= LUMP_S:
                tried.append(each)
    return tried


def _start() -> Any:
    try:
        import pyaudio
    except ImportError:
        raise Missing("There is no sound: PyAudio is not installed.") from None
    try:
        return pyaudio.PyAudio()
    except Exception as error:
        raise Missing(f"There is no sound: PortAudio does not start ({error}).") from None


def _devices(audio: Any) -> list[dict[str, Any]]:
    def default(side: str) -> int:
        try:
            return int(getattr(audio, f"get_default_{side}_device_info")()["index"])
        except OSError:
            return -1

    ins, outs = default("input"), default("output")
    found = []
    for index in range(audio.get_device_count()):
        info = audio.get_device_info_by_index(index)
        found.append({
            "index": index, "name": str(info["name"]), "inputs": int(info["maxInputChannels"]),
            "outputs": int(info["maxOutputChannels"]), "rate": int(info["defaultSampleRate"]),
            "default_input": index == ins, "default_output": index == outs,
        })
    return found


def _rates(audio: Any, device: dict[str, Any]) -> list[int]:
    """Which of the usual rates a device takes on every side that it has."""

    def takes(rate: int) -> bool:
        for side in ("input", "output"):
            if device[f"{side}s"]:
                what = {f"{side}_device": device["index"], f"{side}_channels": 1, f"{side}_format": _INT16}
                try:
                    audio.is_format_supported(rate, **what)
                except ValueError:
                    return False
        return True

    return [rate for rate in RATES if takes(rate)]


def _open(
    side: str, wanted: str, rates: Sequence[int], stream: Input | Output
) -> tuple[Any, dict[str, Any], int, int]:
    """PyAudio's stream, not started, with device, rate and channels."""
    audio = _start()
    device = choose(_devices(audio), wanted, side)
    last: Exception | None = None
    for rate, channels in attempts(device, side, rates):
        try:
            opened = audio.open(
                rate=rate, channels=channels, format=_INT16, frames_per_buffer=rate * FRAMES_MS // 1000,
                stream_callback=stream.callback(rate, channels), start=False,
                **{side: True, f"{side}_device_index": device["index"]},
            )
            return opened, device, rate, channels
        except (OSError, ValueError) as error:
            last = error
    raise Missing(f"The {_what(side)} {device['name']!r} does not open: {_reason(last)}.")


def _what(side: str) -> str:
    return "microphone" if side == "input" else "loudspeaker"


def _reason(error: Exception | None) -> object:
    return error.args[-1] if error is not None and error.args else error


def _serve(side: str, wanted: str, rates: Sequence[int], stream: Input | Output) -> str:
    """Run the stream until it ends; one sentence that says how it did."""
    opened, device, rate, channels = _open(side, wanted, rates, stream)
    what = f"The {_what(side)} {device['name']!r}"
    _raise_priority()
    begun = time.monotonic()
    try:
        opened.start_stream()
    except OSError as error:
        raise Missing(f"{what} does not start: {_reason(error)}.") from None
    while not stream.heard:
        if time.monotonic() - begun > FIRST_CALLBACK_S or not opened.is_active():
            raise Missing(f"{what} does not start: it asks for nothing." if side == "output" else
                          f"{what} does not start: nothing comes from it.")
        time.sleep(0.005)
    latency = opened.get_input_latency() if side == "input" else opened.get_output_latency()
    _say({"opened": device["name"], "rate": rate, "channels": channels, "latency": latency})
    while opened.is_active() and time.monotonic() - stream.heard < STALL_S:
        time.sleep(LOOK_S)
    return f"{what} has stopped."


def _raise_priority() -> None:
    """PortAudio's threads inherit what this one has. Never real-time: some of ALSA's plugins poll without
    pause until a sound server answers, which could not run then."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError:
        pass  # this user may not


def _end_with_parent() -> None:
    """End at once when standard input does, whatever PortAudio is doing."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _say(line: dict[str, Any]) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


def main(args: Sequence[str]) -> None:
    _end_with_parent()
    try:
        if args[0] == "list":
            audio = _start()
            devices = _devices(audio)
            for device in devices if "rates" in args else ():
                device["rates"] = _rates(audio, device)
            _say({"devices": devices})
        else:
            _, side, wanted, rates, fd = args
            sock = socket.socket(fileno=int(fd))
            sock.setblocking(False)
            stream = Input(sock) if side == "input" else Output(sock)
            _say({"gone": _serve(side, wanted, [int(rate) for rate in rates.split(",")], stream)})
    except Missing as error:
        _say({"error": str(error)})
    os._exit(0)  # closing a device that is gone may take for ever


if __name__ == "__main__":
    main(sys.argv[1:])
