"""Child processes that never outlive this one, whatever becomes of it; and an end that comes, whatever hangs."""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)
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
        log.error("this process should have ended %.0f s ago, and is ended; its threads were at:", seconds)
        faulthandler.dump_traceback()
        os._exit(code)

    threading.Thread(target=end, name="end for sure", daemon=True).start()
