"""How fast an integration is called."""

from __future__ import annotations

import asyncio

from agents.notify.pace import Gate, Pacer


def test_without_a_complaint_there_is_no_pause():
    """Calls go out at once, any number of them."""
    pacer = Pacer()
    assert [pacer.reserve(5.0) for _ in range(3)] == [5.0, 5.0, 5.0]


def test_after_a_429_the_pause_is_kept_and_then_one_a_second():
    """The pause asked for, then a second between calls, and after a minute full speed again."""
    pacer = Pacer()
    pacer.throttled(10.0, 5.0)
    assert pacer.paused_until(11.0) == 15.0
    assert [pacer.reserve(11.0) for _ in range(3)] == [15.0, 16.0, 17.0]
    assert pacer.reserve(80.0) == 80.0
    assert pacer.reserve(80.0) == 80.0


def test_a_shorter_pause_does_not_shorten_a_longer_one():
    """Answers to calls that crossed may come in any order."""
    pacer = Pacer()
    pacer.throttled(0.0, 10.0)
    pacer.throttled(1.0, 1.0)
    assert pacer.paused_until(2.0) == 10.0


async def test_a_gate_lets_so_many_through_at_once():
    """The ceiling holds, and everybody gets through."""
    gate, inside, most = Gate(3), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with gate.turn():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(20)))
    assert most == 3
