"""Dying on purpose: a test names a step, and the process is killed there as by SIGKILL, with no chance to tidy up.

`PROBESTREAM_CRASH_AT=alert.flush.stored` kills at the first passage, `alert.flush.stored:3` at the third.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "PROBESTREAM_CRASH_AT"


def _parsed(text: str) -> tuple[str, int]:
    step, _, passage = text.partition(":")
    return step, int(passage or 1)


_step, _left = _parsed(os.environ.get(VARIABLE, ""))


def here(step: str) -> None:
    """Die, if this is the step that the environment names, and its passage; else nothing."""
    global _left
    if step != _step:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def nowhere(_step: str) -> None:
    """Nothing: in place of `here` where a passage does not count."""
