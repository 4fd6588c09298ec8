"""An SVG of the console, made from a live run: waits for a bridged call, then saves the screen.

python scripts/screenshot.py SOCKET OUT.svg [--size 120x36] [--theme NAME] [--settle 4] [--timeout 60]
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tui.app import OffhookApp
from tui.calls import Step


async def capture(options: argparse.Namespace) -> tuple[str, str]:
    """The SVG, or nothing and why not."""
    width, height = (int(part) for part in options.size.split("x"))
    app = OffhookApp(options.socket, theme=options.theme, attached=True)
    async with app.run_test(size=(width, height)) as pilot:
        end = time.monotonic() + options.timeout
        bridged = 0.0
        while time.monotonic() < end:
            await pilot.pause(0.1)
            call = app.state.call
            if call is None or not call.up or call.step is not Step.BRIDGE:
                bridged = 0.0
            elif time.monotonic() - (bridged := bridged or time.monotonic()) >= options.settle:
                return app.export_screenshot(title="Offhook", simplify=True), ""
    state = "no call was bridged" if app.state.hello else "the engine could not be reached"
    return "", f"Nothing was saved: {state} within {options.timeout:g} seconds at {options.socket}."


def size(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{1,2}x[1-9]\d{1,2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not COLUMNSxROWS, such as 120x36")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("socket", help="the running engine's control socket")
    parser.add_argument("out", help="where to save the SVG")
    parser.add_argument("--size", type=size, default="120x36", metavar="COLUMNSxROWS")
    parser.add_argument("--theme", default="offhook")
    parser.add_argument(
        "--settle", type=float, default=4.0, help="seconds that the call must have been bridged"
    )
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for a bridged call")
    options = parser.parse_args()
    svg, problem = asyncio.run(capture(options))
    if problem:
        print(problem, file=sys.stderr)
    else:
        Path(options.out).write_text(svg, "utf-8")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
