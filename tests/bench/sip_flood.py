"""Audio under a flood of requests: `python tests/bench/sip_flood.py [--rate N] [--seconds S]`.

A real `offhook call` plays a tone to a receiver in a process of its own, which takes the kernel's time of
every packet; lateness is measured as in rtp_timing.py. Meanwhile requests come at its SIP port: INVITEs from
the trunk's own address, BYEs for made-up dialogs from there, INVITEs from a stranger's. The trunk hangs the
call up while the flood lasts.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rtp_timing import Receiver, Timing

ROOT = Path(__file__).parents[2]
SETTLE_S = 1.0
HANGUP_WAIT_S = 20.0


@dataclass(frozen=True)
class Flooded:
    """What one run showed: the audio's lateness, what the senders achieved, seconds from BYE to its answer
    (None where none came), the caller's peak memory in KiB, and its exit status."""

    timing: Timing
    sent_a_second: float
    hangup_s: float | None
    peak_kib: int
    status: int


def requests(victim: int, method: str, source: str, count: int) -> list[bytes]:
    """Requests that differ in branch and Call-ID; any but INVITE with a tag in its To."""
    tag = "" if method == "INVITE" else ";tag=made-up"
    return [
        (
            f"{method} sip:1001@127.0.0.1:{victim} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {source}:5060;rport;branch=z9hG4bK{os.getpid()}x{n}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:100@{source}>;tag=f{n}\r\nTo: <sip:1001@127.0.0.1>{tag}\r\n"
            f"Call-ID: {os.getpid()}-{n}@{source}\r\nCSeq: 1 {method}\r\nContact: <sip:100@{source}>\r\n"
            "User-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        for n in range(count)
    ]


def flood(victim: int, method: str, source: str, rate: float, stop: object, sent: object) -> None:
    """Send requests, each another, at `rate` a second until `stop` is set; runs in a process of its own."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", victim))
    data = requests(victim, method, source, 20_000)
    began, n = time.monotonic(), 0
    while not stop.is_set():  # type: ignore[attr-defined]
        due = int((time.monotonic() - began) * rate)
        while n < due:
            with contextlib.suppress(OSError):
                sock.send(data[n % len(data)])
            n += 1
        time.sleep(0.001)
    sent.value = int(n / (time.monotonic() - began))  # type: ignore[attr-defined]


@contextlib.contextmanager
def flooding(victim: int, method: str, source: str, rate: float) -> Iterator[object]:
    """A flood for as long as the block lasts; what it gives holds the rate that was reached, afterwards."""
    context = multiprocessing.get_context("spawn")
    stop, sent = context.Event(), context.Value("i", 0)
    process = context.Process(target=flood, args=(victim, method, source, rate, stop, sent), daemon=True)
    if rate:
        process.start()
    try:
        yield sent
    finally:
        if rate:
            stop.set()
            process.join(10)


class Uas:
    """The trunk of one call: answers the INVITE with the receiver's port, and hangs up when told."""

    def __init__(self, rtp_port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = int(self.sock.getsockname()[1])
        self._rtp = rtp_port
        self._invite: dict[str, str] = {}
        self._peer = ("", 0)

    def answer(self, patience: float = 20.0) -> None:
        """Take the call; returns once it is acknowledged. Raises TimeoutError."""
        while True:
            head, peer = self._next(patience)
            if head[""].startswith("INVITE "):
                self._invite, self._peer = head, peer
                body = (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                        f"m=audio {self._rtp} RTP/AVP 8\r\na=sendrecv\r\n")
                fields = "".join(f"{name}: {head[name]}\r\n" for name in ("via", "from", "call-id", "cseq"))
                self._send(f"SIP/2.0 200 OK\r\n{fields}To: {head['to']};tag=uas\r\n"
                           f"Contact: <sip:x@127.0.0.1:{self.port}>\r\nContent-Type: application/sdp\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n{body}")
            elif head[""].startswith("ACK "):
                return

    def hang_up(self) -> float | None:
        """BYE, repeated as RFC 3261 asks; seconds until its 200, None where none came."""
        invite = self._invite
        bye = (f"BYE sip:x@127.0.0.1 SIP/2.0\r\n"
               f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bKbye\r\n"
               f"Max-Forwards: 70\r\nFrom: {invite['to']};tag=uas\r\nTo: {invite['from']}\r\n"
               f"Call-ID: {invite['call-id']}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n")
        began, wait = time.monotonic(), 0.5
        while time.monotonic() - began < HANGUP_WAIT_S:
            self._send(bye)
            again = time.monotonic() + wait
            while (left := again - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    head, _ = self._next(left)
                    if head[""].startswith("SIP/2.0 200") and "BYE" in head["cseq"]:
                        return time.monotonic() - began
            wait = min(wait * 2, 4.0)
        return None

    def _next(self, patience: float) -> tuple[dict[str, str], tuple[str, int]]:
        self.sock.settimeout(patience)
        data, peer = self.sock.recvfrom(65536)
        start, *lines = data.decode().split("\r\n\r\n")[0].split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return {"": start} | {name.strip().lower(): value.strip() for name, _, value in pairs}, peer

    def _send(self, text: str) -> None:
        self.sock.sendto(text.encode(), self._peer)

    def close(self) -> None:
        self.sock.close()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def peak_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def run(method: str, source: str, rate: float, seconds: float) -> Flooded:
    """One call with a flood from an address at its SIP port; `rate` 0 for none."""
    receiver, victim = Receiver(1, seconds), free_port()
    uas = Uas(receiver.ports[0])
    with tempfile.TemporaryDirectory() as folder:
        tone = Path(folder) / "tone.wav"
        with wave.open(str(tone), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(b"\x00\x10\x00\xf0" * 4000 * 60)
        settings = (f"trunk.server=127.0.0.1:{uas.port}", "trunk.register=false", "trunk.username=1001",
                    f"sip.listen=127.0.0.1:{victim}", "rtp.ports=30400-30499", "log.level=info")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OFFHOOK")}
        caller = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "call", "5551234", "--play", str(tone),
             *(part for key in settings for part in ("--set", key))],
            cwd=ROOT, stderr=subprocess.DEVNULL, env=environment | {"XDG_CONFIG_HOME": folder})
        try:
            uas.answer()
            with flooding(victim, method, source, rate) as sent:
                time.sleep(SETTLE_S)
                timing = receiver.collect()
                peak = peak_kib(caller.pid)
                hangup = uas.hang_up()
            status = caller.wait(15)
            return Flooded(timing, sent.value, hangup, peak, status)  # type: ignore[attr-defined]
        finally:
            receiver.close()
            uas.close()
            if caller.poll() is None:
                caller.kill()
                caller.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=10_000, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each run")
    options = parser.parse_args()
    print(f"RTP lateness in ms against the 20 ms grid, requests at the SIP port; {options.seconds:g} s a run")
    print(f"{'':10}{'sent/s':>9}{'p50':>9}{'p99':>9}{'max':>9}{'lost':>6}{'BYE s':>8}{'peak MiB':>10}")
    status, quiet = 0, 0.0
    for name, method, source, rate in (
        ("quiet", "INVITE", "127.0.0.1", 0.0), ("trunk", "INVITE", "127.0.0.1", options.rate),
        ("its BYEs", "BYE", "127.0.0.1", options.rate), ("stranger", "INVITE", "127.0.0.2", options.rate),
    ):  # fmt: skip
        f = run(method, source, rate, options.seconds)
        t, bye = f.timing, "none" if f.hangup_s is None else f"{f.hangup_s:.3f}"
        print(f"{name:10}{f.sent_a_second:9}{t.p50:9.3f}{t.p99:9.3f}{t.max:9.3f}{t.lost:6}{bye:>8}"
              f"{f.peak_kib / 1024:10.1f}")
        if rate:
            print(f"{'ratio':10}{'':18}{t.p99 / quiet:8.1f}x", flush=True)
        else:
            quiet = t.p99
        status |= t.p99 > 2.0 or f.hangup_s is None
    return status


if __name__ == "__main__":
    sys.exit(main())
