"""What outlives a call for a while: its dialog's name, and the reports on a transfer that it asked for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from engine.sip.dialog import Dialog, DialogId
from engine.sip.message import Message
from engine.sip.refer import Replaces
from engine.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from engine.sip.transfer import Transfer

MAX_DIALOGS = 64
MAX_SUBSCRIPTIONS = 64
"""Transfers that outlive their calls until the far end has reported, kept at once."""


class Past:
    """Bounded in what it keeps; a transfer drops itself in the end."""

    def __init__(self) -> None:
        self._dialogs: deque[DialogId] = deque(maxlen=MAX_DIALOGS)
        self._subscriptions: dict[str, Transfer] = {}
        self._leaving: dict[str, set[DialogId]] = {}

    def __contains__(self, call_id: str) -> bool:
        """Whether something more may come with a Call-ID."""
        return call_id in self._subscriptions or call_id in self._leaving

    def leave(self, dialog: DialogId) -> None:
        """Our BYE is on its way: until it is answered the dialog is there, and the far end's own BYE may
        cross it (RFC 5407, 3.3.1). As many are kept as requests of ours are unanswered."""
        self._leaving.setdefault(dialog[0], set()).add(dialog)

    def left(self, dialog: DialogId) -> None:
        dialogs = self._leaving.get(dialog[0], set())
        dialogs.discard(dialog)
        if not dialogs:
            self._leaving.pop(dialog[0], None)

    def is_leaving(self, request: Message) -> bool:
        return (request.call_id, request.to.tag, request.from_.tag) in self._leaving.get(request.call_id, ())

    def __len__(self) -> int:
        return len(self._subscriptions)

    def remember(self, dialog: Dialog) -> None:
        """A dialog has ended."""
        self._dialogs.append(dialog.id)

    def had(self, wanted: Replaces) -> bool:
        """Whether a dialog was ours lately."""
        return any(wanted.names(name) for name in self._dialogs)

    def keep(self, call_id: str, transfer: Transfer) -> None:
        """Hand a transfer the reports that come after its call has ended (RFC 5057, 2), until `drop`."""
        if len(self._subscriptions) < MAX_SUBSCRIPTIONS:
            self._subscriptions[call_id] = transfer

    def drop(self, call_id: str) -> None:
        self._subscriptions.pop(call_id, None)

    def take(self, request: Message, transaction: ServerTransaction) -> bool:
        """A request within a dialog whose call is over; false where nobody waits for it."""
        transfer = self._subscriptions.get(request.call_id)
        if transfer is None or request.method != "NOTIFY" or not transfer.matches(request):
            return False
        transfer.receive(request, transaction)
        return True
