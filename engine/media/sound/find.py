"""PortAudio's devices, and a sound server's, for `host.py`: found, chosen, and how to open them."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Sequence
from typing import Any

LUMP_S = 0.04
"""No rate is taken whose smallest whole number of samples at 8 kHz, too, is longer."""
USUAL_RATES = (8000, 16000, 44100, 48000)
SERVED_BY = ("pulse", "pipewire")
"""PortAudio's names for a sound server as a whole."""
INT16 = 8  # paInt16


class Missing(Exception):
    """One plain sentence."""


def what_is(side: str) -> str:
    return "microphone" if side == "input" else "loudspeaker"


def choose(devices: Sequence[dict[str, Any]], wanted: str, side: str) -> dict[str, Any]:
    """A device for `input` or `output`: `default`, its name or a sound server's, or a part of the former."""
    usable = [device for device in devices if device[f"{side}s"]]
    what = what_is(side)
    if wanted == "default":
        for device in usable:
            if device[f"default_{side}"]:
                return device
        raise Missing(f"There is no {what}: this machine has no default sound {side}.")
    low = wanted.casefold()
    for match in (
        lambda device: wanted in (device["name"], device.get(f"served_{side}")),
        lambda device: device["name"].casefold() == low,
        lambda device: low in device["name"].casefold(),
    ):
        for device in usable:
            if match(device):
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


def start() -> Any:
    try:
        import pyaudio
    except ImportError:
        raise Missing("There is no sound: PyAudio is not installed.") from None
    try:
        return pyaudio.PyAudio()
    except Exception as error:
        raise Missing(f"There is no sound: PortAudio does not start ({error}).") from None


def list_all(audio: Any) -> list[dict[str, Any]]:
    def default(side: str) -> int:
        try:
            return int(getattr(audio, f"get_default_{side}_device_info")()["index"])
        except OSError:
            return -1

    ins, outs = default("input"), default("output")
    found: list[dict[str, Any]] = []
    for index in range(audio.get_device_count()):
        info = audio.get_device_info_by_index(index)
        found.append({
            "index": index, "name": str(info["name"]), "inputs": int(info["maxInputChannels"]),
            "outputs": int(info["maxOutputChannels"]), "rate": int(info["defaultSampleRate"]),
            "default_input": index == ins, "default_output": index == outs,
        })
    server = next((d for d in found if d["name"] in SERVED_BY), None)
    return found if server is None else [*_served(server), *found]


def _served(server: dict[str, Any]) -> list[dict[str, Any]]:
    """The sound server's own devices by their descriptions: PortAudio sees the server alone."""
    found: dict[str, dict[str, Any]] = {}
    for side, kind in (("input", "sources"), ("output", "sinks")):
        for name, description in ask_server(kind).items():
            device = found.setdefault(description, {
                **server, "name": description, "inputs": 0, "outputs": 0,
                "default_input": False, "default_output": False,
            })
            if not device[f"{side}s"]:
                device[f"{side}s"], device[f"served_{side}"] = server[f"{side}s"], name
    return list(found.values())


def ask_server(kind: str) -> dict[str, str]:
    """Its `sinks` or `sources` by name, with their descriptions; nothing where `pactl` isn't there."""
    command = ["pactl", "--format=json", "list", kind]
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=5,
                             env={**os.environ, "LC_ALL": "C.UTF-8"})
        listed = json.loads(ran.stdout)
        return {d["name"]: str(d["description"]) for d in listed if not d["name"].endswith(".monitor")}
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, KeyError):
        return {}


def rates_of(audio: Any, device: dict[str, Any]) -> list[int]:
    """Which of the usual rates a device takes on every side that it has."""

    def takes(rate: int) -> bool:
        for side in ("input", "output"):
            if device[f"{side}s"]:
                what = {f"{side}_device": device["index"], f"{side}_channels": 1, f"{side}_format": INT16}
                try:
                    audio.is_format_supported(rate, **what)
                except ValueError:
                    return False
        return True

    return [rate for rate in USUAL_RATES if takes(rate)]
