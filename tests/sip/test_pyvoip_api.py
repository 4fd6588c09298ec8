"""Programs written for pyVoIP, on our classes, against a trunk that runs on another SIP stack."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVoIP.VoIP import CallState, InvalidStateError, PhoneStatus
from pyVoIP.VoIP import VoIPCall as StockCall
from pyVoIP.VoIP import VoIPPhone as StockPhone

from engine.demo.process import CarrierProcess
from engine.sip.phone import Phone as VoIPPhone

DIRECTORY = """
[[users]]
name = "1001"
password = "demo pass"

[numbers.5550001]
note = "answers and echoes"
answer_after = 0.1
says = "echo"

[numbers.5550002]
note = "answers, presses keys, hangs up"
answer_after = 0.1
digits = "12#"
digits_after = 0.3
hangup_after = 3.0

[numbers.5550003]
refuse = 486
"""
PATIENCE = 20.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """pyVoIP's own programs poll; so do these."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {PATIENCE:g} s")


@pytest.fixture(scope="module")
def carrier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CarrierProcess]:
    path = tmp_path_factory.mktemp("carrier") / "directory.toml"
    path.write_text(DIRECTORY, "utf-8")
    with CarrierProcess(directory=path) as made:
        yield made


class Phones:
    def __init__(self, carrier: CarrierProcess) -> None:
        host, _, port = carrier.sip.rpartition(":")
        self.carrier = carrier
        self._server = (host, int(port))
        self._made: list[VoIPPhone] = []

    def start(self, callback: Callable[[Any], None] | None = None, password: str = "demo pass") -> VoIPPhone:
        phone = VoIPPhone(
            *self._server, "1001", password,
            callCallback=callback, myIP="127.0.0.1", sipPort=0, rtpPortLow=43000, rtpPortHigh=43099,
        )  # fmt: skip
        self._made.append(phone)
        phone.start()
        return phone

    def registered(self, callback: Callable[[Any], None] | None = None) -> VoIPPhone:
        phone = self.start(callback)
        until(lambda: phone.get_status() is PhoneStatus.REGISTERED, "the registration")
        return phone

    def stop(self) -> None:
        for phone in self._made:
            phone.stop()


@pytest.fixture
def phones(carrier: CarrierProcess) -> Iterator[Phones]:
    before = set(threading.enumerate())
    made = Phones(carrier)
    yield made
    made.stop()
    until(lambda: set(threading.enumerate()) <= before, "the end of every thread")


def test_the_example_of_pyvoips_readme(phones: Phones) -> None:
    seen: list[Any] = []

    def answer(call: Any) -> None:
        seen.append(call.state)
        try:
            call.answer()
            call.hangup()
        except InvalidStateError as error:
            seen.append(error)
        seen.append(call)

    phones.registered(answer)
    phones.carrier.order("call", **{"from": "5550199", "to": "1001"})
    until(lambda: len(seen) == 2, "the call")
    assert seen[0] is CallState.RINGING
    assert isinstance(seen[1], StockCall)
    assert seen[1].state is CallState.ENDED
    assert seen[1].request.headers["From"]["number"] == "5550199"
    phones.carrier.wait("bye", by="phone")


def test_a_callback_that_comes_too_late_gets_pyvoips_error(phones: Phones) -> None:
    caught: list[Exception] = []
    cancelled = threading.Event()

    def answer(call: Any) -> None:
        cancelled.wait(PATIENCE)
        for action in (call.answer, call.deny, call.hangup):
            try:
                action()
            except InvalidStateError as error:
                caught.append(error)

    phone = phones.registered(answer)
    phones.carrier.order("call", **{"from": "5550199", "to": "1001"})
    call = until(lambda: next(iter(phone.calls.values()), None), "the call")
    phones.carrier.order("hangup", number="5550199")
    until(lambda: call.state is CallState.ENDED, "its cancellation")
    cancelled.set()
    until(lambda: len(caught) == 3, "three errors")


def test_a_call_can_be_denied(phones: Phones) -> None:
    denied: list[Any] = []

    def deny(call: Any) -> None:
        call.deny()
        denied.append(call)

    phones.registered(deny)
    phones.carrier.order("call", **{"from": "5550199", "to": "1001"})
    until(lambda: denied, "the call")
    assert denied[0].state is CallState.ENDED
    phones.carrier.wait("refused", by="phone", code=486)


def test_dial_talk_and_hang_up(phones: Phones) -> None:
    phone = phones.registered()
    assert isinstance(phone, StockPhone)
    call = phone.call("5550001")
    until(lambda: call.state is CallState.ANSWERED, "the answer")
    loud = bytes([0x20, 0xE0] * 4000)  # half a second of a square wave, 8-bit unsigned
    call.write_audio(loud)
    limit = time.monotonic() + PATIENCE
    while max(abs(octet - 128) for octet in call.read_audio()) < 20 and time.monotonic() < limit:
        pass
    assert time.monotonic() < limit, "what was written never came back"
    assert len(call.read_audio(80, blocking=False)) == 80
    call.hangup()
    assert call.state is CallState.ENDED
    assert phone.calls == {}


def test_digits_and_the_far_ends_hangup(phones: Phones) -> None:
    phone = phones.registered()
    call = phone.call("5550002")
    digits = ""

    def pressed() -> bool:
        nonlocal digits
        digits += call.get_dtmf()
        return len(digits) == 3

    until(pressed, "three digits")
    assert digits == "12#"
    assert call.get_dtmf() == ""
    until(lambda: call.state is CallState.ENDED, "the far end's BYE")


def test_a_busy_number_ends_the_call(phones: Phones) -> None:
    phone = phones.registered()
    call = phone.call("5550003")
    until(lambda: call.state is CallState.ENDED, "the refusal")
    assert call.sip_code == 486
    assert phone.calls == {}


def test_a_wrong_password_is_a_failed_status(phones: Phones) -> None:
    phone = phones.start(password="wrong")
    until(lambda: phone.get_status() is PhoneStatus.FAILED, "the refusal")


def test_a_phone_can_be_stopped_and_started_again(phones: Phones) -> None:
    phone = phones.registered()
    with pytest.raises(RuntimeError, match="already started"):
        phone.start()
    phone.stop()
    phone.stop()
    assert phone.get_status() is PhoneStatus.INACTIVE
    with pytest.raises(InvalidStateError):
        phone.call("5550001")
    phone.start()
    until(lambda: phone.get_status() is PhoneStatus.REGISTERED, "another registration")


def test_a_taken_sip_port_is_an_error_and_leaves_no_thread(phones: Phones, tmp_path: Path) -> None:
    first = phones.registered()
    second = VoIPPhone(
        "127.0.0.1", 5060, "1001", "x", myIP="127.0.0.1", sipPort=first.listening[1],
        rtpPortLow=43000, rtpPortHigh=43099,
    )  # fmt: skip
    with pytest.raises(OSError, match="in use"):
        second.start()
