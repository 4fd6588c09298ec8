"""The carrier: sippy's transaction layer, with a registrar and the directory's callees on top.

Everything here runs in sippy's event loop (one a process), but for the RTP clock's thread.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import msgspec
from sippy.SipConf import SipConf
from sippy.SipHeader import SipHeader
from sippy.SipTransactionManager import SipTransactionManager
from sippy.Time.Timeout import Timeout
from sippy.Udp_server import Udp_server, Udp_server_opts

from engine.demo import directory
from engine.demo.call import Call, reason_phrase
from engine.demo.directory import Directory
from engine.demo.events import EventLog
from engine.demo.media import Clock, Stream
from engine.demo.registrar import Bindings, Guard, Verdict

_MAX_IGNORED = 1000


class CarrierError(Exception):
    """The carrier can't start; the message says why in one sentence."""


class _UdpOptions(Udp_server_opts):  # type: ignore[misc]
    """One worker keeps datagrams in order; without SO_REUSEADDR a port that is in use is an error."""

    nworkers = 1
    flags = 0


class _Transactions(SipTransactionManager):  # type: ignore[misc]
    """Sippy's transactions, deaf to calls that have vanished, and indifferent to what it can't parse."""

    model_udp_server = (Udp_server, _UdpOptions)
    carrier: Carrier | None = None

    def handleIncoming(self, data: Any, ra: Any, server: Any, rtime: Any) -> None:
        try:
            super().handleIncoming(data, ra, server, rtime)
        except Exception as error:  # hostile input must not end the carrier, whatever it breaks in there
            if self.carrier:
                self.carrier.log.write("malformed", source=str(ra), error=type(error).__name__)

    def incomingRequest(self, msg: Any, *args: Any) -> None:
        if self.carrier is None or not self.carrier.ignores(str(msg.getHFBody("call-id"))):
            super().incomingRequest(msg, *args)


class _Trace:
    """Stands in for sippy's logger: SIP messages to a file, or nowhere."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def write(self, *parts: str, **_: object) -> None:
        if self._file:
            self._file.write(f"{time.monotonic():.6f} {''.join(parts)}\n")
            self._file.flush()


class Carrier:
    """Listens at once. Raises CarrierError where it can't."""

    def __init__(
        self, host: str, port: int, numbers: Directory, log: EventLog, *, base: Path,
        record_dir: Path | None = None, trace: TextIO | None = None,
    ) -> None:
        self.host, self.log, self.directory, self.base = host, log, numbers, base
        SipConf.my_uaname = "offhook-demo-carrier"
        self.sip: dict[str, Any] = {"_sip_address": host, "_sip_port": port, "_sip_logger": _Trace(trace)}
        try:
            self._transactions = _Transactions(self.sip, self._request)
        except OSError as error:
            raise CarrierError(f"can't listen on {host}:{port}: {error.strerror}") from None
        self._transactions.carrier = self
        self.sip["_sip_tm"] = self._transactions
        server = next(iter(self._transactions.l4r.cache_l2s.values()))
        self.port = self.sip["_sip_port"] = int(server.skt.getsockname()[1])
        self._record_dir = record_dir
        self._guard = Guard(numbers.carrier, numbers.users)
        self._bindings = Bindings()
        self._calls: list[Call] = []
        self._count = 0
        self._ignored: OrderedDict[str, None] = OrderedDict()
        self._clock = Clock()
        self._clock.start()

    # --- requests outside of dialogs --------------------------------------------------------------

    def _request(self, request: Any, transaction: Any) -> Any:
        calls = list(self._calls)
        try:
            return self._dispatch(request, transaction)
        except Exception as error:  # sippy parses headers when they are read, and raises what it likes
            self._calls = calls
            self.log.write("malformed", source=str(request.getSource()), error=type(error).__name__)
            return _reply(request, 400, "Bad Request")

    def _dispatch(self, request: Any, transaction: Any) -> Any:
        method = request.getMethod()
        if request.getHFBody("to").getTag() is not None:
            return _reply(request, 481, "Call/Transaction Does Not Exist")
        if method == "REGISTER":
            return self._register(request)
        if method == "INVITE":
            return self._invite(request, transaction)
        if method == "OPTIONS":
            return _reply(request, 200, "OK")
        return _reply(request, 501, "Not Implemented")

    def _authorize(self, request: Any, proxy: bool) -> tuple[Any, str]:
        """A response that refuses the request (None: it is good), and the user."""
        header = "proxy-authorization" if proxy else "authorization"
        try:
            verdict, user = self._guard.check(request, header)
        except (ValueError, IndexError, KeyError, TypeError, AttributeError):
            return _reply(request, 400, "Bad Credentials Header"), ""
        if verdict is Verdict.GOOD:
            return None, user
        self.log.write("forbidden" if verdict is Verdict.WRONG else "challenged",
                       method=request.getMethod(), user=user, why=verdict.value)
        if verdict is Verdict.WRONG:
            return _reply(request, 403, "Forbidden"), user
        code, phrase = (407, "Proxy Authentication Required") if proxy else (401, "Unauthorized")
        return _reply(request, code, phrase, self._guard.challenges(verdict is Verdict.STALE, proxy)), user

    def _register(self, request: Any) -> Any:
        refused, user = self._authorize(request, proxy=False)
        if refused:
            return refused
        if request.getHFBody("to").getUrl().username != user:
            return _reply(request, 403, "Forbidden")
        settings = self.directory.carrier
        asked = settings.max_expires
        if request.countHFs("expires"):
            asked = request.getHFBody("expires").getNum()
        for contact in request.getHFBodys("contact"):
            if contact.asterisk:
                self._bindings.clear(user)
                continue
            own = contact.address.getParam("expires")
            seconds = int(own) if own and own.isdigit() else asked
            if 0 < seconds < settings.min_expires:
                shortest = SipHeader(f"Min-Expires: {settings.min_expires}")
                return _reply(request, 423, "Interval Too Brief", [shortest])
            if not self._bindings.set(user, contact.getUrl().getCopy(), min(seconds, settings.max_expires)):
                return _reply(request, 403, "Too Many Bindings")
        bindings = self._bindings.of(user)
        now = time.monotonic()
        if request.countHFs("contact"):
            self.log.write("registered" if bindings else "deregistered", user=user,
                           contacts=[str(b.url) for b in bindings],
                           expires=max((round(b.expires_at - now) for b in bindings), default=0))
        return _reply(request, 200, "OK", [
            SipHeader(f"Contact: <{b.url}>;expires={round(b.expires_at - now)}") for b in bindings
        ])

    def _invite(self, request: Any, transaction: Any) -> Any:
        if self.directory.carrier.challenge_invites:
            refused, _ = self._authorize(request, proxy=True)
            if refused:
                return refused
        if not request.countHFs("contact"):
            return _reply(request, 400, "Contact Header Missing")
        number = request.getRURI().username or ""
        callee = self.directory.find(number)
        if callee is None:
            self.log.write("unknown_number", number=number)
            return _reply(request, 404, reason_phrase(404))
        call = Call(self, number, callee)
        self._calls.append(call)
        return call.take(request, transaction)

    # --- for calls --------------------------------------------------------------------------------

    def refusal(self, call: Call) -> int:
        """A final response that the call must get before anything else, 0 for none."""
        if len(self._calls) > self.directory.carrier.max_calls:
            return 503
        if call.callee.one_call and any(c.number == call.number and c is not call for c in self._calls):
            return 486
        return 0

    def new_stream(self, tags: dict[str, str]) -> Stream:
        stream = Stream(self.host, self.log, tags, self._record_dir is not None)
        self._clock.add(stream)
        return stream

    def forget(self, call: Call, stream: Stream | None, linger: float) -> None:
        """The call has ended: close its stream, save its recording, call back if it must."""
        if call in self._calls:
            self._calls.remove(call)
        if stream:
            self._count += 1
            if self._record_dir is not None:
                name = re.sub("[^0-9A-Za-z+]", "_", call.number)
                stream.save(self._record_dir, f"{self._count:03d}-{name}")
            if linger:
                Timeout(self._clock.remove, linger, 1, stream)
            else:
                self._clock.remove(stream)
        if call.callee.calls_back_after is not None and call.caller:
            Timeout(self.guard, call.callee.calls_back_after, 1, self.call, call.number, call.caller)

    def ignore(self, call_id: str) -> None:
        """Never answer a request of this call again."""
        self._ignored[call_id] = None
        while len(self._ignored) > _MAX_IGNORED:
            self._ignored.popitem(last=False)

    def ignores(self, call_id: str) -> bool:
        return call_id in self._ignored

    def guard(self, action: Callable[..., None], *args: object) -> None:
        """Run it; an error in the carrier itself is an event, not the end."""
        try:
            action(*args)
        except Exception as error:
            self.log.write("internal_error", error=repr(error), where=getattr(action, "__name__", ""))

    # --- orders -----------------------------------------------------------------------------------

    def call(self, number: str, user: str) -> None:
        """Call a registered user from a number of the directory (one that isn't there just talks)."""
        bindings = self._bindings.of(user)
        if not bindings:
            self.log.write("not_registered", user=user, number=number)
            return
        # A number that calls back must not do it for ever.
        callee = msgspec.structs.replace(
            self.directory.find(number) or directory.Callee(), calls_back_after=None
        )
        call = Call(self, number, callee)
        self._calls.append(call)
        call.place(bindings[-1].url, user)

    def hang_up(self, number: str) -> None:
        """Hang up every call of a number ("": all)."""
        for call in [c for c in self._calls if not number or c.number == number]:
            call.hang_up()

    def close(self) -> bool:
        """Hang up and save everything. True where messages have yet to leave: run the loop a little."""
        leaving = bool(self._calls)
        self.hang_up("")
        self._clock.stop()
        return leaving


def _reply(request: Any, code: int, reason: str, headers: list[Any] | None = None) -> Any:
    """What sippy's transaction layer wants from a handler: response, cancel and no-ACK callbacks."""
    response = request.genResponse(code, reason, server=SipConf.my_uaname)
    response.appendHeaders(headers or [])
    return response, None, None
