"""A real sound server for tests on machines without sound hardware: PulseAudio with two null sinks.

What is played into the sink `mic` comes out of PyAudio's default input; what the phone plays into the
default output is heard at `phones.monitor`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MISSING = "PulseAudio or ALSA's pulse plugin is missing (pulseaudio, pulseaudio-utils, libasound2-plugins)"


PRIORITY = ["nice", "-n", "-11"] if os.geteuid() == 0 else []
"""As a desktop's sound server runs; without it whatever else the machine does is heard as gaps."""


def available() -> bool:
    """Whether everything needed is installed."""
    plugins = any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    return plugins and all(shutil.which(p) for p in ("pulseaudio", "parec", "pacat"))


@contextlib.contextmanager
def sound_server() -> Iterator[dict[str, str]]:
    """Start one in a directory of its own; yields the environment that makes PortAudio and `parec` use it.

    Ends exactly the process that it started. Raises RuntimeError where the server does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="sound-") as folder:
        home = Path(folder)
        script, alsa, native = home / "pulse.pa", home / "asound.conf", home / "native"
        script.write_text(
            "load-module module-null-sink sink_name=phones rate=48000\n"
            "load-module module-null-sink sink_name=mic rate=48000\n"
            f"load-module module-native-protocol-unix socket={native} auth-anonymous=1\n"
            "set-default-sink phones\n"
            "set-default-source mic.monitor\n"
        )
        alsa.write_text(
            "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"
        )
        environment = {
            "PULSE_SERVER": f"unix:{native}", "ALSA_CONFIG_PATH": str(alsa), "PULSE_RUNTIME_PATH": folder,
            "PULSE_STATE_PATH": folder, "HOME": folder, "XDG_RUNTIME_DIR": folder, "XDG_CONFIG_HOME": folder,
        }
        command = [*PRIORITY, "pulseaudio", "-n", "-F", str(script), "--exit-idle-time=-1", "--daemonize=no",
                   "--disallow-exit", "--use-pid-file=no", "--log-target=stderr", "--log-level=error"]
        log = home / "log"
        with log.open("wb") as sink:
            server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=sink, stderr=sink,
                                      stdin=subprocess.DEVNULL)
        try:
            _wait_for(native, server, log)
            yield environment
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(native: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"pulseaudio ended: {log.read_text('utf-8', 'replace')}")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(native))
            return
        time.sleep(0.05)
    raise RuntimeError("pulseaudio did not open its socket within 20 s")


class Ear:
    """`parec` on a monitor: samples at 8 kHz with the time at which each was there."""

    def __init__(self, source: str, environment: dict[str, str] | None = None) -> None:
        command = [*PRIORITY, "parec", f"--device={source}", "--rate=8000", "--channels=1", "--format=s16le",
                   "--latency-msec=10", "--raw"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self._chunks: list[tuple[float, bytes]] = []
        self.hearing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 4096):
            self._chunks.append((time.monotonic(), data))
            self.hearing.set()

    def stop(self) -> tuple[np.ndarray, float]:
        """All samples, and the time of the first as the earliest chunks tell it."""
        self._process.terminate()
        self._process.wait(10)
        self._thread.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        samples = np.frombuffer(b"".join(d for _, d in self._chunks), np.int16)
        ends = itertools.accumulate(len(d) // 2 for _, d in self._chunks)
        start = min(at - end / 8000 for (at, _), end in zip(self._chunks, ends, strict=True))
        return samples, start


def noise(seconds: float, seed: int) -> np.ndarray:
    """Band-limited noise: only one place of it fits, where the fit is far above 0.2."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(0, 1, int(seconds * 8000)))
    hz = np.fft.rfftfreq(int(seconds * 8000), 1 / 8000)
    spectrum[(hz < 300) | (hz > 1500)] = 0
    x = np.fft.irfft(spectrum)
    return (x / np.abs(x).max() * 16000).astype(np.int16)


def locate(heard: np.ndarray, said: np.ndarray) -> tuple[int, float]:
    """Where `said` best fits into `heard`, and the correlation coefficient there."""
    size = 1 << (len(heard) + len(said)).bit_length()
    a, b = heard.astype(float), said.astype(float)
    match = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[: len(a) - len(b)]
    at = int(np.abs(match).argmax())
    piece = a[at : at + len(b)]
    return at, float(abs(piece @ b) / (np.linalg.norm(piece) * np.linalg.norm(b) + 1e-9))
