"""Whispers: to the end, cut, or not at all; at the headset through the media thread itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from virtual_time import virtual_time

from engine.media import orders
from engine.media.engine import MediaEngine
from engine.whisper import LONGEST, WHISPER, Whispers


class FakeMedia:
    def __init__(self) -> None:
        self.given: list[Any] = []

    def order(self, order: Any) -> None:
        self.given.append(order)


@pytest.fixture
def media() -> FakeMedia:
    return FakeMedia()


@virtual_time
async def test_one_that_never_ends_is_cut(media):
    began = asyncio.get_running_loop().time()
    assert await Whispers(media).play("sound", "beep") == ""
    assert asyncio.get_running_loop().time() - began == pytest.approx(LONGEST)
    assert media.given == [
        orders.Play("sound", orders.BeepSource(), tag=WHISPER), orders.StopPlay("sound")
    ]  # fmt: skip


@virtual_time
async def test_a_callee_who_hangs_up_silences_it(media):
    whispers = Whispers(media)
    task = asyncio.get_running_loop().create_task(whispers.play("s-agent", "~/who.wav"))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(media.given[0].source, orders.WavSource)
    assert "~" not in media.given[0].source.path
    assert media.given[1:] == [orders.StopPlay("s-agent")]
    whispers.gone("s-agent")  # nobody waits for it any more


@virtual_time
async def test_an_agent_who_is_gone_ends_it(media):
    whispers = Whispers(media)
    task = asyncio.get_running_loop().create_task(whispers.play("s-agent", "beep"))
    await asyncio.sleep(1)
    whispers.gone("s-other")
    whispers.gone("s-agent")
    assert await task == "The call is over."


async def test_at_the_headset_media_tells_of_its_end_and_of_a_file_that_is_not_there() -> None:
    loop = asyncio.get_running_loop()

    def told(fact: orders.Fact) -> None:
        if isinstance(fact, orders.PlaybackEnded):
            loop.call_soon_threadsafe(whispers.ended, fact)

    media = MediaEngine(told)
    whispers = Whispers(media)
    media.start()
    try:
        async with asyncio.timeout(8):
            began = loop.time()
            assert await whispers.play(orders.SOUND, "beep") == ""
            assert loop.time() - began > 0.2
            assert "/nowhere.wav cannot be read" in await whispers.play(orders.SOUND, "/nowhere.wav")
    finally:
        media.stop()
