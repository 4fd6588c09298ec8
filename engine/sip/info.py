"""DTMF by INFO, both ways: application/dtmf-relay and application/dtmf (RFC 6086's legacy use, as gateways
and PBXs have it)."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.legs import LegState
from engine.sip.message import Message
from engine.sip.transaction import ServerTransaction, TimerHandle
from engine.sip.uri import number

if TYPE_CHECKING:
    from engine.sip.call import Call

log = logging.getLogger(__name__)

ACCEPTED = "application/dtmf-relay, application/dtmf"
DURATION_MS, GAP_MS = 160, 80
"""Of each digit that we send."""
MAX_QUEUED = 256
"""Digits that wait to be sent; more are dropped."""
MAX_DURATION_MS = 8000
"""Longest key press that is believed."""

_NUMBERED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""The event codes of RFC 4733; 16 is the hook flash, which is no digit."""
_SIGNAL = re.compile(r"^[ \t]*signal[ \t]*=[ \t]*([0-9A-D*#]{1,2}|flash)[ \t]*$", re.I | re.M)
_DURATION = re.compile(r"^[ \t]*duration[ \t]*=[ \t]*([0-9]{1,6})[ \t]*$", re.I | re.M)


def key_press(request: Message) -> tuple[str, int] | None:
    """The digit of an INFO ("" for a hook flash) and how long it was pressed, in ms.

    None where its body is no key press.
    """
    text = request.content[:512].decode("utf-8", "replace").replace("\r", "\n")
    if match := _SIGNAL.search(text):
        signal = match[1].upper()
    elif re.fullmatch(r"\s*(1[0-6]|[0-9A-Da-d*#])\s*", text):
        signal = text.strip().upper()
    else:
        return None
    if signal in ("16", "FLASH"):
        digit = ""
    elif len(signal) == 1:
        digit = signal
    elif signal in _NUMBERED:
        digit = _NUMBERED[signal]
    else:
        return None
    duration = _DURATION.search(text)
    return digit, min((number(duration[1]) if duration else None) or DURATION_MS, MAX_DURATION_MS)


class InfoDigits:
    """The INFO requests of one call."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._queue: deque[str] = deque()
        self._pause: TimerHandle | None = None
        self._asking = False
        self._instead: Callable[[str], None] | None = None
        self.refused = False
        """The far end takes no key presses by INFO."""
        self.read_there = False
        """The far end shows that it takes them: it names their bodies in Accept, or sent one."""

    def note_accept(self, message: Message) -> None:
        """Take note of the bodies that the far end accepts (RFC 3261, 20.1)."""
        kinds = {kind.partition(";")[0].strip().lower() for kind in message.all("Accept")}
        self.read_there = self.read_there or not kinds.isdisjoint(ACCEPTED.split(", "))

    def receive(self, request: Message, transaction: ServerTransaction) -> None:
        call = self._call
        kind = (request.get("Content-Type") or "").partition(";")[0].strip().lower()
        if not request.content:
            call.respond(transaction, 200)  # some ask only whether the call is still there
        elif kind not in ACCEPTED.split(", "):
            call.respond(transaction, 415, extra=[("Accept", ACCEPTED)])
        elif (pressed := key_press(request)) is None:
            call.respond(transaction, 400)
        else:
            call.respond(transaction, 200)
            self.read_there = True
            if pressed[0]:
                call.phone.on_digit(call, *pressed)

    def send(self, digits: str, instead: Callable[[str], None] | None = None) -> None:
        """Queue digits: one INFO at a time, as far apart as key presses are. `instead` gets those that the
        far end does not take.
        """
        self._instead = instead
        self._queue.extend(digits.upper()[: MAX_QUEUED - len(self._queue)])
        self._next()

    def _next(self) -> None:
        call = self._call
        if self._asking or self._pause is not None or not self._queue or call.dialog is None:
            return
        digit = self._queue.popleft()
        body = f"Signal={digit}\r\nDuration={DURATION_MS}\r\n".encode()
        self._asking = True
        self._pause = call.agent.clock.call_later((DURATION_MS + GAP_MS) / 1000, self._paused)

        def receive(response: Message) -> None:
            if response.code < 200:
                return
            self._asking = False
            if response.code < 300:
                call.phone.on_digit_sent(call, digit)
                self._next()
            else:
                failed(f"{response.code} {response.reason}".strip())

        def failed(why: str) -> None:
            self._asking = False
            left, self.refused = digit + "".join(self._queue), True
            self._queue.clear()
            if call.progress is LegState.ENDED:
                return
            if self._instead is not None:
                self._instead(left)
            else:
                log.warning("the far end of %s takes no digits by INFO (%s)", call.number[:64], why[:80])

        call.agent.ask(
            call.dialog, "INFO", [("Content-Type", "application/dtmf-relay")], body,
            on_response=receive, on_timeout=lambda: failed("no answer"),
        )  # fmt: skip

    def _paused(self) -> None:
        self._pause = None
        self._next()

    def ended(self) -> None:
        self._queue.clear()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

