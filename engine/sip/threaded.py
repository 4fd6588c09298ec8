"""pyVoIP's way to run a phone: a loop in a thread of its own, and methods for every other thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pyVoIP.VoIP  # noqa: F401  first: see message.py
from pyVoIP.VoIP import InvalidStateError, VoIPPhone

from engine.media.orders import DigitEnded, DigitReceived, Fact
from engine.media.plane import Standalone
from engine.sip.mediaplane import MediaPlane

if TYPE_CHECKING:
    from engine.sip.call import Call

T = TypeVar("T")

STOP_WAIT = 7.0
"""Longest wait for `close`, in seconds: it says its last words within two."""


class ThreadedPhone(VoIPPhone):  # type: ignore[misc]
    """What `Phone` has of pyVoIP's for callers in other threads; `open`, `close` and `dial` are its own."""

    _media: MediaPlane | None
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _own_media: Standalone | None = None

    async def open(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def dial(self, number: str, caller_id: str | None = None) -> Call:
        raise NotImplementedError

    def run(self, function: Callable[[], T]) -> T:
        """Call a function in the loop from any thread and give its result."""
        if self._loop is None or self._loop.is_closed():
            raise InvalidStateError("the phone is not started")
        try:
            if asyncio.get_running_loop() is self._loop:
                return function()
        except RuntimeError:
            pass

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def start(self) -> None:
        """Open the phone in a thread of its own, as pyVoIP does. Raises what `open` raises."""
        if self._thread is not None:
            raise RuntimeError("Attempted to start already started VoIPPhone")
        if self._media is None:
            self._own_media = Standalone(self.myIP, self.rtpPortLow, self.rtpPortHigh, self._on_fact)
            self._media = self._own_media
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="offhook phone", daemon=True)
        self._thread.start()
        self.NSD = True
        try:
            asyncio.run_coroutine_threadsafe(self.open(), loop).result(10)
        except Exception:
            self._stop_thread(loop)
            raise

    def stop(self, failed: bool = False) -> None:
        loop = self._loop
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self.close(), loop).result(STOP_WAIT)
        self._stop_thread(loop)

    def _stop_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None
        loop.close()
        self.NSD = False
        if self._own_media is not None:
            self._own_media.stop()
            self._own_media = self._media = None

    def call(self, number: str) -> Call:
        return self.run(lambda: self.dial(number))

    def call_back(self, call: Call) -> None:
        """Hand a call that rings to pyVoIP's callback, in a thread of its own as pyVoIP does."""
        if self.callCallback is not None:
            threading.Thread(
                target=self.callCallback, args=(call,), name=f"call {call.id}", daemon=True
            ).start()

    def _on_fact(self, fact: Fact) -> None:
        """In the media thread."""
        if isinstance(fact, DigitReceived | DigitEnded) and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._key, fact)
            except RuntimeError:
                pass  # the loop has closed; nobody is left to tell

    def _key(self, fact: DigitReceived | DigitEnded) -> None:
        for call in self.calls.values():
            if call.stream != fact.stream:
                continue
            if isinstance(fact, DigitEnded):
                call.presses.ended(fact.digit, fact.way, fact.at)
            else:
                call.receive_press(fact.digit, fact.way, fact.at, fact.duration_ms)

    def release_ports(self, call: Any = None) -> None:
        """pyVoIP's bookkeeping; ours go back in `forget`."""
