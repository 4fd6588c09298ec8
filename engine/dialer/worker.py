"""The queue being worked: when the next call may begin, and what becomes of it in the store."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from engine.config import Config
from engine.dialer.attempt import Attempt
from engine.dialer.cold import ColdSeats
from engine.dialer.compliance import Compliance, exemptions
from engine.dialer.gauge import too_many_abandoned
from engine.dialer.picker import Picker
from engine.dialer.ports import (
    AttemptChanged,
    AttemptDone,
    AttemptRecord,
    Campaign,
    CountsChanged,
    EntryChanged,
    EntryRow,
    FlowChanged,
    Line,
    LogLine,
    Notice,
    OperatorMode,
    OperatorPrompt,
    QueueChanged,
    QueueCounts,
    QueueEntry,
    Store,
    StoreError,
)
from engine.dialer.queue_csv import QueueFile, read_queue
from engine.dialer.seats import HeadsetSeats, Seat, Seats
from engine.dialer.standing import StandingSeats

log = logging.getLogger(__name__)


class QueueWorker:
    """The queue's state, and the loop that begins calls. `Dialer` adds the operator's commands.

    It is driven by levels, not edges: on every `wake` it looks at everything anew, so that no lost
    event can stall it.
    """

    def __init__(
        self, config: Config, line: Line, prompt: OperatorPrompt, store: Store,
        wall: Callable[[], datetime], notify: Callable[[Notice], None],
    ) -> None:
        self.config = config
        self.line = line
        self.prompt = prompt
        self.store = store
        self.wall = wall
        self.notify = notify
        self.compliance = Compliance(config, wall)
        self.campaign: Campaign | None = None
        self.counts = QueueCounts()
        self.running = config.dialer.autostart
        self.active: dict[int, Attempt] = {}
        """Attempts that are up or in wrap-up, by entry."""
        self.by_hand: deque[QueueEntry] = deque()
        self.next_wanted = False
        self.seats: Seats = self._make_seats(config.operator.mode, config.operator.agents)
        self.agents = tuple(config.operator.agents)
        self._new_seats: tuple[OperatorMode, tuple[str, ...]] | None = None
        self._picker = Picker(store, self.compliance, config, wall, self._was_blocked)
        self._notice = ""
        self._trouble = ""
        self._flow: FlowChanged | None = None
        self._changed = asyncio.Event()
        self._worked = asyncio.Event()
        self._not_before = 0.0
        self.stopped = ""
        """Why a guard has paused the queue, empty while none has."""
        self._accepted_abandoned = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None
        self._line_watch: asyncio.Task[None] | None = None
        self._closing = False

    # life

    async def start(self, queue: Path | None = None, *, fresh: bool = False) -> QueueFile | None:
        """Open the campaign of a queue file (None: the console's own), and begin to work.

        An earlier campaign of the same file is resumed, with the file's new rows, unless `fresh`.
        Raises QueueError if the file can't be read, StoreError if the store can't.
        """
        path, file = "", None
        if queue is not None:
            path, file = await asyncio.to_thread(_read, queue, self.config.trunk.country)
        self.campaign = await self.store.open_campaign(path, fresh=fresh)
        await self.store.release_holds(self.campaign.id)
        if file is not None:
            await self._add(file)
        for record in await self.store.recovered(self.campaign.id):
            self.tell(LogLine("warning", f"the call to {record.number} was cut off when the engine died"))
            self.notify(AttemptDone(record))
        for agent in self.agents:
            if (verdict := self.compliance.check(agent, manual=True)).kind != "allow":
                self.tell(LogLine("error", f"operator.agents: {verdict.reason}"))
        for off in exemptions(self.config):
            self.tell(LogLine("warning", f"guard off: {off}"))
        self.seats.start()
        await self.refresh_counts()
        self._worker = asyncio.get_running_loop().create_task(self._work())
        self._tell_flow()
        return file

    async def close(self, grace: float = 2.0) -> None:
        """Hang up every call, wait `grace` seconds for them to confirm it, write every record, stop."""
        self._closing = True
        self.running = False
        watchers = [task for task in (self._worker, self._line_watch) if task is not None]
        for task in watchers:
            task.cancel()
        for attempt in self.active.values():
            attempt.stop("cancelled", "the engine ended")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        if watchers or self._tasks:
            await asyncio.wait([*watchers, *self._tasks])
        self.seats.close()

    async def worked(self) -> None:
        """Wait until the dialer runs and nothing is left that may be dialled now (held entries stay)."""
        await self._worked.wait()

    def wake(self) -> None:
        """Look again whether there is something to do."""
        self._apply_seats()
        self._changed.set()
        self._tell_flow()

    # what is so now, for snapshots

    def flow(self) -> FlowChanged:
        campaign = self.campaign.path if self.campaign else ""
        return FlowChanged(
            self.running, self.seats.mode, self.agents, self.seats.state, campaign,
            tuple(exemptions(self.config)), self._trouble or self._notice,
        )

    def attempts(self) -> list[AttemptChanged]:
        """Those under way, each `at` the time when it came to its state."""
        return [
            replace(self._shown(attempt), at=attempt.record.started_at.timestamp() + entered / 1000)
            if (entered := attempt.record.states.get(attempt.state)) is not None
            else self._shown(attempt)
            for attempt in self.active.values()
        ]

    async def refresh_counts(self) -> None:
        assert self.campaign is not None
        self.counts = await self.store.counts(self.campaign.id)
        self.notify(CountsChanged(self.counts))

    # for the commands and the calls

    def tell(self, line: LogLine) -> None:
        self.notify(line)

    def set_running(self, running: bool) -> None:
        self.running = running
        if running:
            self._trouble = ""
            self._worked.clear()
            self.seats.start()
        self.wake()

    def want(self) -> None:
        """There is more to do."""
        self._worked.clear()
        self.seats.start()
        self.wake()

    async def entry_changed(self, row: EntryRow) -> None:
        self.notify(EntryChanged(row))
        await self.refresh_counts()

    async def queue_changed(self) -> None:
        await self.refresh_counts()
        self.notify(QueueChanged(self.counts))

    def change_seats(self, mode: OperatorMode, agents: Sequence[str]) -> None:
        """Reach the operator in another way, once the calls that are up have ended."""
        self._new_seats = (mode, tuple(agents))
        self._apply_seats()
        if self._new_seats is not None:
            self.tell(LogLine("info", "the operator's end changes when the calls that are up have ended"))
        self.wake()

    async def _add(self, file: QueueFile, path: str = "") -> int:
        """Add a file's rows. Those of another file than the campaign's keep what is set for that one."""
        assert self.campaign is not None
        for problem in file.problems:
            self.tell(LogLine("warning", f"queue file, {problem}"))
        for duplicate in file.duplicates:
            self.tell(LogLine("warning", f"queue file, {duplicate}"))
        own = Path(path).stem if path and Path(path).stem in self.config.campaigns else ""
        rows = file.new_rows(skip_duplicates=self.config.dialer.skip_duplicates, campaign=own)
        added = await self.store.add_rows(self.campaign.id, rows)
        if added:
            self._worked.clear()
            await self.queue_changed()
        return added

    # the work

    async def _work(self) -> None:
        while True:
            self._changed.clear()
            try:
                delay = await self._step()
            except StoreError as error:
                delay = None
                self._store_failed(error)
            self._tell_flow()
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _step(self) -> float | None:
        """Begin every call that may begin now; how long until it is worth looking again."""
        assert self.campaign is not None
        while self.by_hand or self.next_wanted or self.running:
            hurry = bool(self.by_hand or self.next_wanted)
            if self._full() or (not self.by_hand and self._guarded()):
                return None
            if not hurry and (wait := self._not_before - asyncio.get_running_loop().time()) > 0:
                return wait
            if self.by_hand:
                entry: QueueEntry | None = self.by_hand[0]
            else:
                entry = await self._picker.pick(self.campaign.id, self.active)
            if entry is None:
                return await self._nothing_left()
            # Things may have changed while the store was asked; nothing has been begun yet.
            if not (self.by_hand or self.next_wanted or self.running):
                return None
            if self._full() or not self._can_dial() or (seat := self.seats.reserve()) is None:
                return None
            if self.by_hand and self.by_hand[0] is entry:
                self.by_hand.popleft()
            elif self.next_wanted:
                self.next_wanted = False
            self._begin(entry, seat)
        self._notice = ""
        return None

    def _full(self) -> bool:
        """As many calls are up as may be, or they must end before the operator's end changes."""
        return len(self.active) >= self.config.dialer.max_channels or self._new_seats is not None

    def _guarded(self) -> bool:
        """Pause the queue where the gauge asks for it, once for each further abandoned call."""
        if self.counts.abandoned == self._accepted_abandoned or not self.config.gauge_enforced:
            return False
        self.stopped = too_many_abandoned(self.counts, self.config.compliance.max_abandoned)
        if self.stopped:
            self.running = self.next_wanted = False
            self._notice = self.stopped
            self.tell(LogLine("warning", self.stopped))
            self._worked.set()
        return bool(self.stopped)

    def accept_abandoned(self) -> None:
        """The operator has the queue go on in spite of the gauge, until one more is abandoned."""
        if self.stopped:
            self.tell(LogLine("warning", "guard overridden: the queue goes on in spite of abandoned calls"))
        self._accepted_abandoned = self.counts.abandoned
        self.stopped = ""

    def _can_dial(self) -> bool:
        if not self.line.registered:
            self._notice = "waiting for the trunk's registration"
            self._watch_line()
            return False
        if not self.seats.free:
            problem = self.seats.problem
            self._notice = f"waiting: {problem}" if problem else self._notice
            return False
        self._notice = ""
        return True

    async def _nothing_left(self) -> float | None:
        assert self.campaign is not None
        self.next_wanted = False
        release = await self.store.next_release(self.campaign.id)
        self._notice = self._picker.held if release is not None else "the queue is worked"
        if self.running and not self.active and not self._changed.is_set():
            self._worked.set()
        if release is None or release == float("inf"):
            return None
        return max(1.0, release - self.wall().timestamp())

    def _begin(self, entry: QueueEntry, seat: Seat) -> None:
        self._worked.clear()
        attempt = Attempt(
            entry, seat=seat, line=self.line, config=self.config, wall=self.wall,
            changed=self._attempt_changed, tell=self.tell,
            campaign=self.campaign.path if self.campaign else "",
        )
        self.active[entry.id] = attempt
        task = asyncio.get_running_loop().create_task(self._attempt(attempt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, attempt: Attempt) -> None:
        entry = attempt.entry
        record = attempt.record
        try:
            # Durable before the INVITE leaves: whatever happens now, nobody is called twice.
            attempt_id = await self.store.begin(entry.id, record.started_at)
            if attempt_id is None:
                return
            record.attempt_id = attempt_id
            await self._show(entry.id)
            await attempt.run()
            if attempt.wraps_up:
                # Written before the wrap-up too: a crash in it must not undo a call that was held.
                await self._finish(attempt)
            await attempt.wrap_up()
            await self._finish(attempt)
            self.notify(AttemptDone(record))
        except StoreError as error:
            self._store_failed(error)
            if attempt.over:
                attempt.end_wrap_up()
                await attempt.wrap_up()
                self.notify(AttemptDone(record))
        finally:
            attempt.seat.release()
            self.active.pop(entry.id, None)
            self._not_before = asyncio.get_running_loop().time() + self.config.dialer.pause_between
            self._apply_seats()
            self.wake()

    async def _finish(self, attempt: Attempt) -> None:
        skipped = attempt.record.disposition == "skipped"
        row = await self.store.finish(attempt.record, "skipped" if skipped else "done")
        await self.entry_changed(row)

    async def _show(self, entry: int) -> None:
        row = await self.store.entry(entry)
        if row is not None:
            await self.entry_changed(row)

    async def _was_blocked(self, row: EntryRow, record: AttemptRecord) -> None:
        self.tell(LogLine("warning", record.reason))
        self.notify(AttemptDone(record))
        await self.entry_changed(row)

    def _store_failed(self, error: StoreError) -> None:
        """Without a store nobody could tell who has been called: stop calling."""
        self.running = self.next_wanted = False
        self._trouble = f"paused: {error}"
        self.tell(LogLine("error", f"the queue is paused: {error}"))

    # parts

    def _make_seats(self, mode: OperatorMode, agents: Sequence[str]) -> Seats:
        if mode == "headset":
            return HeadsetSeats(self.prompt, self.wake)
        kind = StandingSeats if mode == "standing" else ColdSeats
        wanted, ring = self.config.dialer.max_channels, self.config.operator.ring_timeout
        return kind(self.line, self._allowed(agents), wanted, ring, self.wake, self.tell)

    def _allowed(self, agents: Sequence[str]) -> list[str]:
        """Agents' numbers without those that must never be dialled."""
        return [agent for agent in agents if self.compliance.check(agent, manual=True).kind == "allow"]

    def _apply_seats(self) -> None:
        if self._new_seats is None or self.active or self.seats.taken or self._closing:
            return
        mode, self.agents = self._new_seats
        self._new_seats = None
        self.seats.close()
        self.seats = self._make_seats(mode, self.agents)
        self.seats.start()

    def _watch_line(self) -> None:
        if self._line_watch is None or self._line_watch.done():
            self._line_watch = asyncio.get_running_loop().create_task(self._line_back())

    async def _line_back(self) -> None:
        await self.line.until_registered()
        self.wake()

    def _attempt_changed(self, attempt: Attempt) -> None:
        self.notify(self._shown(attempt))

    def _shown(self, attempt: Attempt) -> AttemptChanged:
        now = self.wall().timestamp()
        left = None if attempt.deadline is None else attempt.deadline - asyncio.get_running_loop().time()
        agent = attempt.seat.leg
        return AttemptChanged(
            attempt.entry.id, attempt.record.attempt_id, attempt.entry.number, attempt.entry.name,
            attempt.state, now, attempt.leg.id if attempt.leg else "",
            agent.id if agent and attempt.state not in ("wrap_up", "done") else "",
            None if left is None else now + left, attempt.record.disposition, attempt.waiting_for_operator,
        )

    def _tell_flow(self) -> None:
        flow = self.flow()
        if flow != self._flow:
            self._flow = flow
            self.notify(flow)


def _read(queue: Path, country: str) -> tuple[str, QueueFile]:
    return os.path.abspath(queue), read_queue(queue, country)
