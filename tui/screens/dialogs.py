"""What the main screen asks in dialogs, and what comes of the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from engine.control import messages as wire
from tui.commands import target
from tui.screens.help import HelpScreen
from tui.screens.load_queue import LoadQueueScreen
from tui.screens.numbers import ConsultScreen, TransferScreen
from tui.screens.operator import OperatorScreen
from tui.screens.quit import CANCEL, HANG_UP, quit_screen
from tui.screens.refuse import CANCEL as LET_RING
from tui.screens.refuse import refuse_screen
from tui.screens.supervise import SuperviseScreen
from tui.screens.teach import teach_screen
from tui.screens.trace import TraceScreen
from tui.screens.wrap_up import WrapUpScreen

if TYPE_CHECKING:
    from tui.app import OffhookApp
    from tui.screens.main import MainScreen


class MainDialogs:
    """Mixed into the main screen: each method opens a dialog and sends what it returns."""

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self)

    @property
    def _app(self) -> OffhookApp:
        return cast("OffhookApp", self._main.app)

    def show_help(self) -> None:
        self._app.push_screen(HelpScreen(self._main.keys))

    def show_trace(self) -> None:
        leg = self._main.state.leg_of(self._main.state.call)
        self._main.run_worker(self._show_trace(leg.id if leg is not None else "last"), group="trace")

    async def _show_trace(self, call: str) -> None:
        reply = await self._main.connection.send(wire.Trace(call=call))
        if reply.trace is None:
            self._main.say(reply.error or "The engine keeps no messages.", "warn")
        else:
            self._app.push_screen(TraceScreen(reply.trace))

    def next_theme(self) -> None:
        self._main.say(f"Theme: {self._app.next_theme()}")

    def ask_load(self) -> None:
        def answered(path: str | None) -> None:
            if path:
                self._main.say(f"Reading {path} ...", "dim")
                self._main.send(wire.LoadQueue(path=path), f"Read {path}")

        self._app.push_screen(LoadQueueScreen(), answered)

    def ask_operator(self) -> None:
        def answered(command: wire.SetOperator | None) -> None:
            if command is not None:
                self._main.send(command)

        self._app.push_screen(OperatorScreen(self._main.state.flow), answered)

    def ask_refuse(self) -> None:
        leg = self._main.state.ringing_in
        if leg is None:
            self._main.say("No incoming call is ringing.", "warn")
            return
        ringing = leg.id

        def answered(answer: str | None) -> None:
            if answer not in (None, LET_RING):
                self._main.send(wire.Refuse(leg=ringing, code=int(answer or 0)))

        self._app.push_screen(refuse_screen(leg.number), answered)

    def ask_transfer(self) -> None:
        leg = self._talked_to("No answered call to transfer.")
        if leg is None:
            return
        others = [
            other
            for other in self._main.state.legs_up
            if other.id != leg.id and other.role != "agent" and other.state == "answered"
        ]

        def answered(command: wire.Transfer | wire.TransferToLeg | None) -> None:
            if command is not None:
                self._main.send(command)

        self._app.push_screen(TransferScreen(leg, others), answered)

    def ask_consult(self) -> None:
        if self._talked_to("No answered call to consult somebody about.") is None:
            return
        call = self._main.state.call
        beside = target(self._main.state, call) if call is not None else None

        def answered(number: str | None) -> None:
            if number is not None:
                self._main.send(wire.Consult(number=number, leg=beside))

        self._app.push_screen(ConsultScreen(), answered)

    def ask_supervise(self) -> None:
        leg = self._talked_to("No answered call to supervise.")
        if leg is None:
            return
        state = self._main.state
        others = [
            other
            for other in state.legs_up
            if other.id != leg.id
            and (other.role in ("inbound", "manual") and not state.joined(other) and not other.conference)
        ]

        def answered(command: wire.Supervise | None) -> None:
            if command is not None:
                self._main.send(command)

        self._app.push_screen(SuperviseScreen(leg, [*state.supervisors_of(leg), *others]), answered)

    def _talked_to(self, otherwise: str) -> wire.Leg | None:
        leg = self._main.state.leg_of(self._main.state.call)
        if leg is None or leg.state != "answered":
            self._main.say(otherwise, "warn")
            return None
        return leg

    def ask_teach(self) -> None:
        """The latest announcement that nothing matched becomes a known one."""
        unknown = self._main.state.unknown
        if unknown is None:
            self._main.say("No call has said anything that is not known.", "warn")
            return
        leg, number = unknown

        def answered(category: str | None) -> None:
            if category not in (None, CANCEL):
                self._main.state.unknown = self._main.state.offer = None
                self._main.send(wire.Teach(category=category or "", leg=leg), f"Learnt what {number} said.")

        self._app.push_screen(teach_screen(number), answered)

    def ask_wrap_up(self) -> None:
        call = self._main.state.call
        if call is None or call.attempt is None:
            self._main.say("No call of the queue to wrap up.", "warn")
            return
        entry = call.attempt.entry

        def answered(answer: tuple[str, str] | None) -> None:
            if answer is not None:
                self._main.send(wire.SetDisposition(entry=entry, disposition=answer[0], note=answer[1]))

        self._app.push_screen(WrapUpScreen(call.number, call.name), answered)

    def ask_quit(self) -> None:
        """Close: at once where nothing is up, else after asking."""
        flow, counts = self._main.state.flow, self._main.state.counts
        up = self._main.calls_in_words()
        working = flow is not None and flow.running and counts is not None and counts.queued > 0
        if not self._main.connection.up:
            self._app.leave()
        elif not up and (self._app.attached or not working):
            self._leave()
        else:
            self._app.push_screen(quit_screen(up, working, self._app.attached), self._quit_answered)

    def _quit_answered(self, answer: str | None) -> None:
        if answer in (None, CANCEL):
            return
        if answer == HANG_UP:
            self._leave(hang_up=True)
        else:
            self._app.leave(message="The calls go on. `offhook attach` shows them again.")

    def _leave(self, *, hang_up: bool = False) -> None:
        if self._app.attached:  # an engine that was there before us
            goes_on = "The engine goes on. `offhook attach` shows it again, `offhook ctl shutdown` ends it."
            self._app.leave(hang_up=hang_up, message=goes_on)
        else:
            self._app.leave(hang_up=hang_up, end_engine=True)
