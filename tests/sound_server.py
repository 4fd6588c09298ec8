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


class SoundServer:
    """A PulseAudio in a directory of its own, null sinks by name and rate; can be stopped and started."""

    def __init__(self, home: Path, sinks: dict[str, int]) -> None:
        self.home = home
        self.native = home / "native"
        script = home / "pulse.pa"
        null = "load-module module-null-sink"
        lines = [f"{null} sink_name={name} rate={rate}" for name, rate in sinks.items()]
        lines.append(f"load-module module-native-protocol-unix socket={self.native} auth-anonymous=1")
        if "mic" in sinks:
            lines += ["set-default-sink phones", "set-default-source mic.monitor"]
        script.write_text("\n".join(lines) + "\n")
        self.environment = {
            "PULSE_SERVER": f"unix:{self.native}", "PULSE_RUNTIME_PATH": str(home), "HOME": str(home),
            "PULSE_STATE_PATH": str(home), "XDG_RUNTIME_DIR": str(home), "XDG_CONFIG_HOME": str(home),
        }
        self._command = [*PRIORITY, "pulseaudio", "-n", "-F", str(script), "--exit-idle-time=-1",
                         "--daemonize=no", "--disallow-exit", "--use-pid-file=no", "--log-target=stderr",
                         "--log-level=error"]
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises RuntimeError where it does not come up."""
        log = self.home / "log"
        with log.open("wb") as sink:
            self._server = subprocess.Popen(
                self._command, env={**os.environ, **self.environment}, stdout=sink, stderr=sink,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self._server.poll() is not None:
                raise RuntimeError(f"pulseaudio ended: {log.read_text('utf-8', 'replace')}")
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.connect(str(self.native))
                return
            time.sleep(0.05)
        raise RuntimeError("pulseaudio did not open its socket within 20 s")

    def stop(self) -> None:
        """End exactly the process that `start` began."""
        server, self._server = self._server, None
        if server is not None:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        self.native.unlink(missing_ok=True)

    def control(self, *args: str) -> str:
        """What `pactl` says."""
        ran = subprocess.run(["pactl", *args], env={**os.environ, **self.environment}, check=True,
                             capture_output=True, text=True, timeout=30)
        return ran.stdout.strip()


@contextlib.contextmanager
def sound_server(sinks: dict[str, int] | None = None, cards: str = "") -> Iterator[dict[str, str]]:
    """Start one; yields the environment that makes PortAudio and `parec` use it.

    `cards` are further lines for ALSA's configuration. Raises RuntimeError where the server does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="sound-") as folder:
        home = Path(folder)
        server = SoundServer(home, {"phones": 48000, "mic": 48000, **(sinks or {})})
        alsa = home / "asound.conf"
        alsa.write_text("</usr/share/alsa/alsa.conf>\n" + DEFAULT + cards)
        try:
            server.start()
            yield {**server.environment, "ALSA_CONFIG_PATH": str(alsa)}
        finally:
            server.stop()


DEFAULT = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


def card(name: str, output: str, source: str, server: str = "") -> str:
    """Lines of ALSA's configuration: a card that plays to a sink and hears a source of a PulseAudio."""
    where = f'server "{server}" ' if server else ""
    return (
        f"pcm.{name} {{ type asym playback.pcm {{ type pulse {where}device {output} }} "
        f"capture.pcm {{ type pulse {where}device {source} }} }}\n"
    )


@contextlib.contextmanager
def in_environment(environment: dict[str, str]) -> Iterator[None]:
    """This process's own environment changed, and put back."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


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
