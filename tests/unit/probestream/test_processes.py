"""That a process whose work is over is gone, whatever still waits in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

THREAD = """
import threading
from probestream.processes import end_within
threading.Thread(target=threading.Event().wait, name="never joined").start()
end_within({seconds}, {code})
"""
TASK = """
import asyncio
from probestream.processes import end_within

async def swallow():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def main():
    global task
    task = asyncio.create_task(swallow())
    await asyncio.sleep(0)

with asyncio.Runner() as runner:
    runner.run(main())
    end_within({seconds}, {code})
"""


@pytest.mark.parametrize("hanging", [THREAD, TASK], ids=["a thread", "a task"])
@pytest.mark.parametrize("code", [0, 1])
def test_what_hangs_does_not_keep_the_process(hanging, code):
    """Neither a thread that nobody ends nor a task that swallows its cancellation; the exit code is the given one."""
    done = subprocess.run(
        [sys.executable, "-c", hanging.format(seconds=0.1, code=code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert "should have ended" in done.stderr
    assert "Current thread" in done.stderr  # where each thread was


def test_a_process_that_ends_is_not_held_up():
    """Where nothing hangs the process ends at once, and nothing is said."""
    done = subprocess.run(
        [sys.executable, "-c", "from probestream.processes import end_within\nend_within(3600, 5)"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
