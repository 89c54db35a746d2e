"""Compiled code made ready while a role starts, in a way that a stop need not wait for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from typing import Any

import numba

from streams.warm import CHILD, mark, warm

_config: Any = numba.config


async def get_ready(stop: asyncio.Event) -> float | None:
    """Have compiled code loaded, compiled before if need be; how many seconds that took, None where `stop` came first.

    Compiling takes up to a minute at the first start of an installation, and can be broken off by nobody: so a process
    of its own does it, which is ended with us.
    """
    began = time.perf_counter()
    if not mark().exists():
        await _compile(stop)
    if stop.is_set():
        return None
    await asyncio.to_thread(warm)
    return time.perf_counter() - began


async def _compile(stop: asyncio.Event) -> None:
    """Compile into the folder of compiled code. What goes wrong there goes wrong here again, and is told then."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams.warm", CHILD, env=os.environ | {"NUMBA_CACHE_DIR": str(_config.CACHE_DIR)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    done, stopped = asyncio.ensure_future(child.wait()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({done, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        stopped.cancel()
        await asyncio.gather(done, stopped, return_exceptions=True)
