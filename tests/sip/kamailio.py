"""Kamailio on loopback: registrar with digest credentials, and a proxy that asks for them and stays in it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from certificates import Authority
from peers import free_udp_port, need

PASSWORD = "demo pass"
START_LIMIT_S = 20

_CONFIG = """\
#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
enable_tls=yes
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
listen=tls:127.0.0.1:{tls_port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "verify_certificate", 0)
modparam("tls", "require_certificate", 0)
modparam("auth", "qop", "auth")
modparam("auth", "nonce_count", 1)
modparam("tm", "fr_timer", 5000)
modparam("registrar", "min_expires", 10)
modparam("usrloc", "db_mode", 0)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS") && uri==myself) {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not on a route of mine"); exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    t_check_trans();
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("offhook.test", "{password}", "0")) {{
            www_challenge("offhook.test", "1"); exit;
        }}
        save("location"); exit;
    }}
    if (!pv_proxy_authenticate("offhook.test", "{password}", "0")) {{
        proxy_challenge("offhook.test", "1"); exit;
    }}
    consume_credentials();
    record_route();
    if ($rU == "5551234") {{ $ru = "sip:5551234@127.0.0.1:{far}"; t_relay(); exit; }}
    if (!lookup("location")) {{ sl_send_reply("404", "Not registered"); exit; }}
    t_relay();
}}
"""


class Kamailio:
    """`port` takes UDP and TCP, `tls_port` TLS with a certificate for `names`. 5551234 is at `far`."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("localhost", "127.0.0.1")) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.authority = Authority(folder)
        self.port, self.far = free_udp_port(1), free_udp_port()
        self.tls_port = self.port + 1
        issued = self.authority.issue(*names)
        self._config = folder / "kamailio.cfg"
        self._config.write_text(
            _CONFIG.format(
                port=self.port, tls_port=self.tls_port, far=self.far, password=PASSWORD,
                certificate=issued.certificate, key=issued.key,
            )
        )  # fmt: skip

    def start(self) -> None:
        """Until it answers."""
        command = [
            need("kamailio", "kamailio"), "-DD", "-E", "-m", "32", "-M", "4", "-f", str(self._config),
            "-Y", str(self._folder), "-w", str(self._folder),
        ]  # fmt: skip
        with (self._folder / "kamailio.log").open("ab") as out:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                             start_new_session=True)  # fmt: skip
        limit = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > limit:
                pytest.fail("kamailio does not start:\n" + (self._folder / "kamailio.log").read_text())

    def _answers(self) -> bool:
        """Whether it answers an OPTIONS by UDP; TCP and TLS listen before UDP is served."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            probe.connect(("127.0.0.1", self.port))
            port = probe.getsockname()[1]
            with contextlib.suppress(OSError):
                probe.send(
                    f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};"
                    f"branch=z9hG4bK{time.monotonic_ns()}\r\nMax-Forwards: 9\r\nFrom: <sip:a@b>;tag=1\r\n"
                    f"To: <sip:127.0.0.1>\r\nCall-ID: {port}\r\nCSeq: 1 OPTIONS\r\n"
                    "Content-Length: 0\r\n\r\n".encode()
                )
                return probe.recv(65535).startswith(b"SIP/2.0 200")
            time.sleep(0.05)
            return False

    def stop(self) -> None:
        """End it, with its connections and bindings."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)  # all of its processes; SIGTERM takes it seconds
            self._process.wait()
            self._process = None
