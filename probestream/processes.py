"""Child processes that never outlive this one, whatever becomes of it; and an end that comes, whatever hangs in it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LAST_WORDS = 50
log = logging.getLogger("probestream.run")


def die_with_parent() -> Callable[[], None] | None:
    """A `preexec_fn` that makes Linux kill the child when this process dies, even by SIGKILL; None elsewhere.

    The signal follows the death of the thread that started the child, so start children from the main thread.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after the fork only simple calls are safe
    parent = os.getpid()

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return bind


def end_within(seconds: float, code: int) -> None:
    """See to it that this process is gone in `seconds`, with exit code `code`, whatever task or thread waits on.

    Work that is over has nothing left to save: a library's thread that is never joined, or a task that swallows its
    cancellation, would otherwise keep the process, and so its restart, for ever. Says on standard error what hung.
    """

    def end() -> None:
        time.sleep(seconds)
        _end(f"this process should have ended {seconds:.0f} s ago", code)

    threading.Thread(target=end, name="end for sure", daemon=True).start()


@asynccontextmanager
async def alive(beats: int = 60, every_s: float = 1.0) -> AsyncIterator[None]:
    """End this process with exit code 1 where its event loop stands still for `beats` times `every_s` seconds.

    A loop that waits for a thread which waits for the loop answers nobody, and no watchdog that is one of its tasks
    can tell. The time is counted by a thread of this process: one that was frozen, or slept with its machine, does
    not count the time for which it did not run.
    """
    beaten, over = 0, threading.Event()

    def listen() -> None:
        heard, silent = -1, 0
        while not over.wait(every_s):
            silent = silent + 1 if beaten == heard else 0
            heard = beaten
            if silent >= beats:
                _end(f"the event loop has stood still for {beats * every_s:.0f} s", 1)

    async def beat() -> None:
        nonlocal beaten
        while True:
            beaten += 1
            await asyncio.sleep(every_s / 2)

    threading.Thread(target=listen, name="is the loop alive", daemon=True).start()
    heart = asyncio.create_task(beat())
    try:
        yield
    finally:
        over.set()
        heart.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await heart


def _end(why: str, code: int) -> None:
    def say() -> None:
        log.error("%s: it is ended; its threads were at:", why)
        faulthandler.dump_traceback()

    # What hangs may be the log itself: whoever hangs there has its lock, or nobody reads standard error.
    saying = threading.Thread(target=say, name="last words", daemon=True)
    saying.start()
    for _ in range(_LAST_WORDS):  # many short ones: the time for which this process stands still is not taken off
        saying.join(0.1)
        if not saying.is_alive():
            break
    os._exit(code)
