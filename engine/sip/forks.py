"""The early dialogs of one INVITE of ours, told apart by their To tags (RFC 3261, 12.1.2 and 13.2.2.4).

Each has its own route set, target, CSeq and remote description, and its own run of reliable
provisional responses (RFC 3262, 4).
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.sip.dialog import Dialog
from engine.sip.message import Message
from engine.sip.sdp import Negotiated
from engine.sip.uri import number

MAX_FORKS = 32
"""Early dialogs of one INVITE that are told apart, and answers to it that are acknowledged."""


@dataclass(slots=True, eq=False)
class Fork:
    """One early dialog. `described` is the last session description of its responses, `agreed` what
    we made of it; `rseq` the last reliable response that was taken, None before the first."""

    dialog: Dialog
    agreed: Negotiated | None = None
    described: bytes = b""
    rseq: int | None = None
    ended: bool = False

    def in_order(self, rseq: int) -> bool:
        """Whether a reliable response is the next one: a repeat or one after a gap is neither acted
        on nor acknowledged (RFC 3262, 4)."""
        if self.rseq is not None and rseq != self.rseq + 1:
            return False
        self.rseq = rseq
        return True


class Forks:
    """Bounded; the oldest first."""

    def __init__(self) -> None:
        self._forks: dict[str, Fork] = {}

    def take(self, request: Message, response: Message) -> Fork | None:
        """The early dialog that a response with a To tag belongs to, made where it is new; None where
        there are too many."""
        tag = response.to.tag
        if tag not in self._forks:
            if len(self._forks) >= MAX_FORKS:
                return None
            self._forks[tag] = Fork(Dialog.as_caller(request, response))
        return self._forks[tag]

    def confirm(self, request: Message, response: Message) -> Fork:
        """The dialog of a 2xx, whose route set and target replace the early ones (13.2.2.4)."""
        fork = self.take(request, response) or Fork(Dialog.as_caller(request, response))
        fork.dialog.confirm(response)
        return fork

    def of(self, request: Message) -> Fork | None:
        """The early dialog that a request of the far end is within."""
        return self._forks.get(request.from_.tag)

    def latest_described(self) -> Fork | None:
        """The youngest fork that still is and whose audio can be heard."""
        live = [f for f in self._forks.values() if f.agreed is not None and not f.ended]
        return live[-1] if live else None

    def all(self) -> list[Fork]:
        return list(self._forks.values())


def reliable_number(response: Message) -> int | None:
    """The RSeq of a reliable provisional response; None for an ordinary one (RFC 3262, 3 and 7.1)."""
    if not 100 < response.code < 200 or not response.names("Require", "100rel"):
        return None
    return number(response.get("RSeq"))
