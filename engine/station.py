"""Phones that work: media thread, RTP ports, the trunks and the line over them, put together.

The engine, `offhook call`, `offhook register` and `offhook check` all stand on one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path

from engine.config import (
    FIRST_TRUNK,
    Config,
    SetupError,
    Trunk,
    port_range,
    split_host_port,
    split_proxy,
    trunk_path,
    warnings_of,
)
from engine.known import Known
from engine.line import TrunkLine
from engine.media import orders
from engine.media.coders import preload
from engine.media.engine import MediaEngine
from engine.media.plane import MediaPlane
from engine.media.playout import Bounds
from engine.sip.account import Account
from engine.sip.hop import Target, Transport
from engine.sip.journal import Journal
from engine.sip.phone import Phone
from engine.sip.resolver import ResolveError
from engine.sip.tls import TlsError, TlsTerms
from engine.sip.trace import Trace

log = logging.getLogger(__name__)


def account_of(config: Config, name: str = FIRST_TRUNK) -> Account:
    """The SIP account of one of the configuration's trunks."""
    trunk = config.all_trunks[name]
    host, port = split_host_port(trunk.server, 0)
    return Account(
        host=host,
        port=port,
        username=trunk.username,
        password=trunk.password,
        auth_username=trunk.auth_username,
        from_user=trunk.from_user,
        display_name=trunk.display_name,
        domain=trunk.domain,
        proxy=_proxy(trunk),
        transport=_transport(trunk),
        tls=TlsTerms(trunk.tls_ca, trunk.tls_verify, trunk.tls_server_name),
        register=trunk.register,
        expires=trunk.expires,
        caller_ids=tuple(trunk.caller_ids),
        caller_id=trunk.caller_id,
        codecs=tuple(config.rtp.codecs),
        event_payload_type=config.rtp.event_payload_type,
        digest=trunk.digest,
        user_phone=trunk.user_phone,
        identity=trunk.identity,
        srtp=trunk.srtp,
        rtcp_mux=config.rtp.rtcp and config.rtp.rtcp_mux == "offer",
        comfort_noise=config.rtp.comfort_noise,
        dtmf=trunk.dtmf,
        keepalive=config.sip.keepalive,
        keepalive_method=config.sip.keepalive_method,
        inbound=config.sip.inbound,
        reliable=config.sip.reliable,
        session_expires=config.sip.session_expires,
        accept_transfer=config.sip.accept_transfer,
        ring_timeout=config.operator.ring_timeout,
        redirects=config.sip.redirects,
    )


def _proxy(trunk: Trunk) -> Target | None:
    """The outbound proxy; the trunk's transport leads there, unless the proxy's URI names another."""
    if not trunk.proxy:
        return None
    host, port, transport = split_proxy(trunk.proxy, 0)
    return Target(host, port, transport or _transport(trunk))


def _transport(trunk: Trunk) -> Transport | None:
    return None if trunk.transport == "auto" else trunk.transport


OPEN_AGAIN = 30.0
"""Seconds after which a trunk whose name led nowhere is opened again."""


class _NoAddress(SetupError):
    """A trunk's name leads nowhere at the moment."""


class Station:
    """Set `on_fact(fact)` and `on_registration(phone)` before `open`; both are called in the loop.

    `phones` holds a phone for each trunk by its name, `phone` is the first.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.on_fact: Callable[[orders.Fact], None] = lambda fact: None
        self.on_registration: Callable[[Phone], None] = lambda phone: None
        self.sound = orders.SoundChanged(0.0, "none", "none", "")
        self.journal = Journal()
        self._loop = asyncio.get_running_loop()
        self._facts: deque[orders.Fact] = deque()
        rtp = config.rtp
        depth = Bounds(rtp.jitter_min_ms, rtp.jitter_ms, rtp.jitter_max_ms)
        latch = orders.Latch(rtp.latch, rtp.relatch_after)
        self.media = MediaEngine(self._fact, depth=depth, latch=latch)
        preload(config.rtp.codecs)
        host, port = split_host_port(config.sip.listen)
        low, high = port_range(config.rtp.ports)
        self.plane = MediaPlane(
            self.media, host, low, high, send_first=rtp.send_first, rtcp=rtp.rtcp, inband=rtp.inband_dtmf
        )
        self.trace = self._trace(config.sip.trace_file) if config.sip.trace_file else None
        self.phones = {name: self._phone(name, host, port) for name in config.all_trunks}
        self.phone = self.phones[FIRST_TRUNK]
        self.line = TrunkLine(self.phones, self.media, config)
        self.line.tell = self._tell
        self._closing = False
        self.known = Known(config, self.media)
        self._opening: set[asyncio.Task[None]] = set()

    def _phone(self, name: str, host: str, port: int) -> Phone:
        account = account_of(self.config, name)
        own = self.config.all_trunks[name].listen
        if own:
            host, port = split_host_port(own)
        elif name != FIRST_TRUNK:
            port = 0
        low, high = port_range(self.config.rtp.ports)
        phone = Phone(
            account.host,
            account.port,
            account.username,
            account.password,
            host,
            None,
            port,
            low,
            high,
            account=account,
            media=self.plane,
            trace=self.trace,
            name=name,
            journal=self.journal,
        )
        phone.on_registration = lambda: self._registration_changed(phone)
        return phone

    @staticmethod
    def _trace(path: str) -> Trace:
        try:
            return Trace(Path(path).expanduser())
        except OSError as error:
            raise SetupError(f"sip.trace_file: {path} can't be written ({error.strerror})") from None

    async def open(self, *, sound: bool = True) -> None:
        """Start the media thread, open the sound card and the trunks. Raises SetupError.

        Of several trunks one that has no address now is tried again every OPEN_AGAIN seconds.
        """
        for warning in warnings_of(self.config):
            log.warning("%s", warning)
        self.media.start()
        self.media.neighbours.join()
        self.known.begin()
        audio = self.config.audio
        if sound and (audio.input != "none" or audio.output != "none"):
            self.media.order(
                orders.OpenSound(
                    audio.input, audio.output, audio.ring_output,
                    audio.echo_cancel, audio.noise_suppression, audio.auto_gain,
                )
            )  # fmt: skip
        opened = await asyncio.gather(*map(self._open, self.phones.values()), return_exceptions=True)
        failed = [problem for problem in opened if problem is not None]
        fatal = [problem for problem in failed if not isinstance(problem, _NoAddress)]
        if fatal or len(failed) == len(self.phones):
            await self.close()
            raise (fatal or failed)[0]
        self.line.registration_changed()

    async def _open(self, phone: Phone) -> None:
        """Open one trunk; where its name leads nowhere, try again later. Raises SetupError."""
        path = trunk_path(phone.name)
        try:
            await phone.open()
            phone.trouble = ""
        except TlsError as error:
            raise SetupError(f"{path}.tls_ca: {error}") from None
        except ResolveError as error:
            phone.trouble = str(error)
            self._loop.call_later(OPEN_AGAIN, self._open_again, phone)
            raise _NoAddress(f"{path}.server: {error}") from None
        except OSError as error:
            own = self.config.all_trunks[phone.name].listen
            key, listen = (f"{path}.listen", own) if own else ("sip.listen", self.config.sip.listen)
            why = error.strerror or str(error)
            mend = (
                "it is no address of this machine: 0.0.0.0 takes any"
                if error.errno == errno.EADDRNOTAVAIL
                else "another program may hold the port: choose another, or port 0 for a free one"
            )
            raise SetupError(f"{key}: {listen} can't be used ({why}); {mend}") from None

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _open_again(self, phone: Phone) -> None:
        if not self._closing:
            self._later(self._try_again(phone))

    async def _try_again(self, phone: Phone) -> None:
        try:
            await self._open(phone)
        except SetupError as error:
            phone.trouble = str(error)
        self._registration_changed(phone)

    async def close(self) -> None:
        """Leave every trunk at the same time, two seconds at most."""
        self._closing = True
        for task in self._opening:
            task.cancel()
        await self.known.close()
        await asyncio.gather(*(phone.close() for phone in self.phones.values()))
        if self.trace is not None:
            self.trace.close()
        self.media.stop()

    def _fact(self, fact: orders.Fact) -> None:
        """In the media thread: hand over in batches, one wake-up of the loop each."""
        self._facts.append(fact)
        if len(self._facts) == 1:
            try:
                self._loop.call_soon_threadsafe(self._drain)
            except RuntimeError:
                pass  # the loop has closed; nobody is left to tell

    def _drain(self) -> None:
        for _ in range(len(self._facts)):
            fact = self._facts.popleft()
            if isinstance(fact, orders.SoundChanged):
                self.sound = fact
            if isinstance(fact, orders.DigitEnded):
                self.line.digit_ended(fact)
            if not isinstance(fact, orders.DigitReceived) or self.line.is_new_digit(fact):
                self._tell(fact)
        if self._facts:
            self._loop.call_soon(self._drain)

    def _tell(self, fact: orders.Fact) -> None:
        try:
            self.line.on_fact(fact)
            self.on_fact(fact)
        except Exception:  # facts that stayed behind would never be fetched
            log.exception("a fact of the media thread could not be handled")

    def _registration_changed(self, phone: Phone) -> None:
        self.line.registration_changed()
        self.on_registration(phone)
