"""The footer: the keys that make sense just now, as many as fit, each with its name."""

from __future__ import annotations

from textual.events import Click
from textual.message import Message

from tui.calls import Step
from tui.commands import pushes_to_talk
from tui.draw import Row, row_width
from tui.keymap import BY_ID, shown
from tui.state import ConsoleState
from tui.widgets.pane import Pane

ALWAYS = ("help", "quit")


def fitting_keys(state: ConsoleState) -> list[str]:
    """Ids of what can be done now, the most pressing first."""
    call = state.call
    ids: list[str] = []
    tail: list[str] = []
    if state.ringing_in is not None:
        ids += ["answer", "refuse", "refuse_as"]
    if call is not None and call.waiting:
        ids.append("accept")
    if state.legs_up or state.calls_up:
        ids.append("hangup")
    ids.append("stop")
    if call is not None and call.up:
        if call.attempt is not None and "accept" not in ids and call.step in (Step.ANSWER, Step.WAIT_TONE):
            ids.append("accept")
        leg = state.leg_of(call)
        answered = leg is not None and leg.state == "answered"
        if pushes_to_talk(state.flow):
            ids += ["talk", "talk_on"]
        ids += ["hold", "mute", "record"] if answered else ["mute"]
        if answered and call.step in (Step.ANSWER, Step.BRIDGE):
            ids += ["transfer", "consult"]
            ids += ["conference"] if state.can_join else []
            ids += ["supervise"] if call.step is Step.BRIDGE else []
            tail = ["softer", "louder", "mic_softer", "mic_louder"]
    if state.offer is not None:
        ids.append("teach")
    if call is not None and call.word == "wrap up":
        ids.append("wrap_up")
    if len(state.calls_up) > 1:
        ids.append("next_call")
    return [
        *ids,
        "dial",
        "next",
        "pause",
        "skip",
        "redial",
        "operator",
        "load",
        "dnd",
        *tail,
        "zoom_in",
        "zoom_out",
        "theme",
    ]


def label_of(state: ConsoleState, key_id: str) -> str:
    """A key's name, saying which way a switch would go."""
    leg = state.leg_of(state.call)
    flow = state.flow
    if key_id == "pause" and flow is not None:
        return "Pause" if flow.running else "Run queue"
    if key_id == "mute" and flow is not None and flow.muted:
        return "Unmute"
    if key_id == "talk_on" and flow is not None:
        return "Mic off" if flow.talking else "Mic on"
    if key_id == "dnd" and flow is not None and flow.do_not_disturb:
        return "DND off"
    if key_id == "hold" and leg is not None and leg.held:
        return "Take back"
    if key_id == "record" and leg is not None and leg.recording:
        return "Resume rec" if leg.recording_paused else "Pause rec"
    return BY_ID[key_id].label


class KeyBar(Pane):
    """Keys and their names; a click does what the key does."""

    class Pressed(Message):
        """A key was clicked."""

        def __init__(self, key_id: str) -> None:
            super().__init__()
            self.key_id = key_id

    def __init__(self, state: ConsoleState, keys: dict[str, str], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.state = state
        self.keys = keys
        self._places: list[tuple[int, int, int, str]] = []

    def draw(self, cells: int, rows: int) -> list[Row]:
        self._places = []
        tail = [self._piece(key_id) for key_id in ALWAYS]
        tail_cells = sum(row_width(piece) for piece in tail)
        out: list[Row] = [[]]
        for key_id in fitting_keys(self.state):
            piece = self._piece(key_id)
            last = len(out) == rows
            room = cells - row_width(out[-1]) - (tail_cells if last else 0)
            if row_width(piece) > room:
                if last:
                    continue
                out.append([])
                if row_width(piece) > cells - (tail_cells if len(out) == rows else 0):
                    continue
            self._place(out, piece, key_id)
        if row_width(out[-1]) + tail_cells > cells and len(out) < rows:
            out.append([])
        for key_id, piece in zip(ALWAYS, tail, strict=True):
            self._place(out, piece, key_id)
        return out

    def _piece(self, key_id: str) -> Row:
        return [(f" {shown(self.keys[key_id])}", "key"), (f" {label_of(self.state, key_id)} ", "text")]

    def _place(self, out: list[Row], piece: Row, key_id: str) -> None:
        start = row_width(out[-1])
        self._places.append((len(out) - 1, start, start + row_width(piece), key_id))
        out[-1] += piece

    def on_click(self, event: Click) -> None:
        for row, start, end, key_id in self._places:
            if event.y == row and start <= event.x < end:
                self.post_message(self.Pressed(key_id))
