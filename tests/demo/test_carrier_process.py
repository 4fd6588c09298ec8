"""The carrier as a process: how it starts, ends and takes bad input."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from rawphone import Audio, Phone

from engine.demo.process import CarrierFailed, CarrierProcess

COMMAND = [sys.executable, "-m", "engine.demo"]


def test_it_ends_when_its_parent_closes_stdin():
    carrier = CarrierProcess()
    assert carrier.close() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(carrier.pid, 0)


def test_it_dies_with_its_parent():
    parent = subprocess.Popen(
        [sys.executable, "-c",
         "from engine.demo.process import CarrierProcess; import sys, time\n"
         "c = CarrierProcess(); print(c.pid, c.sip, flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE, text=True,
    )
    assert parent.stdout is not None
    _, address = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    # The pipe that the carrier inherited closes when the carrier has gone too.
    parent.stdout.close()
    host, port = address.split(":")
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, int(port)))
                break
            except OSError:
                probe.settimeout(0.1)
                try:
                    probe.recv(1)
                except TimeoutError:
                    pass
    else:
        pytest.fail("the carrier still listens")


def test_sigterm_hangs_up_saves_and_ends_it(line):
    carrier, phone = line("answer_after = 0", record=True)
    phone.dial("5550001").until(200)
    os.kill(carrier.pid, signal.SIGTERM)
    assert phone.receive().start.startswith("BYE ")
    carrier.wait("recording")
    carrier.wait("stopped")


def test_a_port_in_use_is_one_clear_sentence():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(CarrierFailed) as caught:
            CarrierProcess(listen=address)
    assert str(caught.value) == f"demo carrier: can't listen on {address}: Address already in use"


def test_only_loopback_addresses_are_listened_on():
    for address in ("0.0.0.0:0", "192.0.2.1:5060", "127.0.0.1", "127.0.0.1:99999", "host:1"):
        command = [*COMMAND, "--listen", address]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1
        assert "a loopback IPv4 address and a port" in result.stderr


def test_a_mistake_in_the_directory_is_one_clear_sentence(tmp_path):
    path = tmp_path / "directory.toml"
    path.write_text('[numbers.1]\nansver_after = 1\n', "utf-8")
    with pytest.raises(CarrierFailed, match=r"ansver_after.*numbers"):
        CarrierProcess(directory=path)


def test_hostile_datagrams_do_not_end_it(line):
    carrier, phone = line("answer_after = 0")
    headers = b"Via: nonsense\r\nFrom: <\r\nTo: >\r\nCSeq: x\r\nCall-ID: 1\r\n\r\n"
    for junk in (b"\xff" * 100, b"\r\n\r\n", b"INVITE", b"INVITE sip:x SIP/2.0\r\n\r\n" + b"x" * 6000,
                 b"REGISTER sip:x SIP/2.0\r\n" + headers, b"SIP/2.0 200 OK\r\n" + headers):
        phone.send(junk)
    assert Phone(carrier.sip).register().code == 200


def test_nonsense_from_a_user_with_good_credentials_gets_400_and_holds_no_line(line):
    carrier, phone = line("answer_after = 0", settings="max_calls = 1")
    uri = phone.uri.replace("sip:", "sip:5550001@")
    challenge = phone.ask("INVITE", uri, body=Audio().offer())
    for count, contact in enumerate(("<nonsense", "sip:", "*"), start=1):
        good = phone.credentials(challenge, "INVITE", uri, count=count)
        assert phone.ask("INVITE", uri, extra=good, contact=contact, body=Audio().offer()).code == 400
    assert phone.register("Expires: soon\r\n").code == 400
    assert phone.register(contact="<nonsense").code == 400
    phone.dial("5550001").until(200)
    assert len([e for e in carrier.events if e["event"] == "malformed"]) == 5


def test_bad_orders_are_told_and_change_nothing(line):
    carrier, phone = line("answer_after = 0")
    for order in ("nonsense", "call"):
        carrier.order(order)
    carrier.wait("bad_order", error="nonsense")
    carrier.wait("bad_order", error="'from'")
    assert phone.register().code == 200


def test_its_stdout_is_for_events_alone_and_its_stderr_stays_empty(line):
    # CarrierProcess reads stdout as JSON lines and would fail on anything else.
    carrier, phone = line("answer_after = 0")
    headers = "Via: SIP/2.0/UDP a;branch=b\r\nCSeq: 1 BYE\r\nFrom: a\r\nTo: b\r\nCall-ID: c\r\n\r\n"
    phone.send(f"SIP/2.0 99999 x\r\n{headers}")  # sippy prints this one
    phone.register()
    assert carrier.wait("registered")["user"] == "1001"
    carrier._errors.seek(0)
    assert carrier._errors.read() == ""


def test_events_and_sip_messages_go_to_files_when_asked(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "--with-parent", "--log", str(tmp_path / "log"), "--trace", str(tmp_path / "trace")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert Phone(ready["sip"]).register().code == 200
    out, err = process.communicate('{"cmd": "quit"}\n', timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
    told = [json.loads(line)["event"] for line in (tmp_path / "log").read_text("utf-8").splitlines()]
    assert told == ["challenged", "registered", "stopped"]
    assert (tmp_path / "trace").read_text("utf-8").count("REGISTER sip:") == 2
