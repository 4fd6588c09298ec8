"""Whose place an INVITE with Replaces takes (RFC 3891, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.legs import LegState
from engine.sip.message import Message
from engine.sip.past import Past
from engine.sip.refer import ReferError, Replaces, replaces_of

if TYPE_CHECKING:
    from engine.sip.call import Call


def replaced_call(request: Message, calls: Mapping[str, Call], past: Past) -> Call:
    """The call that is up, or was begun by us and has no answer yet, whose dialog a Replaces names.

    Raises ReferError: 481 where none is, 603 where it has ended, 486 where only one that is not answered
    yet was meant, 400 for what is no Replaces.
    """
    wanted = replaces_of(request)
    if wanted is None:
        raise ReferError(400, "no Replaces")
    call = calls.get(wanted.call_id)
    if call is None or not _means(wanted, call):
        raise ReferError(603 if past.had(wanted) else 481, "no such dialog")
    if call.progress is LegState.ANSWERED and wanted.early_only:
        raise ReferError(486, "it is answered")
    return call


def _means(wanted: Replaces, call: Call) -> bool:
    if call.progress is LegState.ENDED:
        return False
    if call.dialog is not None:
        # one that rings here was not begun by us: who called is the one whose call may be replaced
        return call.progress is LegState.ANSWERED and wanted.names(call.dialog.id)
    forks = call.caller.forks.all() if call.caller is not None else []
    return any(wanted.names(fork.dialog.id) for fork in forks if not fork.ended)
