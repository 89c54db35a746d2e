"""Runs a role inside the test, as the supervisor runs it in a process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

# What goes well is over at once, and no deadline is a promise of the product: on a machine that has much else to do,
# any process may stand still for seconds, and one after the other.
PATIENCE_S = 120.0


@asynccontextmanager
async def running(run: Callable[..., Awaitable[None]], **arguments: Any) -> AsyncIterator[asyncio.Event]:
    """The role `run`, ready; yields its stop event, and stops it at the end."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.ensure_future(run(**arguments, stop=stop, ready=ready.set))
    waiting = asyncio.ensure_future(ready.wait())
    try:
        await asyncio.wait({task, waiting}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        assert ready.is_set(), f"not ready within {PATIENCE_S:.0f} s"
        yield stop
    finally:
        waiting.cancel()
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


async def until(condition: Callable[[], Any], timeout: float = PATIENCE_S, why: str | Callable[[], str] = "") -> Any:
    """What `condition` returns, or awaits to, as soon as that is true; an assertion error after `timeout`."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError((why() if callable(why) else why) or "the condition did not come true")
        await asyncio.sleep(0.05)
