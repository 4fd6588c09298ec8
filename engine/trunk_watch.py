"""What happens to the trunks, in words for the log: registration lost and regained, silence and its end."""

from __future__ import annotations

from collections.abc import Callable

from engine import wire
from engine.sip.phone import Phone

_TROUBLE = ("failed", "lost")


class TrunkWatch:
    """`tell(level, text)` gets a line for each event, and none for a trouble that merely goes on."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._last: dict[str, tuple[str, str, bool]] = {}
        self._since: dict[str, float] = {}

    def changed(self, phone: Phone) -> None:
        seen = wire.trunk(phone)
        now = (seen.state, seen.detail, seen.reachable)
        before = self._last.get(phone.name, ("registering", "", True))
        self._last[phone.name] = now
        if now == before:
            return
        clock = phone.agent.clock.time() if phone.agent is not None else 0.0
        troubled = seen.state in _TROUBLE or not seen.reachable
        since = self._since.setdefault(phone.name, clock) if troubled else self._since.pop(phone.name, None)
        if seen.state == "lost" and before[0] != "lost":
            self._tell("warning", f"registration at {seen.server} lost: {seen.detail}")
        elif seen.state in _TROUBLE and now[:2] != before[:2]:
            self._tell("warning", f"not registered at {seen.server}: {seen.detail}")
        if not seen.reachable and before[2]:
            self._tell("warning", f"{seen.server} does not answer: no call is placed there")
        if not troubled and since is not None:
            word = "registered again at" if seen.state == "registered" else "an answer again from"
            self._tell("info", f"{word} {seen.server} after {max(0.0, clock - since):.0f} s")
