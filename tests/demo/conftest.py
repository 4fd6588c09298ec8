from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rawphone import Phone

from engine.demo.process import CarrierProcess

USERS = '[[users]]\nname = "1001"\npassword = "demo pass"\n[[users]]\nname = "1002"\npassword = "other"\n'


class Carriers:
    """Starts carriers whose directories are written in the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[CarrierProcess] = []

    def start(self, numbers: str, settings: str = "", record: bool = False) -> CarrierProcess:
        path = self.folder / f"directory-{len(self.running)}.toml"
        path.write_text(f"[carrier]\n{settings}\n{USERS}\n{numbers}", "utf-8")
        carrier = CarrierProcess(directory=path, record_dir=self.folder / "recordings" if record else None)
        self.running.append(carrier)
        return carrier


@pytest.fixture
def carriers(tmp_path: Path) -> Iterator[Carriers]:
    made = Carriers(tmp_path)
    yield made
    for carrier in made.running:
        carrier.close()
        assert not [e for e in carrier.events if e["event"] == "internal_error"]


Call = Callable[..., tuple[CarrierProcess, Phone]]


@pytest.fixture
def line(carriers: Carriers) -> Call:
    """A carrier with one number, 5550001, and a phone: `line('answer_after = 0')`."""

    def make(callee: str, settings: str = "", record: bool = False) -> tuple[CarrierProcess, Phone]:
        carrier = carriers.start(f"[numbers.5550001]\n{callee}\n", settings, record)
        return carrier, Phone(carrier.sip)

    return make
