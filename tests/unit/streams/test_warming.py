"""Compiling that a stop need not wait for."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from streams import warm, warming
from tests.kit.role import until

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]


def compiling():
    """The processes that compile for this one."""
    return [c for c in psutil.Process().children() if "streams.warm" in c.cmdline()]


async def test_stop_ends_what_compiles(tmp_path, monkeypatch):
    """A stop while all is compiled anew ends the process that does it, and is not waited for."""
    monkeypatch.setattr(warming._config, "CACHE_DIR", str(tmp_path))
    stop = asyncio.Event()
    ready = asyncio.create_task(warming.get_ready(stop))
    await until(compiling, why="nothing compiles")
    assert not ready.done()
    stop.set()
    assert await ready is None
    assert not compiling()
    assert not warm.mark().exists()


async def test_what_was_compiled_is_loaded_here():
    """Once all is compiled, which is noted, no process is started for it."""
    assert warm.mark().exists()
    ready = asyncio.create_task(warming.get_ready(asyncio.Event()))
    while not ready.done():
        assert not compiling()
        await asyncio.sleep(0.02)
    assert ready.result() is not None
