"""Writes docs/wire.md from the message types: `python -m engine.control.docs > docs/wire.md`."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from engine.control import messages
from engine.control.messages import MAX_LINE, WIRE_VERSION, Command, Event, Request

INTRO = f"""# The control wire

Everything that can be seen of the engine, and everything that it can be told, goes over one Unix socket:
the console uses it, `offhook ctl` uses it, and any other program may. This page is generated from the
message types in `engine/control/messages.py`. The wire's version is **{WIRE_VERSION}**.

## How to talk

- The socket is `control.socket` in the configuration, by default `control.sock` in the user's runtime
  directory. It has mode 0600: only the user who runs the engine can connect.
- Each line, either way, is one JSON object in UTF-8, ended by a newline, {MAX_LINE:,} bytes at most.
- The engine speaks first: a `hello` with the wire's version, then a `snapshot` of all that is known. Every
  later event changes that picture.
- Down go requests: `{{"id": 1, "command": {{"type": "pause"}}}}`. Each gets one `reply` with its `id`.
  Requests of one connection begin in order but may finish out of order.
- `ok` false means that nothing was changed, and `error` says why in one sentence. A line that is no request
  gets a `reply` too, with its `id` where that could be read and `null` where not.
- A field with a default may be left out. Unknown fields in a request are errors. A reader of events ignores
  fields and events that it doesn't know: they may be added without a new version.
- A client that reads too slowly gets no `meters` and no `spectrum`, and is disconnected with a `bye` when
  much is left unread.
- Times named `at` are UNIX seconds (UTC); fields ending in `_ms` are milliseconds, in `_s` seconds.

With nothing but a shell:

    echo '{{"id": 1, "command": {{"type": "pause"}}}}' |
        socat - UNIX-CONNECT:$XDG_RUNTIME_DIR/offhook/control.sock
"""


def page() -> str:
    """The whole page, Markdown."""
    parts = [INTRO, "## Requests\n", _section(Request, "request"), "## Commands\n"]
    parts += [_section(kind) for kind in get_args(Command)]
    parts.append("## Events\n")
    parts += [_section(kind) for kind in get_args(Event)]
    parts.append("## Parts of events\n")
    parts += [_section(kind, kind.__name__) for kind in _parts()]
    return "\n".join(parts)


def _parts() -> list[Any]:
    """Structs that appear inside events only, in the order of their definition."""
    whole = {*get_args(Command), *get_args(Event), Request, messages.Struct, messages.Up}
    found = [k for k in vars(messages).values() if inspect.isclass(k) and issubclass(k, msgspec.Struct)]
    return [kind for kind in found if kind not in whole]


def _section(kind: Any, name: str = "") -> str:
    notes = _field_notes(kind)
    text = [f"### `{name or kind.__struct_config__.tag}`\n", inspect.cleandoc(kind.__doc__ or "") + "\n"]
    fields = msgspec.structs.fields(kind)
    if fields:
        text += ["| field | type | default | |", "|---|---|---|---|"]
        for field in fields:
            cells = [f"`{field.encode_name}`", _type(field.type), _default(field), notes.get(field.name, "")]
            text.append("| " + " | ".join(cells) + " |")
        text.append("")
    return "\n".join(text)


def _type(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in args)
    if origin in (Union, UnionType):
        if set(args) == set(get_args(Command)):
            return "a command"
        return " or ".join(_type(a) for a in args)
    if origin is list:
        return f"list of {_type(args[0])}"
    if origin is tuple:
        return f"list of {' and '.join(_type(a) for a in args)}"
    if origin is dict:
        return f"object of {_type(args[1])}"
    if kind is NoneType:
        return "null"
    names = {str: "text", int: "integer", float: "number", bool: "true or false", bytes: "base64"}
    if kind in names:
        return names[kind]
    tag = kind.__struct_config__.tag
    anchor = (tag or kind.__name__).lower()
    return f"[`{tag or kind.__name__}`](#{anchor})"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is not msgspec.NODEFAULT:
        return f"`{json.dumps(field.default)}`"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{json.dumps(field.default_factory())}`"
    return "needed"


def _field_notes(kind: Any) -> dict[str, str]:
    """The text that stands under each field in the source."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    notes: dict[str, str] = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            notes[field.target.id] = " ".join(str(after.value.value).split())
    return notes


if __name__ == "__main__":
    sys.stdout.write(page())
