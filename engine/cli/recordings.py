"""What `offhook check` says of recordings: how, where to and by which name, for an example."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

from engine.config import Config, recordings_folder
from engine.media.recording_file import SUFFIX
from engine.recording_names import fill, finish

_FORMATS = {"wav": "16-bit WAV", "wav_alaw": "A-law WAV", "wav_ulaw": "mu-law WAV", "flac": "FLAC"}
_WHAT = {
    "off": "only where the key r asks for it", "callee": "the callee's side of every call",
    "agent": "the agent's side of every call", "both": "both sides of every call, a file each",
    "analysed": "what detection listens to of every call",
}  # fmt: skip


def check_recordings(config: Config, now: datetime) -> tuple[bool, list[str]]:
    """Whether recordings can be made where they are asked for, and the lines that say how."""
    recording = config.recording
    folder = recordings_folder(recording)
    facts = {
        "number": "+15550100", "name": "Ann Example", "id": "0a1b2c3d", "attempt": "17", "leg": "callee",
        "trunk": "trunk", "agent": "8001", "campaign": "queue",
    }  # fmt: skip
    example = finish(fill(recording.name, facts, now), "bridged") + SUFFIX[recording.format]
    begin = ", from the answer" if recording.begin == "answer" else ", from early media"
    begin = "" if recording.what == "analysed" else begin
    lines = [
        f"{_WHAT[recording.what]}{begin}, {recording.layout}, {_FORMATS[recording.format]}",
        f"for example {folder / example}",
    ]
    if recording.announcement and recording.what not in ("off", "analysed"):
        lines.append(f"after the announcement {recording.announcement}")
    if recording.keep_days:
        lines.append(f"deleted after {recording.keep_days} days")
    if why := _trouble(folder, recording.min_free_mb * 1_000_000):
        return recording.what == "off", [*lines, f"recording.folder: {why}"]
    return True, lines


def _trouble(folder: Path, least: int) -> str:
    """Why nothing could be recorded now; the folder itself may still have to be made."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return f"{there} is no folder"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} can't be written"
    free = shutil.disk_usage(there).free
    if free < least:
        return f"{free / 1e6:.0f} MB are left on its disk, less than recording.min_free_mb"
    return ""
