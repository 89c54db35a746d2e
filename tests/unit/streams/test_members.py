"""Who in a consumer group is dead."""

from __future__ import annotations

import os
import subprocess
import sys

from streams.members import is_dead, member_name


def _of_another_process(code: str) -> subprocess.Popen[str]:
    program = f"from streams.members import member_name; print(member_name('p.detect'), flush=True); {code}"
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def test_member_whose_process_lives_is_alive():
    """Neither this process nor another one that runs is dead."""
    other = _of_another_process("input()")
    try:
        name = other.stdout.readline().strip()
        assert not is_dead(member_name("p.detect"), "p.detect")
        assert not is_dead(name, "p.detect")
    finally:
        other.kill()
        other.communicate()


def test_member_whose_process_was_killed_is_dead_before_and_after_it_is_reaped():
    """A killed process is dead, also while nobody has asked for its exit code."""
    other = _of_another_process("input()")
    name = other.stdout.readline().strip()
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(name, "p.detect")
    other.communicate()
    assert is_dead(name, "p.detect")


def test_earlier_process_of_the_same_number_is_dead():
    """A number that the system gave out anew does not bring its former holder back to life."""
    head, _, began = member_name("p.detect").rpartition("-")
    assert is_dead(f"{head}-{int(began) - 1}", "p.detect")


def test_members_of_other_machines_and_other_names_are_left_alone():
    """Nothing is known of processes elsewhere, nor of clients that are not ours."""
    name, space, pid, _ = member_name("p.detect").rsplit("-", 3)
    assert not is_dead(f"{name}-{'0' * len(space)}-{pid}-1", "p.detect")
    assert not is_dead(f"other-{space}-{pid}-1", "p.detect")
    assert not is_dead("rdkafka", "p.detect")
    assert not is_dead("", "p.detect")
