"""Calls that block."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from agents.probe import threads
from agents.probe.threads import TooManyBlockedError, in_thread


async def test_result_and_error():
    """What the call returns or raises is the caller's."""
    assert await in_thread(lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)


async def test_a_call_that_hangs_is_left_to_itself():
    """The caller's timeout holds, and the loop is never blocked."""
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await in_thread(gate.wait)
    gate.set()


async def test_hanging_calls_do_not_pile_up(monkeypatch):
    """With every thread blocked a further call fails within about a second, and works again when one is free."""
    monkeypatch.setattr(threads, "_slots", threading.BoundedSemaphore(2))
    gate = threading.Event()
    hanging = [asyncio.create_task(in_thread(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyBlockedError):
        await in_thread(time.time)
    gate.set()
    await asyncio.gather(*hanging)
    assert await in_thread(time.time) > 0
