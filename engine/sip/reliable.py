"""A provisional response that is repeated until its PRACK comes (RFC 3262, 3)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from engine.sip.message import Message
from engine.sip.transaction import T1, Clock, ServerTransaction, TimerHandle


class ReliableResponse:
    """A reliable response of an INVITE transaction. `send(headers)` sends it first; then the transaction
    repeats it at T1, doubling, and after 64*T1 without PRACK calls `on_silence`. The one `before` it was
    acknowledged."""

    def __init__(
        self,
        clock: Clock,
        transaction: ServerTransaction,
        send: Callable[[list[tuple[str, str]]], None],
        on_silence: Callable[[], None],
        before: ReliableResponse | None = None,
    ) -> None:
        self._clock = clock
        self._transaction = transaction
        self._on_silence = on_silence
        self._rseq: int = random.randint(1, 2**31 - 1) if before is None else before._rseq + 1
        self._interval = T1
        self.acknowledged = False
        send([("Require", "100rel"), ("RSeq", str(self._rseq))])
        self._repeat: TimerHandle = clock.call_later(T1, self._again)
        self._limit: TimerHandle = clock.call_later(64 * T1, self._give_up)

    def matches(self, prack: Message) -> bool:
        """Whether a PRACK's RAck names this response, first or again (RFC 3262, 7.2)."""
        words = re.fullmatch(r"([0-9]{1,10})\s+([0-9]{1,10})\s+(\S+)", (prack.get("RAck") or "").strip())
        invite = self._transaction.request
        return words is not None and (int(words[1]), int(words[2]), words[3]) == (
            self._rseq, invite.cseq, "INVITE",
        )  # fmt: skip

    def stop(self) -> None:
        """It was acknowledged, or a final response takes its place."""
        self._repeat.cancel()
        self._limit.cancel()

    def _again(self) -> None:
        self._transaction.receive_again()
        self._interval *= 2
        self._repeat = self._clock.call_later(self._interval, self._again)

    def _give_up(self) -> None:
        self.stop()
        self._on_silence()
