"""`python -m tui --socket PATH`: the console of a running engine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tui.keymap import KeysError, parse_keys
from tui.theme import DEFAULT, ThemeError

BAD_USE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tui", description="The console of a running Offhook engine."
    )
    parser.add_argument("--socket", required=True, metavar="PATH", help="the engine's control socket")
    parser.add_argument("--theme", default=DEFAULT, metavar="NAME", help="a theme's name, or a .toml file")
    parser.add_argument("--keys", default="{}", metavar="JSON", help='remapped keys: {"dial": "f2"}')
    parser.add_argument("--attached", action="store_true", help="the engine was running before: never end it")
    parser.add_argument("--check", action="store_true", help="only say whether --keys is right")
    options = parser.parse_args(argv)
    try:
        keys = parse_keys(options.keys)
        if options.check:
            return 0
        from tui.app import OffhookApp

        app = OffhookApp(options.socket, keys=keys, theme=options.theme, attached=options.attached)
    except (KeysError, ThemeError) as error:
        print(error, file=sys.stderr)
        return BAD_USE
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("The console needs a terminal; `offhook run` and `offhook ctl` need none.", file=sys.stderr)
        return BAD_USE
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
