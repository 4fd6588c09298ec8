"""Keeps one side of the sound card going: opens its device, stands in for one that is gone, brings it back.

Each side has a thread here, since opening takes long and a device that was pulled out may never answer; the
media thread only finds another end to read from or write to.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.media.sound.loudspeaker import Loudspeaker
from engine.media.sound.microphone import Microphone
from engine.media.sound.process import Side, SoundError, SoundProcess

POLL_S = 2.0
"""How often a device that is missing is looked for."""
SOON = 15
"""So many times; after that only when something was plugged in or out, and every RARE_S seconds."""
RARE_S = 30.0

End = Microphone | Loudspeaker


@dataclass(frozen=True, slots=True)
class SideState:
    """What one side is doing. `name` is the open device's, or `none`; `problem` one sentence or empty."""

    name: str
    problem: str
    end: End | None


class Keeper:
    """A thread that serves one side until `stop`.

    `changed` is called in it with each new state; where it returns False nobody wants that state's end.
    """

    def __init__(
        self, side: Side, what: str, wanted: str, changed: Callable[[SideState], bool], after: Keeper | None
    ) -> None:
        """`what` names the side in sentences. `after` is whoever must let go of its device first."""
        self._side = side
        self._what = what
        self._wanted = wanted
        self._changed = changed
        self._after = after
        self._opening: SoundProcess | None = None
        self._process: SoundProcess | None = None
        self._name = "none"
        self._has_wanted = False
        """Whether the process is that of the wanted device."""
        self._told: SideState | None = None
        self._stopping = False
        self._ended = False
        self._lock = threading.Lock()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"sound-{what}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have it close its device; returns at once."""
        self._stopping = True
        with self._lock, contextlib.suppress(OSError):
            if not self._ended:
                os.eventfd_write(self._wake, 1)
        opening = self._opening
        if opening is not None:
            opening.kill()

    def join(self, timeout: float | None = None) -> None:
        """Wait until its device is closed."""
        self._thread.join(timeout)

    # --- its thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            if self._after is not None:
                self._after.join()
                self._after = None
            self._keep()
        finally:
            self._drop()
            self._told = None
            with self._lock:  # its number may be another file's at once
                self._ended = True
                os.close(self._wake)

    def _keep(self) -> None:
        looking = _Looking()
        lost = ""  # why the wanted device went
        while not self._stopping:
            if not self._has_wanted and looking.due():
                lost = self._find(lost)
            said = self._wait(POLL_S)
            if said and not self._stopping:
                lost = said if self._has_wanted else lost
                self._drop()
                self._tell(SideState("none", said, None))
                looking = _Looking()

    def _find(self, lost: str) -> str:
        """Try for the wanted device, and where nothing plays for a stand-in; why the former isn't there."""
        try:
            self._open(self._wanted, True, "")
            return ""
        except SoundError as error:
            lost = lost or str(error)
        if self._process is None and self._wanted != "default":
            try:
                self._open("default", False, lost)
                return lost
            except SoundError:
                pass  # what became of the wanted one says more
        if self._process is None:
            self._tell(SideState("none", lost, None))
        return lost

    def _open(self, device: str, wanted: bool, lost: str) -> None:
        process = SoundProcess(self._side, device)
        self._opening = process
        if self._stopping:
            process.kill()
        opened = process.open()
        self._opening = None
        old, self._process, self._has_wanted, self._name = self._process, process, wanted, opened.name
        make = Microphone if self._side == "input" else Loudspeaker
        problem = f"{lost} {opened.name!r} stands in until it is there." if lost else ""
        self._tell(SideState(opened.name, problem, make(process.sock, opened.rate, opened.channels)))
        if old is not None:
            old.close()

    def _tell(self, state: SideState) -> None:
        if state == self._told:
            return
        self._told = state
        if (self._stopping or not self._changed(state)) and state.end is not None:
            state.end.close()

    def _drop(self) -> None:
        process, self._process, self._has_wanted = self._process, None, False
        if process is not None:
            process.close()

    def _wait(self, seconds: float) -> str:
        """Until the device is gone (the sentence that says so), `stop`, or so many seconds."""
        poll = select.poll()  # select() takes no descriptor above 1023
        poll.register(self._wake, select.POLLIN)
        process = self._process
        if process is not None:
            poll.register(process.fileno(), select.POLLIN)
        ready = [fd for fd, _ in poll.poll(seconds * 1000)]
        if process is None or process.fileno() not in ready:
            return ""
        try:
            said = process.line(1.0) or {}
        except EOFError:
            said = {}
        return str(said.get("gone") or f"The {self._what} {self._name!r} has stopped.")


class _Looking:
    """When to look for a device that is missing."""

    def __init__(self) -> None:
        self._tries = 0
        self._last = 0.0
        self._plugged = ""

    def due(self) -> bool:
        now, plugged = time.monotonic(), _plugged()
        if self._tries >= SOON and plugged == self._plugged and now - self._last < RARE_S:
            return False
        if plugged != self._plugged:
            self._tries = 0
        self._tries, self._last, self._plugged = self._tries + 1, now, plugged
        return True


def _plugged() -> str:
    """What changes when a sound card comes or goes, or a sound server starts, without asking PortAudio."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere"))
    signs = []
    for path in (Path("/proc/asound/cards"), runtime / "pulse" / "native", runtime / "pipewire-0"):
        try:
            signs.append(path.read_text("utf-8", "replace") if path.is_file() else str(path.exists()))
        except OSError:
            signs.append("")
    return "\n".join(signs)
