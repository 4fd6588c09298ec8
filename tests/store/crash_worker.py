"""Works a queue on a trunk of fakes and prints what it does, until it is killed: url, numbers as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

from dialer_fakes import FakeLeg, FakeLine, config, fate

from engine.dialer.dialer import Dialer
from engine.dialer.ports import NewRow
from engine.dialer.seats import HeadsetPrompt
from engine.store.store import SqlStore


class SayingLine(FakeLine):
    def dial(self, number: str, **options: object) -> FakeLeg:
        print("dial", number, flush=True)
        self.fates[number] = fate(0.001, "answers", 0.002, "far_bye")
        return super().dial(number, **options)  # type: ignore[arg-type]


async def silent(what: str) -> str:
    return ""


async def main(url: str, numbers: list[str]) -> None:
    store = SqlStore(url)
    await store.open()
    print("opened", flush=True)
    campaign = await store.open_campaign("")
    await store.add_rows(campaign.id, [NewRow(number) for number in numbers])
    prompt = HeadsetPrompt(0.0, lambda: True, silent)
    settings = config(dialer={"autostart": True})
    line = SayingLine()
    dialer = Dialer(
        settings, line, prompt, store, lambda: datetime.now(UTC), lambda notice: None  # type: ignore[arg-type]
    )
    await dialer.start()
    await dialer.worked()
    rows = await store.page(campaign.id, 0, 1000)
    print("worked", json.dumps({row.number: row.state for row in rows}), flush=True)
    await dialer.close()
    await store.close()


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
