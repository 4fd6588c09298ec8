"""Two DTMF receivers that are not ours, on the very same samples: spandsp and multimon-ng."""

from __future__ import annotations

import ctypes
import ctypes.util
import subprocess

import numpy as np
import numpy.typing as npt
import soxr

Pcm = npt.NDArray[np.int16]


class Spandsp:
    """libspandsp's `dtmf_rx`, with its own defaults."""

    name = "spandsp"

    def __init__(self) -> None:
        path = ctypes.util.find_library("spandsp")
        if path is None:
            raise SystemExit("libspandsp2 is not installed; `make setup-bench` installs it.")
        self._lib = lib = ctypes.CDLL(path)
        lib.dtmf_rx_init.restype = ctypes.c_void_p
        lib.dtmf_rx_init.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        lib.dtmf_rx.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        lib.dtmf_rx_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
        lib.dtmf_rx_get.restype = ctypes.c_size_t
        lib.dtmf_rx_free.argtypes = [ctypes.c_void_p]

    def __call__(self, pcm: Pcm) -> str:
        lib, state = self._lib, self._lib.dtmf_rx_init(None, None, None)
        buffer, heard = ctypes.create_string_buffer(129), []
        for at in range(0, len(pcm), 8000):
            piece = np.ascontiguousarray(pcm[at : at + 8000])
            lib.dtmf_rx(state, piece.ctypes.data, len(piece))
            count = lib.dtmf_rx_get(state, buffer, 128)
            heard.append(buffer.raw[:count].decode())
        lib.dtmf_rx_free(state)
        return "".join(heard)


class Multimon:
    """multimon-ng, which takes 22050 Hz."""

    name = "multimon-ng"

    def __call__(self, pcm: Pcm) -> str:
        wide = soxr.resample(pcm.astype(np.float32), 8000, 22050)
        octets = np.clip(np.rint(wide), -32768, 32767).astype("<i2").tobytes()
        try:
            done = subprocess.run(
                ["multimon-ng", "-q", "-a", "DTMF", "-t", "raw", "-"],
                input=octets, capture_output=True, check=True,
            )  # fmt: skip
        except FileNotFoundError:
            raise SystemExit("multimon-ng is not installed; `make setup-bench` installs it.") from None
        lines = done.stdout.decode().splitlines()
        return "".join(line.split()[-1] for line in lines if line.startswith("DTMF:"))
