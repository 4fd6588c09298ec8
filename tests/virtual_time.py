"""An asyncio event loop whose clock jumps to the next thing to happen: a day passes in no time.

Work in executor threads takes no virtual time: while some is under way, the clock stands still.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> Any:
        if self.loop.jobs:
            return super().select(None if timeout is None or timeout > 0 else timeout)
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("every task waits and nothing is going to happen any more")
        self.loop.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`now` is the loop's time in seconds, from 0."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jobs = 0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        self.jobs += 1

        def done(_future: object) -> None:
            self.jobs -= 1

        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(done)
        return future

    async def shutdown_default_executor(self, *_timeout: Any) -> None:
        self.jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.jobs -= 1


def virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a loop with virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
