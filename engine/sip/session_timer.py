"""Session timers (RFC 4028): a call whose far end has vanished ends by itself.

Who refreshes does so at half the interval; a call that nobody has refreshed is ended min(32 s, a
third of the interval) before it would run out (section 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.legs import LegState
from engine.sip.message import Message
from engine.sip.transaction import TimerHandle
from engine.sip.uri import number, parse_params

if TYPE_CHECKING:
    from engine.sip.call import Call

MIN_SE = 90
"""Seconds; the shortest session interval that we agree to as callee (section 5)."""

MAX_RAISES = 3
"""Times that an interval is raised because the far end finds it too small (422)."""


class SessionTimer:
    """The session timer of one call; off where the configuration has no interval."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._wanted = call.agent.account.session_expires
        self._min_se = MIN_SE
        self._raises = 0
        self._without: set[str] = set()
        self._refresh: TimerHandle | None = None
        self._expiry: TimerHandle | None = None
        self.interval = 0
        """Seconds that the session lasts without a refresh; 0 while no timer runs."""
        self.we_refresh = False

    # --- requests of ours ------------------------------------------------------------------------

    def offer(self) -> list[tuple[str, str]]:
        """What our INVITE, re-INVITE or UPDATE says of it: roles stay as they are (section 7.4)."""
        extensions = [tag for tag in self._call.agent.account.extensions if tag not in self._without]
        fields = [("Supported", ", ".join(extensions))] if extensions else []
        if not self._wanted:
            return fields
        expires = str(max(self.interval or self._wanted, self._min_se))
        if self.interval:
            expires += f";refresher={'uac' if self.we_refresh else 'uas'}"
        fields.append(("Session-Expires", expires))
        if self._min_se > MIN_SE:
            fields.append(("Min-SE", str(self._min_se)))
        return fields

    def raised_by(self, response: Message) -> bool:
        """Whether a 422 names an interval that the request can be repeated with (section 7.3)."""
        minimum = number(response.get("Min-SE")) if response.code == 422 else None
        if minimum is None or minimum <= self._min_se or self._raises >= MAX_RAISES or not self._wanted:
            return False
        self._raises += 1
        self._min_se = minimum
        return True

    def refused_by(self, response: Message) -> bool:
        """Whether a 420 names extensions that the request can be repeated without (RFC 3261, 8.1.3.5)."""
        account = self._call.agent.account
        named = {tag.lower() for tag in response.all("Unsupported")} if response.code == 420 else set()
        named = {tag for tag in named if tag in account.extensions} - self._without
        if not named or ("100rel" in named and account.reliable == "required"):
            return False
        self._without |= named
        if "timer" in named:
            self._wanted = 0
        return True

    def on_response(self, response: Message) -> None:
        """A 2xx to a request of ours: without Session-Expires there is no timer (section 7.2)."""
        interval, refresher = _session_expires(response)
        if self._wanted and interval:
            self._run(interval, refresher != "uas")
        else:
            self.stop()

    # --- requests of the far end -----------------------------------------------------------------

    def on_request(self, request: Message) -> list[tuple[str, str]]:
        """What our 2xx to an INVITE, re-INVITE or UPDATE says of it, by the table of section 9."""
        interval, refresher = _session_expires(request)
        supports = _supports_timer(request)
        if not self._wanted or not (interval or supports):
            self.stop()
            return []
        if not interval:
            interval = max(self._wanted, number(request.get("Min-SE")) or MIN_SE)
        if not supports:
            refresher = "uas"
        elif refresher not in ("uac", "uas"):
            refresher = "uas" if self.interval and self.we_refresh else "uac"
        self._run(interval, refresher == "uas")
        fields = [("Session-Expires", f"{interval};refresher={refresher}")]
        return [("Require", "timer"), *fields] if refresher == "uac" else fields

    # --- time ------------------------------------------------------------------------------------

    def _run(self, interval: int, we_refresh: bool) -> None:
        self.stop()
        self.interval, self.we_refresh = interval, we_refresh
        clock = self._call.agent.clock
        if we_refresh:
            self._refresh = clock.call_later(max(1.0, interval / 2), self._refresh_now)
        self._expiry = clock.call_later(max(1.0, interval - min(32.0, interval / 3)), self._expire)

    def _refresh_now(self) -> None:
        # comes round again unless the answer to the refresh starts the timer anew
        self._refresh = self._call.agent.clock.call_later(max(1.0, self.interval / 8), self._refresh_now)
        if self._call.progress is LegState.ANSWERED:
            self._call.midcall.changes.refresh()

    def _expire(self) -> None:
        self.stop()
        self._call.hangup_leg("timeout", "the session was not refreshed in time")

    def stop(self) -> None:
        for timer in (self._refresh, self._expiry):
            if timer is not None:
                timer.cancel()
        self._refresh = self._expiry = None
        self.interval = 0


def too_small(request: Message, running: int = 0) -> bool:
    """Whether a request is refused 422: its interval is below our Min-SE (section 9), and below the one that
    is `running`, for what the far end has granted us it may keep."""
    interval, _ = _session_expires(request)
    return 0 < interval < min(MIN_SE, running or MIN_SE) and _supports_timer(request)


def _session_expires(message: Message) -> tuple[int, str]:
    """Seconds and refresher of Session-Expires; 0 and empty where they are absent or no numbers."""
    text, _, params = (message.get("Session-Expires") or "").partition(";")
    refresher = next((v or "" for k, v in parse_params(params) if k.lower() == "refresher"), "")
    return number(text, 2**31) or 0, refresher.lower()


def _supports_timer(request: Message) -> bool:
    return request.names("Supported", "timer") or request.names("Require", "timer")
