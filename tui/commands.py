"""What a key means to the engine: id -> command, or one sentence on why there is nothing to do.

Hanging up and stopping everything are sent whatever the console believes: its view may be late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.control import messages as wire
from tui.calls import Call
from tui.keymap import DTMF
from tui.state import ConsoleState


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a key does nothing just now, in one sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a key acts on: the state, and the queue's selected entry."""

    state: ConsoleState
    entry: wire.Entry | None = None


LOWEST_DB, HIGHEST_DB = -30, 20
TALK_ON = 3600.0
"""Seconds that the microphone stays open by the key that opens it for long."""
NO_PUSH_TO_TALK = Refusal("There is nothing to open: that is for a headset with audio.push_to_talk set.")

Action = Callable[[Context], "wire.Command | Refusal"]


def target(state: ConsoleState, call: Call) -> str | None:
    """The leg to name: none while one call is up (all of it is meant), else that of the call on show."""
    others = [other for other in state.calls_up if other is not call]
    return call.leg if others and call.leg else None


def hangup(context: Context) -> wire.Command | Refusal:
    call = context.state.call
    return wire.Hangup(leg=target(context.state, call) if call is not None and call.up else None)


def stop(context: Context) -> wire.Command | Refusal:
    return wire.StopAll()


def accept(context: Context) -> wire.Command | Refusal:
    return wire.Accept() if context.state.calls_up else Refusal("Nobody is waiting to be bridged.")


def answer(context: Context) -> wire.Command | Refusal:
    leg = context.state.ringing_in
    return wire.Answer(leg=leg.id) if leg is not None else Refusal("No incoming call is ringing.")


def refuse(context: Context) -> wire.Command | Refusal:
    leg = context.state.ringing_in
    return wire.Refuse(leg=leg.id) if leg is not None else Refusal("No incoming call is ringing.")


def hold(context: Context) -> wire.Command | Refusal:
    leg = context.state.leg_of(context.state.call)
    if leg is None or leg.state != "answered":
        return Refusal("No answered call to hold.")
    call = context.state.call
    assert call is not None
    return wire.Hold(on=not leg.held, leg=target(context.state, call))


def mute(context: Context) -> wire.Command | Refusal:
    flow = context.state.flow
    return wire.Mute(on=not flow.muted) if flow is not None else Refusal("The engine is not connected yet.")


def do_not_disturb(context: Context) -> wire.Command | Refusal:
    flow = context.state.flow
    if flow is None:
        return Refusal("The engine is not connected yet.")
    return wire.DoNotDisturb(on=not flow.do_not_disturb)


def record(context: Context) -> wire.Command | Refusal:
    leg = context.state.leg_of(context.state.call)
    if leg is None or leg.state != "answered":
        return Refusal("No answered call to record.")
    call = context.state.call
    assert call is not None
    return wire.Record(on=not leg.recording or leg.recording_paused, leg=target(context.state, call))


def conference(context: Context) -> wire.Command | Refusal:
    if not context.state.can_join:
        return Refusal("Nobody is on hold whom this call could be joined with.")
    return wire.Conference()


def gain(received: int = 0, sent: int = 0) -> Action:
    """Change a level by so many dB: the headset's, or the call's where an agent's phone has it."""

    def action(context: Context) -> wire.Command | Refusal:
        state = context.state
        flow, leg = state.flow, state.leg_of(state.call)
        if flow is None:
            return Refusal("The engine is not connected yet.")
        at_phone = flow.operator != "headset"
        if at_phone and (leg is None or leg.state != "answered"):
            return Refusal("No answered call whose level could be changed.")
        now: wire.Leg | wire.Flow = leg if at_phone and leg is not None else flow
        wanted = (now.received_gain if received else now.sent_gain) + received + sent
        level = min(max(wanted, LOWEST_DB), HIGHEST_DB)
        return wire.Gain(
            received=level if received else None,
            sent=level if sent else None,
            leg=leg.id if at_phone and leg is not None else None,
        )

    return action


def pushes_to_talk(flow: wire.Flow | None) -> bool:
    """Whether the microphone here is closed until a key opens it."""
    return flow is not None and flow.push_to_talk and flow.operator == "headset"


def talk_on(context: Context) -> wire.Command | Refusal:
    flow = context.state.flow
    if flow is None or not pushes_to_talk(flow):
        return NO_PUSH_TO_TALK
    return wire.Talk(on=not flow.talking, seconds=TALK_ON)


def next_entry(context: Context) -> wire.Command | Refusal:
    return wire.Next()


def pause(context: Context) -> wire.Command | Refusal:
    flow = context.state.flow
    if flow is None:
        return Refusal("The engine is not connected yet.")
    return wire.Pause() if flow.running else wire.Resume()


def skip(context: Context) -> wire.Command | Refusal:
    if context.entry is None:
        return Refusal("No queue entry is selected.")
    if context.entry.state == "skipped":
        return Refusal("That entry is skipped already.")
    if context.entry.state == "done":
        return Refusal("That entry is done: there is nothing left to skip.")
    return wire.Skip(entry=context.entry.id)


def redial(context: Context) -> wire.Command | Refusal:
    if context.entry is None:
        return Refusal("No queue entry is selected.")
    if context.entry.state in ("queued", "active"):
        return Refusal(f"That entry is {context.entry.state} already.")
    return wire.Redial(entry=context.entry.id)


COMMANDS: dict[str, Action] = {
    "hangup": hangup,
    "stop": stop,
    "accept": accept,
    "answer": answer,
    "refuse": refuse,
    "hold": hold,
    "mute": mute,
    "dnd": do_not_disturb,
    "record": record,
    "conference": conference,
    "talk_on": talk_on,
    "softer": gain(received=-3),
    "louder": gain(received=3),
    "mic_softer": gain(sent=-3),
    "mic_louder": gain(sent=3),
    "next": next_entry,
    "pause": pause,
    "skip": skip,
    "redial": redial,
}


def done(command: wire.Command) -> str:
    """What is said of a command that was carried out; empty where the screen shows it by itself."""
    if not isinstance(command, wire.Gain):
        return ""
    if command.received is not None:
        return f"The call is heard at {command.received:+g} dB."
    return f"You are heard at {command.sent:+g} dB."


def digit(state: ConsoleState, character: str) -> wire.Command | None:
    """A digit pressed outside any field: DTMF for the call on show, or None where no call takes it."""
    call = state.call
    leg = state.leg_of(call)
    if character not in DTMF or call is None or leg is None or leg.state != "answered":
        return None
    return wire.SendDigits(digits=character, leg=target(state, call))


def number(text: str) -> str | Refusal:
    """A number as typed, its spacing and brackets left out."""
    typed = "".join(c for c in text if c not in " -()./\t")
    if not typed:
        return Refusal("Type a number to dial.")
    if len(typed) > 64 or not typed.isprintable():
        return Refusal("That is not a number that can be dialled.")
    return typed


def dial(text: str) -> wire.Command | Refusal:
    """A number typed into the dial box."""
    typed = number(text)
    return typed if isinstance(typed, Refusal) else wire.Dial(number=typed)


TYPED = DTMF | {"+"}
STARTS_NUMBER = frozenset("0123456789*#+")
