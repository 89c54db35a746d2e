"""One supervised process: restarts, pauses, ends."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys

import pytest

from probestream.supervisor import child as child_module
from probestream.supervisor.child import Child, Spec, State, describe_exit, pause
from tests.kit.role import PATIENCE_S

STEADY = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
DEAF = "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"


def spec(tmp_path, code, lines=None):
    ready_file = tmp_path / "ready"

    async def ready():
        return ready_file.exists()

    return Spec(
        name="stand-in",
        command=(sys.executable, "-c", code, str(ready_file)),
        log=tmp_path / "log",
        ready=ready,
        before=lambda: ready_file.unlink(missing_ok=True),
        on_line=(lines if lines is not None else []).append,
    )


async def until(child, state, changes):
    async with asyncio.timeout(PATIENCE_S):
        while child.state is not state:
            await changes.get()


def make(tmp_path, code):
    changes: asyncio.Queue[State] = asyncio.Queue()
    child = Child(spec(tmp_path, code), lambda c: changes.put_nowait(c.state))
    return child, changes


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (1000, 30)]
)
def test_the_pause_doubles_up_to_half_a_minute(failures, seconds):
    """A role that cannot start is tried again after 1, 2, 4 … at most 30 s."""
    assert pause(failures) == seconds


@pytest.mark.parametrize(("code", "text"), [(1, "exit code 1"), (-9, "SIGKILL"), (-15, "SIGTERM"), (-99, "signal 99")])
def test_an_end_is_told_in_words(code, text):
    """A person reads SIGKILL, not -9."""
    assert describe_exit(code) == text


async def test_a_killed_child_runs_again_and_says_why(tmp_path, monkeypatch):
    """SIGKILL leads to a restart after the pause, with the count and the reason kept."""
    monkeypatch.setattr(child_module, "FIRST_PAUSE_S", 0.05)
    child, changes = make(tmp_path, STEADY)
    child.start()
    await until(child, State.RUNNING, changes)
    first = child.pid
    os.kill(first, signal.SIGKILL)
    await until(child, State.BACKOFF, changes)
    assert (child.last_exit, child.restarts) == ("SIGKILL", 1)
    await until(child, State.RUNNING, changes)
    assert child.pid != first
    child.stop()
    assert await child.ended(PATIENCE_S)
    assert (child.state, child.pid) == (State.STOPPED, None)


async def test_pauses_grow_while_it_fails(tmp_path, monkeypatch):
    """A child that ends at once is not started in a tight loop."""
    monkeypatch.setattr(child_module, "FIRST_PAUSE_S", 0.01)
    child, changes = make(tmp_path, "raise SystemExit(3)")
    child.start()
    pauses = []
    while len(pauses) < 3:
        async with asyncio.timeout(PATIENCE_S):
            if await changes.get() is State.BACKOFF:
                pauses.append(child.pause_s)
    assert pauses == [0.01, 0.02, 0.04]
    assert child.last_exit == "exit code 3"
    child.stop()
    assert await child.ended(PATIENCE_S)


async def test_pauses_start_anew_after_a_healthy_time(tmp_path, monkeypatch):
    """A child that worked for long before it died is started again quickly."""
    monkeypatch.setattr(child_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(child_module, "HEALTHY_AFTER_S", 0.0)
    child, changes = make(tmp_path, STEADY)
    child.start()
    for _ in range(3):
        await until(child, State.RUNNING, changes)
        os.kill(child.pid, signal.SIGKILL)
        await until(child, State.BACKOFF, changes)
        assert child.pause_s == 0.01
    child.stop()
    assert await child.ended(PATIENCE_S)


async def test_a_child_that_ignores_sigterm_is_still_there_to_be_killed(tmp_path):
    """`ended` tells the truth, and SIGKILL ends it."""
    child, changes = make(tmp_path, DEAF)
    child.start()
    await until(child, State.RUNNING, changes)
    child.stop()
    assert not await child.ended(0.3)
    child.stop(signal.SIGKILL)
    assert await child.ended(PATIENCE_S)


async def test_stopping_during_the_pause_ends_at_once(tmp_path, monkeypatch):
    """Nobody waits for a restart that will not come."""
    monkeypatch.setattr(child_module, "FIRST_PAUSE_S", 3600.0)
    monkeypatch.setattr(child_module, "LONGEST_PAUSE_S", 3600.0)
    child, changes = make(tmp_path, "raise SystemExit(1)")
    child.start()
    await until(child, State.BACKOFF, changes)
    child.stop()
    assert await child.ended(PATIENCE_S)
    assert child.state is State.STOPPED


async def test_a_command_that_does_not_exist_is_a_failure_like_any_other(tmp_path):
    """It is retried, and the reason is kept."""
    changes: asyncio.Queue[State] = asyncio.Queue()
    made = spec(tmp_path, "")
    made.command = ("/no/such/program",)
    child = Child(made, lambda c: changes.put_nowait(c.state))
    child.start()
    await until(child, State.BACKOFF, changes)
    assert child.last_exit == "not started: No such file or directory"
    child.stop()
    assert await child.ended(PATIENCE_S)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_children_die_with_a_parent_that_is_killed():
    """SIGKILL on the supervisor leaves no child behind."""
    code = (
        "import subprocess, sys, time; from probestream.processes import die_with_parent\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'],"
        " stdout=subprocess.PIPE, start_new_session=True, preexec_fn=die_with_parent())\n"
        "p.stdout.readline(); print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        held = os.pidfd_open(pid)
        try:
            parent.kill()
            parent.wait()
            signalled = _wait_pidfd(held, PATIENCE_S)
        finally:
            os.close(held)
    assert signalled


def _wait_pidfd(held, timeout_s):
    return bool(select.select([held], [], [], timeout_s)[0])
