"""Calls that block, in threads that never hold up the end of the process.

A name server that does not answer holds getaddrinfo for half a minute, a dead network disk holds statvfs for ever;
an executor's threads would be joined at exit, these are not.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MOST = 64
_slots = threading.BoundedSemaphore(_MOST)


class TooManyBlockedError(OSError):
    """Every thread is waiting for the system; another one would not help."""


async def in_thread(call: Callable[..., T], *arguments: Any) -> T:
    """What `call` returns or raises; where the caller is cancelled, the thread is left to itself.

    Raises TooManyBlockedError where none gets free within the caller's patience of a second.
    """
    deadline, slots = 1.0, _slots
    while not slots.acquire(blocking=False):
        if deadline <= 0:
            raise TooManyBlockedError(f"{_MOST} look-ups are under way and none comes back: a name server is hanging")
        await asyncio.sleep(0.02)
        deadline -= 0.02
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = call(*arguments)
        except BaseException as raised:  # it is raised again, in the caller
            error = raised
        finally:
            slots.release()
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    threading.Thread(target=work, daemon=True, name=f"blocking-{getattr(call, '__name__', 'call')}").start()
    return await future
