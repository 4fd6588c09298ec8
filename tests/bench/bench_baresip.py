"""baresip for comparison: its configuration, and a minimal SIP server that answers its calls.

baresip is Debian's softphone in C. It gets a directory of its own, plays a tone to each call and is told
over its TCP control port to dial.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "sip"))

from baresip import Baresip, BaresipError, baresip, write_tone


def install() -> str:
    """The path of baresip; installs it by apt where that is possible. Raises BaresipError."""
    if found := shutil.which("baresip"):
        return found
    if shutil.which("apt-get") is None:
        raise BaresipError("baresip is not installed and there is no apt-get to install it")
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*sudo, "apt-get", "install", "-y", "--no-install-recommends", "baresip-core", "baresip"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    if done.returncode or not (found := shutil.which("baresip")):
        tail = done.stdout.decode(errors="replace")[-200:]
        raise BaresipError(f"apt-get could not install baresip: {tail}")
    return found


class Answerer:
    """A SIP user agent server over UDP: answers every INVITE at once, each with the next RTP port."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = list(ports)
        self._given: dict[str, int] = {}
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port = self._sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._sock.close()

    def _run(self) -> None:
        while True:
            try:
                data, source = self._sock.recvfrom(8192)
            except OSError:
                return
            text = data.decode(errors="replace")
            method = text.split(" ", 1)[0]
            call = self._header(text, "Call-ID")
            if method == "INVITE":
                port = self._given.setdefault(call, self._ports.pop(0) if call not in self._given else 0)
                body = (f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n")
                self._sock.sendto(self._answer(text, body), source)
            elif method in ("BYE", "CANCEL", "OPTIONS"):
                self._sock.sendto(self._answer(text, ""), source)

    @staticmethod
    def _header(text: str, name: str) -> str:
        match = re.search(rf"^{name}\s*:\s*(.*?)\r$", text, re.MULTILINE | re.IGNORECASE)
        return match[1] if match else ""

    def _answer(self, text: str, body: str) -> bytes:
        vias = re.findall(r"^(Via\s*:.*?)\r$", text, re.MULTILINE | re.IGNORECASE)
        to = self._header(text, "To")
        to = to if ";tag=" in to else to + ";tag=bench"
        lines = ["SIP/2.0 200 OK", *vias, f"From: {self._header(text, 'From')}", f"To: {to}",
                 f"Call-ID: {self._header(text, 'Call-ID')}", f"CSeq: {self._header(text, 'CSeq')}",
                 f"Contact: <sip:bench@127.0.0.1:{self.port}>"]
        if body:
            lines.append("Content-Type: application/sdp")
        return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode()


@contextlib.contextmanager
def running(server: int) -> Iterator[Baresip]:
    """A baresip whose account is at a port of 127.0.0.1. Ends what it started. Raises BaresipError."""
    install()
    with tempfile.TemporaryDirectory(prefix="baresip-") as folder:
        tone = Path(folder) / "tone.wav"
        write_tone(tone)
        account = f"<sip:bench@127.0.0.1:{server};transport=udp>;regint=0;audio_codecs=pcmu"
        settings = ["ausrc_srate 8000", "auplay_srate 8000"]
        with baresip(
            Path(folder), account, source=f"aufile,{tone}", player="", settings=settings
        ) as phone:
            yield phone


@contextlib.contextmanager
def calls(ports: list[int]) -> Iterator[int]:
    """baresip with one call to each RTP port, all answered; its process. Ends what it started. Raises
    BaresipError.
    """
    answerer = Answerer(ports)
    try:
        with running(answerer.port) as phone:
            for n in range(len(ports)):
                phone.command("dial", f"sip:{n}@127.0.0.1:{answerer.port}")
                phone.event("CALL_ESTABLISHED")
            yield phone.pid
    finally:
        answerer.close()
