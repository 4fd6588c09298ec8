"""Legs that consoles look at are looked at in media, and no others, wherever their audio moves."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from engine.control.messages import Spectrum
from engine.looking import Looking
from engine.media.orders import Look

TONE = (8000 * np.sin(2 * np.pi * 1000 * np.arange(160) / 8000)).astype(np.int16)


class Media:
    def __init__(self) -> None:
        self.orders: list[object] = []
        self.frames: dict[str, list[tuple[float, np.ndarray]]] = {}

    def order(self, order: object) -> None:
        self.orders.append(order)

    def looked_at(self, stream: str) -> list[tuple[float, np.ndarray]]:
        return self.frames.pop(stream, [])


class Scene:
    def __init__(self) -> None:
        self.media = Media()
        legs = {"L1": SimpleNamespace(stream="s1"), "L2": SimpleNamespace(stream="s2")}
        self.line = SimpleNamespace(legs=legs)
        self.told: list[Spectrum] = []
        self.looking = Looking(self.line, self.media, self.told.append)  # type: ignore[arg-type]


def test_columns_are_told_of_who_is_looked_at_and_once() -> None:
    scene = Scene()
    scene.looking.tick({"L1", "gone"})
    assert scene.media.orders == [Look("s1", True)]
    scene.media.frames["s1"] = [(place * 0.02, TONE) for place in range(12)]
    scene.media.frames["s2"] = [(place * 0.02, TONE) for place in range(12)]
    scene.looking.tick({"L1"})
    scene.looking.tick({"L1"})
    assert [event.leg for event in scene.told] == ["L1", "L1"]
    assert len(scene.told[0].columns[0]) == 16
    assert scene.media.orders == [Look("s1", True)]


def test_the_look_follows_a_leg_to_another_stream_and_ends_with_it() -> None:
    scene = Scene()
    scene.looking.tick({"L1"})
    scene.line.legs["L1"].stream = "s9"
    scene.looking.tick({"L1"})
    del scene.line.legs["L1"]
    scene.looking.tick({"L1"})
    assert scene.media.orders == [Look("s1", True), Look("s1", False), Look("s9", True), Look("s9", False)]
