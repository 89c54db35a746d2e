"""Rollups of samples that come in time, late and very late, and what history makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.detect.outputs import rollup_key, rollups
from agents.history.merge import merge_some
from agents.history.rows import Rows
from agents.history.store import Store
from streams import blocks
from streams import history_queries as queries
from streams.history import connect
from tests.kit.folding import START, Log, fold, rule

if TYPE_CHECKING:
    from schemas import Rollup

SECOND, MINUTE = 1000, 60_000


def told(log: Log, partition, *samples, after: int) -> list[Rollup]:
    """What is told after a record of these samples (target, ok, latency, ms before now)."""
    outcome = partition.take([log(*samples, after=after)])
    assert not outcome.refused
    return rollups(partition, log.now)


def test_a_very_late_sample_is_told_with_its_five_minutes() -> None:
    """The short pane is gone, so the long one is told, with all that is in it, under a key of its own."""
    log, partition = Log(START - START % (5 * MINUTE)), fold()
    begin = log.now
    told(log, partition, ("shop", True), after=0)
    (short,) = told(log, partition, ("shop", True), after=10 * SECOND)
    told(log, partition, ("shop", True), after=6 * MINUTE)
    (late,) = [r for r in told(log, partition, ("shop", True, 1.0, 370 * SECOND), after=0) if r.pane_ms != 10_000]
    assert (late.pane_ms, late.pane_start, late.count) == (300_000, begin, [3])
    assert short.pane_start == begin
    assert rollup_key(short) != rollup_key(late)


def test_after_it_a_late_sample_of_the_same_five_minutes_tells_them_again() -> None:
    """The short pane of a late sample is still there: the long one goes on to have all that the short ones have."""
    log, partition = Log(START - START % (5 * MINUTE)), fold()
    told(log, partition, ("shop", True), after=0)
    told(log, partition, ("shop", True, 1.0, 400 * SECOND), after=400 * SECOND)
    assert [r.pane_ms for r in told(log, partition, ("shop", True, 1.0, 200 * SECOND), after=0)] == [10_000]
    assert [(r.pane_ms, r.count) for r in told(log, partition, after=SECOND)] == [(300_000, [3])]
    assert told(log, partition, after=SECOND) == []


@pytest.mark.parametrize("how", ["restart", "other rules"])
def test_a_late_sample_tells_its_five_minutes_again_after(how: str) -> None:
    """Though which long panes were told is not stored: the next short one of these minutes tells the long one again."""
    log, partition = Log(START - START % (5 * MINUTE)), fold()
    told(log, partition, ("shop", True), after=0)
    told(log, partition, ("shop", True, 1.0, 400 * SECOND), after=400 * SECOND)
    before, partition = partition, fold([rule("down", value=1.0)] if how == "other rules" else [])
    if how == "restart":
        blocks.load(partition, dict(blocks.dump(before, everything=True)))
        partition.untold_panes(4)
    else:
        blocks.rebuild(before, partition)
    told(log, partition, ("shop", True, 1.0, 200 * SECOND), after=0)
    assert (300_000, [3]) in [(r.pane_ms, r.count) for r in told(log, partition, after=SECOND)]


AGES = st.one_of(st.integers(0, 20), st.integers(0, 900))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 120), st.lists(st.tuples(st.sampled_from("ab"), AGES), max_size=4)), max_size=30),
    st.lists(st.integers(0, 40), max_size=3),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_every_sample_is_in_the_history_once(
    steps: list[tuple[int, list[tuple[str, int]]]], merges: list[int], restarts: list[int]
) -> None:
    """However late samples come, whenever short panes are merged or detect starts again, the totals are exact."""
    log, partition = Log(), fold()
    store = Store(connect("sqlite://"))
    store.prepare()
    want = {"a": 0, "b": 0}

    def write(found: list[Rollup]) -> None:
        rows = Rows()
        for record in found:
            rows.add(record)
        store.write(rows, {})

    for number, (wait, samples) in enumerate(steps):
        write(told(log, partition, *((t, True, 1.0, age * SECOND) for t, age in samples), after=wait * SECOND))
        for target, _ in samples:
            want[target] += 1
        if number in restarts:
            stored, partition = dict(blocks.dump(partition, everything=True)), fold()
            blocks.load(partition, stored)
            partition.untold_panes(4)
        if number in merges:
            merge_some(store.engine, log.now - 10 * MINUTE)
    for _ in range(2):  # the last panes are over, and so are the long ones that are told with them
        write(told(log, partition, after=20 * SECOND))
    for _ in range(2):
        with store.engine.connect() as c:
            for target, count in want.items():
                assert queries.uptime(c, target, START - 60 * MINUTE, log.now + MINUTE).count == count
        while merge_some(store.engine, log.now + MINUTE):
            pass
    store.engine.dispose()
