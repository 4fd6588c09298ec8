"""The keys: one table of what can be done, under which id, by which key. Users remap by id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from textual.binding import Binding
from textual.keys import Keys

DTMF = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Key:
    """One thing to do. `keys` is comma-separated. `always` works even while typing in a field."""

    id: str
    keys: str
    label: str
    help: str
    group: str
    always: bool = False


KEYS: tuple[Key, ...] = (
    Key("hangup", "f8", "Hang up", "Hang up the call on show, every leg of it", "Call", always=True),
    Key("stop", "f9", "Stop all", "Pause the queue and hang up every call", "Call", always=True),
    Key("accept", "a", "Bridge", "Take the waiting callee: bridge to the operator", "Call"),
    Key("answer", "i", "Answer", "Answer the incoming call that rings", "Call"),
    Key("refuse", "x", "Refuse", "Refuse the incoming call that rings, as busy", "Call"),
    Key("refuse_as", "z", "Refuse as", "Refuse it with an answer of your choice", "Call"),
    Key("hold", "h", "Hold", "Hold the callee, or take them back", "Call"),
    Key("mute", "m", "Mute", "Mute the operator, or unmute", "Call"),
    Key("transfer", "f", "Transfer", "Hand the call to a number, or join it with the other call", "Call"),
    Key("consult", "k", "Consult", "Hold the call and call somebody beside it", "Call"),
    Key("conference", "j", "Join all", "Join who is on hold with this call: all talk with all", "Call"),
    Key("supervise", "b", "Supervise", "Have somebody listen to the call, whisper to you or join in", "Call"),
    Key("talk", "space", "Talk", "Hold it down to talk, where audio.push_to_talk is set", "Call"),
    Key("talk_on", "y", "Mic on/off", "Open the push-to-talk microphone, or close it again", "Call"),
    Key("softer", "minus", "Softer", "Hear the call 3 dB softer", "Call"),
    Key("louder", "equals_sign", "Louder", "Hear the call 3 dB louder", "Call"),
    Key("mic_softer", "comma", "Mic softer", "Be heard 3 dB softer", "Call"),
    Key("mic_louder", "full_stop", "Mic louder", "Be heard 3 dB louder", "Call"),
    Key("record", "r", "Record", "Record this call; pause the recording, go on with it", "Call"),
    Key("teach", "g", "Teach", "Say what the unknown announcement of the call just heard was", "Call"),
    Key("wrap_up", "w", "Wrap up", "Write down how the call ended, and end its wrap-up", "Call"),
    Key("trace", "v", "Messages", "Show the SIP messages of the call on show, or the last", "Call"),
    Key("next_call", "c", "Other call", "Show the next call, where several are up", "Call"),
    Key("dial", "d", "Dial", "Go to the dial box", "Queue"),
    Key("next", "n", "Next", "Dial the next entry of the queue now, even while paused", "Queue"),
    Key("pause", "p", "Run/pause", "Work the queue, or pause it; calls that are up go on", "Queue"),
    Key("skip", "s", "Skip", "Leave the selected entry out; one being called is hung up", "Queue"),
    Key("redial", "e", "Redial", "Put the selected entry back into the queue, in front", "Queue"),
    Key("load", "l", "Load", "Add the rows of a CSV file to the queue", "Queue"),
    Key("operator", "o", "Operator", "How the operator is reached: headset or agent's phone", "Console"),
    Key("dnd", "u", "DND", "Do not disturb: new incoming calls get busy, or ring again", "Console"),
    Key("zoom_in", "right_square_bracket", "Zoom in", "Show less time on the timeline", "Console"),
    Key("zoom_out", "left_square_bracket", "Zoom out", "Show more time on the timeline", "Console"),
    Key("theme", "t", "Theme", "Use the next theme", "Console"),
    Key("help", "f1,question_mark", "Keys", "Show every key", "Console"),
    Key("quit", "q", "Quit", "Close the console; asks first while calls are up", "Console"),
)

BY_ID = {key.id: key for key in KEYS}

TAKEN = {
    "up": "moves in the queue",
    "down": "moves in the queue",
    "pageup": "moves in the queue",
    "pagedown": "moves in the queue",
    "home": "moves in the queue",
    "end": "moves in the queue",
    "tab": "moves between panes",
    "shift+tab": "moves between panes",
    "enter": "confirms",
    "escape": "leaves a field",
    "ctrl+c": "copies",
    "ctrl+q": "quits",
}

SHOWN = {
    "question_mark": "?",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "space": "Space",
    "comma": ",",
    "full_stop": ".",
    "slash": "/",
    "semicolon": ";",
    "equals_sign": "=",
    "minus": "-",
}

_NAMED = (
    {key.value for key in Keys}
    | set(SHOWN)
    | {
        "colon",
        "apostrophe",
        "quotation_mark",
        "backslash",
        "vertical_line",
        "exclamation_mark",
        "at",
        "percent_sign",
        "dollar_sign",
        "ampersand",
        "underscore",
        "tilde",
        "grave_accent",
        "circumflex_accent",
        "less_than_sign",
        "greater_than_sign",
        "left_curly_bracket",
        "right_curly_bracket",
        "left_parenthesis",
        "right_parenthesis",
        "plus",
        "asterisk",
        "number_sign",
    }
)
_MODIFIERS = ("ctrl+", "shift+", "alt+", "super+", "meta+", "hyper+")


class KeysError(Exception):
    """A remapping that can't be used; `str()` is one clear sentence."""


def default_keymap() -> dict[str, str]:
    return {key.id: key.keys for key in KEYS}


def parse_keys(text: str) -> dict[str, str]:
    """The `--keys` option: a JSON object of id to key. Raises KeysError."""
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise KeysError(f'--keys is not JSON ({error}); write it as {{"dial": "f2"}}.') from None
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise KeysError('--keys must be a JSON object of id to key, such as {"dial": "f2"}.')
    return merge(value)


def merge(changes: Mapping[str, str]) -> dict[str, str]:
    """The keymap with `changes` (id to comma-separated keys) applied. Raises KeysError."""
    merged = default_keymap()
    for name, keys in changes.items():
        if name not in BY_ID:
            raise KeysError(f"There is no key id {name!r}; the ids are: {', '.join(BY_ID)}.")
        merged[name] = ",".join(_normal(name, part.strip()) for part in keys.split(","))
    owner: dict[str, str] = {}
    for name, keys in merged.items():
        for part in keys.split(","):
            if part in owner:
                raise KeysError(
                    f"The key {shown(part)!r} is asked for by both {owner[part]!r} and {name!r}; "
                    "give one of them another."
                )
            owner[part] = name
    return merged


def _normal(name: str, key: str) -> str:
    """Textual's name of a key. Raises KeysError for one that is not a key or is not free."""
    symbol = next((long for long, short in SHOWN.items() if short == key), key)
    if symbol in DTMF or symbol in ("asterisk", "number_sign"):
        raise KeysError(f"{name!r} can't have the key {key!r}: it is a DTMF digit and goes to the call.")
    if symbol in TAKEN:
        raise KeysError(f"{name!r} can't have the key {key!r}: it {TAKEN[symbol]}.")
    bare = symbol
    while bare.startswith(_MODIFIERS):
        bare = bare.partition("+")[2]
    if bare not in _NAMED and not (len(bare) == 1 and bare.isprintable() and bare.isalpha()):
        raise KeysError(f"{key!r}, asked for by {name!r}, is not a key; use one such as f2, ctrl+d or z.")
    if BY_ID[name].always and len(bare) == 1 and bare == symbol:
        raise KeysError(
            f"{name!r} works while typing too, so it can't be the key {key!r}; use one such as f8."
        )
    return symbol


def shown(keys: str) -> str:
    """A key as the screen names it: `f8` is F8, `question_mark` is ?"""
    first = keys.split(",")[0]
    head, plus, last = first.rpartition("+")
    last = SHOWN.get(last, last)
    if len(last) > 1 and last[0] == "f" and last[1:].isdigit():
        last = last.upper()
    return f"^{last}" if head == "ctrl" else f"{head}{plus}{last}"


def bindings(*, always: bool) -> list[Binding]:
    """Textual bindings of the table; those that work while typing belong to the app, not a screen."""
    return [
        Binding(key.keys, f"act('{key.id}')", key.label, id=key.id, priority=key.always, show=False)
        for key in KEYS
        if key.always == always
    ]
