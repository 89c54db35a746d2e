"""That a process whose work is over, or whose event loop stands still, is gone, whatever still waits in it."""

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
LOOP = """
import asyncio, time
from probestream.processes import alive

async def main():
    async with alive(beats=100, every_s=0.02):
        {work}

asyncio.run(main())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("hanging", [THREAD, TASK], ids=["a thread", "a task"])
@pytest.mark.parametrize("code", [0, 1])
def test_what_hangs_does_not_keep_the_process(hanging, code):
    """Neither a thread that nobody ends nor a task that swallows its cancellation; the exit code is the given one."""
    done = run(hanging.format(seconds=0.1, code=code))
    assert done.returncode == code
    assert "should have ended" in done.stderr
    assert "Current thread" in done.stderr  # where each thread was


def test_a_process_that_ends_is_not_held_up():
    """Where nothing hangs the process ends at once, and nothing is said."""
    done = run("from probestream.processes import end_within\nend_within(3600, 5)")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_loop_that_stands_still_is_the_end_of_the_process():
    """A call that blocks the event loop for good ends the process, which says where it stood."""
    done = run(LOOP.format(work="import threading; threading.Event().wait()"))
    assert done.returncode == 1
    assert "the event loop has stood still" in done.stderr
    assert "in main" in done.stderr


def test_a_loop_that_is_at_work_goes_on():
    """A loop that only waits, for much longer than it may stand still, is left alone."""
    done = run(LOOP.format(work="await asyncio.sleep(4.0)"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_loop_that_stands_still_in_its_log_is_the_end_too():
    """Whoever reads the log has stopped, or a handler never returns: nothing can be said, and the process ends."""
    held = "import logging, threading; logging.lastResort.acquire(); threading.Event().wait()"
    assert run(LOOP.format(work=held)).returncode == 1
