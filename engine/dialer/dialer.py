"""The dialer: the queue being worked, and what the operator can tell it at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence

from engine.dialer.attempt import Attempt
from engine.dialer.numbers import Number, NumberError, parse
from engine.dialer.ports import EntryRow, LogLine, NewRow, OperatorMode, StoreError
from engine.dialer.queue_csv import QueueError, QueueFile, read_queue_file
from engine.dialer.worker import QueueWorker

MAX_DISPOSITION = 64
MAX_NOTE = 1000


class Dialer(QueueWorker):
    """Works a queue under the operator's commands.

    Every command returns an empty text, or one sentence that says why nothing was done. `notify` is
    called, in the loop, with every `Notice`; `wall` gives the present time, aware of its zone. Call
    `wake` when something outside has changed that a call may be waiting for, such as the sound.
    """

    async def pause(self) -> str:
        """Take no more entries; calls that are up go on."""
        self.next_wanted = False
        self.set_running(False)
        return ""

    async def resume(self) -> str:
        """Work the queue."""
        self.accept_abandoned()
        self.set_running(True)
        return ""

    async def next(self) -> str:
        """Dial the next entry as soon as a seat is free, once, even while paused."""
        self.next_wanted = True
        self.want()
        return ""

    async def dial(self, number: str) -> str:
        """Dial a number by hand, ahead of the queue, as soon as a seat is free."""
        parsed, error = await self.may_dial(number)
        if parsed is None:
            return error
        try:
            row = NewRow(parsed.dialable, key=parsed.key)
            self.by_hand.append(await self.store.add_manual(self._campaign_id(), row))
            await self.queue_changed()
        except StoreError as error:
            return str(error)
        self.want()
        return ""

    async def may_dial(self, number: str, *, by_hand: bool = True) -> tuple[Number | None, str]:
        """A number that may be called now, or None and why not. `by_hand`: by the operator, who may call
        outside the calling hours, with a warning."""
        try:
            parsed = parse(number, self.config.trunk.country)
        except NumberError as error:
            return None, f"{_upper(str(error))}."
        await self.compliance.refresh()
        verdict = self.compliance.check(number, manual=by_hand)
        if verdict.kind != "allow":
            return None, verdict.reason
        if verdict.warning:
            self.tell(LogLine("warning", f"dialled by hand: {verdict.warning}"))
        return parsed, ""

    async def skip(self, entry: int) -> str:
        """Leave an entry out; one that is being called is hung up."""
        if entry in self.active:
            if self.active[entry].over:
                return f"The call to entry {entry} is over already."
            self.active[entry].stop("skipped", "left out by the operator")
            return ""
        return await self._change(entry, "skip", self.store.settle(entry, "skipped", "skipped"), "queued")

    async def redial(self, entry: int) -> str:
        """Put a finished, skipped, blocked or interrupted entry back into the queue, in front."""
        if entry in self.active:
            return f"Entry {entry} is being called now."
        error = await self._change(
            entry, "redial", self.store.requeue(entry), "done, skipped, blocked or interrupted"
        )
        if not error:
            await self.queue_changed()
            self.want()
        return error

    async def hangup(self, leg: str | None = None) -> str:
        """Hang up one leg of a call, or without `leg` every call that is up."""
        if leg is None:
            calls = [attempt for attempt in self.active.values() if not attempt.over]
            for attempt in calls:
                attempt.stop("cancelled")
            return "" if calls else "No call is up."
        for attempt in self.active.values():
            if attempt.leg is not None and attempt.leg.id == leg and not attempt.over:
                attempt.stop("cancelled")
                return ""
            agent = attempt.seat.leg
            if agent is not None and agent.id == leg:
                agent.hangup()
                return ""
        return f"No call has a leg {leg}."

    def bridged(self, leg: str) -> Attempt | None:
        """The attempt whose callee's leg this is, if it is bridged."""
        for attempt in self.active.values():
            if attempt.leg is not None and attempt.leg.id == leg and attempt.state == "bridged":
                return None if attempt.over else attempt
        return None

    async def accept(self) -> str:
        """The operator takes the callee who waits."""
        return "" if self.prompt.take() else "No callee is waiting to be taken."

    async def stop_all(self) -> str:
        """Pause, and hang up every call, standing legs too; they come back when dialling goes on."""
        await self.pause()
        for attempt in self.active.values():
            attempt.stop("cancelled")
        self.seats.close()
        waiting = list(self.by_hand)
        self.by_hand.clear()
        for entry in waiting:
            await self._change(
                entry.id, "cancel", self.store.settle(entry.id, "skipped", "cancelled"), "queued"
            )
        return ""

    async def set_operator(self, mode: OperatorMode, agents: Sequence[str] = ()) -> str:
        """Reach the operator in another way, from the next call on; no `agents` keeps the list."""
        wanted = list(agents) or list(self.agents)
        if mode != "headset" and not wanted:
            return "An agent's number is needed to reach the operator by phone."
        await self.compliance.refresh()
        for agent in wanted:
            verdict = self.compliance.check(agent, manual=True)
            if verdict.kind != "allow":
                return verdict.reason
        self.change_seats(mode, wanted)
        return ""

    async def set_disposition(self, entry: int, disposition: str, note: str = "") -> str:
        """The operator's own word on a finished call; ends its wrap-up."""
        word = disposition.strip()
        if not word or len(word) > MAX_DISPOSITION or not word.isprintable():
            return f"A disposition is 1 to {MAX_DISPOSITION} printable characters."
        if len(note) > MAX_NOTE:
            return f"A note is {MAX_NOTE} characters at most."
        attempt = self.active.get(entry)
        if attempt is not None and not attempt.over:
            return f"The call to entry {entry} is still up."
        error = await self._change(entry, "label", self.store.label(entry, word, note), "done")
        if not error and attempt is not None:
            attempt.end_wrap_up()
        return error

    async def load(self, path: str) -> tuple[QueueFile | None, str]:
        """Add a CSV file's rows to the queue: the file as it was read, or why it could not be."""
        try:
            file = await asyncio.to_thread(read_queue_file, path, self.config.trunk.country)
            added = await self._add(file, path)
        except (QueueError, StoreError) as error:
            return None, str(error)
        if file.rows:
            text = f"{added} of {len(file.rows)} numbers in {path} were added to the queue"
            self.tell(LogLine("info", text))
        else:
            self.tell(LogLine("warning", f"{path} holds no number that could be added to the queue"))
        self.want()
        return file, ""

    async def _change(
        self, entry: int, what: str, change: Coroutine[None, None, EntryRow | None], states: str
    ) -> str:
        try:
            row = await change
            if row is None:
                present = await self.store.entry(entry)
                if present is None:
                    return f"There is no entry {entry}."
                return f"Entry {entry} is {present.state}: to {what} it, it must be {states}."
            await self.entry_changed(row)
        except StoreError as error:
            return str(error)
        return ""

    def _campaign_id(self) -> int:
        if self.campaign is None:
            raise StoreError("The queue is not open yet.")
        return self.campaign.id


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
