"""The sound devices of this machine, as PyAudio (PortAudio) tells them from a process of its own."""

from __future__ import annotations

from dataclasses import dataclass

from engine.media.sound.process import SoundError, ask

__all__ = ["Device", "SoundError", "list_devices"]


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device. `inputs` and `outputs` are channels, `rate` its default rate in Hz.

    `rates` are those of 8, 16, 44.1 and 48 kHz that it takes, where that was asked for. The last two are a
    sound server's names for it, where one serves it.
    """

    name: str
    inputs: int
    outputs: int
    rate: int
    default_input: bool
    default_output: bool
    rates: tuple[int, ...] = ()
    served_input: str = ""
    served_output: str = ""


def list_devices(*, rates: bool = False) -> list[Device]:
    """Every sound device there is now. Blocks for a second or so. Raises SoundError.

    To learn `rates` every device is opened several times.
    """
    told = ask("list", *(["rates"] if rates else []))["devices"]
    return [
        Device(d["name"], d["inputs"], d["outputs"], d["rate"], d["default_input"], d["default_output"],
               tuple(d.get("rates", ())), d.get("served_input", ""), d.get("served_output", ""))
        for d in told
    ]  # fmt: skip
