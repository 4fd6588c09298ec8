"""One stream of PyAudio (PortAudio) in a process of its own, run as a script by `process.py`.

PortAudio finds devices only when it starts, hangs or ends its whole process where ALSA is broken or a device
is pulled out, and writes to standard error as do ALSA and JACK. Here it can do all that: the engine goes on,
and begins another process. Next to nothing of ours is imported: it starts in some 50 ms.

    host.py list [rates]               one line of JSON: {"devices": [...]} or {"error": "..."}
    host.py open SIDE DEVICE RATES FD  {"opened": name, ...} or {"error": "..."}, later perhaps
                                       {"gone": "..."}; ends with its standard input

SIDE is `input` or `output`, DEVICE as `audio.input` has it, RATES those to try in Hz (0: the device's own).
FD is a SOCK_SEQPACKET socket. Input: a packet holds a callback's samples, int16. Output: a packet is four
octets (how many octets of what waits to throw away, little-endian) and samples; back comes a `REPORT` four
times a second.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from engine.media.sound import find

FRAMES_MS = 10
"""Audio that a device hands over at a time."""
MARGIN_MS = 18
"""Audio that waits for the loudspeaker at least: a callback's 10 ms, which slips past a tick now and then
where the clocks differ, and 8 ms that the trimming needs."""
LIMIT_MS = 160
"""Audio that waits for the loudspeaker at most."""
REPORT = struct.Struct("<II")
"""Octets that waited after a callback at least (since the last report), and underruns in all."""
REPORT_CALLBACKS = 25
FIRST_CALLBACK_S = 10.0
STALL_S = 3.0
LOOK_S = 0.25
LOOK_AT_SERVER_S = 2.0
NICE = -11

_CONTINUE = 0  # paContinue


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


def _open(
    side: str, wanted: str, rates: Sequence[int], stream: Input | Output
) -> tuple[Any, dict[str, Any], int, int]:
    """PyAudio's stream, not started, with device, rate and channels."""
    audio = find.start()
    device = find.choose(find.list_all(audio), wanted, side)
    if served := device.get(f"served_{side}"):
        os.environ["PULSE_SOURCE" if side == "input" else "PULSE_SINK"] = served
    last: Exception | None = None
    for rate, channels in find.attempts(device, side, rates):
        try:
            opened = audio.open(
                rate=rate, channels=channels, format=find.INT16, frames_per_buffer=rate * FRAMES_MS // 1000,
                stream_callback=stream.callback(rate, channels), start=False,
                **{side: True, f"{side}_device_index": device["index"]},
            )
            return opened, device, rate, channels
        except (OSError, ValueError) as error:
            last = error
    raise find.Missing(f"The {find.what_is(side)} {device['name']!r} does not open: {_reason(last)}.")


def _reason(error: Exception | None) -> object:
    return error.args[-1] if error is not None and error.args else error


def _serve(side: str, wanted: str, rates: Sequence[int], stream: Input | Output) -> str:
    """Run the stream until it ends; one sentence that says how it did."""
    opened, device, rate, channels = _open(side, wanted, rates, stream)
    what = f"The {find.what_is(side)} {device['name']!r}"
    _raise_priority()
    begun = time.monotonic()
    try:
        opened.start_stream()
    except OSError as error:
        raise find.Missing(f"{what} does not start: {_reason(error)}.") from None
    while not stream.heard:
        if time.monotonic() - begun > FIRST_CALLBACK_S or not opened.is_active():
            raise find.Missing(f"{what} does not start: it asks for nothing." if side == "output" else
                          f"{what} does not start: nothing comes from it.")
        time.sleep(0.005)
    latency = opened.get_input_latency() if side == "input" else opened.get_output_latency()
    _say({"opened": device["name"], "rate": rate, "channels": channels, "latency": latency})
    looked = time.monotonic()
    while opened.is_active() and time.monotonic() - stream.heard < STALL_S:
        time.sleep(LOOK_S)
        if f"served_{side}" in device and time.monotonic() - looked > LOOK_AT_SERVER_S:
            looked = time.monotonic()
            there = find.ask_server("sources" if side == "input" else "sinks")
            if there and device[f"served_{side}"] not in there:  # the server plays on elsewhere
                break
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
            audio = find.start()
            devices = find.list_all(audio)
            for device in devices if "rates" in args else ():
                device["rates"] = find.rates_of(audio, device)
            _say({"devices": devices})
        else:
            _, side, wanted, rates, fd = args
            sock = socket.socket(fileno=int(fd))
            sock.setblocking(False)
            stream = Input(sock) if side == "input" else Output(sock)
            _say({"gone": _serve(side, wanted, [int(rate) for rate in rates.split(",")], stream)})
    except find.Missing as error:
        _say({"error": str(error)})
    os._exit(0)  # closing a device that is gone may take for ever


if __name__ == "__main__":
    main(sys.argv[1:])
