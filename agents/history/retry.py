"""Patience with a SQL server that is away or a file that is locked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("probestream.history")
_FIRST_S, _LONGEST_S = 0.1, 10.0


def passes(error: Exception) -> bool:
    """Whether the same statement may succeed later: the server is away, the file locked, the disk full."""
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError, OSError)):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


async def until_done(work: Callable[[], None], stop: asyncio.Event, complaint: str) -> bool:
    """Do `work` in a thread until it succeeds, waiting longer after each failure; False when `stop` came first.

    Raises what `work` raises, where waiting would not help.
    """
    wait = _FIRST_S
    failures = 0
    while True:
        try:
            await asyncio.to_thread(work)
        except Exception as error:
            if not passes(error):
                raise
            failures += 1
            # Not str(error): it has the statement and its values, thousands of them.
            cause = error.orig if isinstance(error, DBAPIError) else error
            _log.warning("%s, will try again in %.1f s: %s", complaint, wait, cause)
        else:
            if failures:
                _log.info("the SQL history answers again after %d failures", failures)
            return True
        if stop.is_set():
            return False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)
        wait = min(wait * 2, _LONGEST_S)
