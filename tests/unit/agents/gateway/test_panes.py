"""The last hour in memory."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from agents.gateway.panes import Panes
from schemas import Rollup
from tests.kit.records import rollup

NOW = 1_800_000_000_000.0


def two_metrics(start: float, **more: int) -> Rollup:
    """A pane of target a: its check took 5 ms, its cpu was 42."""
    made = rollup(start, {"a": (1, 0, 5)}, **more)
    made.target, made.metric = ["a", "a"], ["", "cpu"]
    for column, value in (
        ("count", 1),
        ("errors", 0),
        ("value_count", 1),
        ("value_sum", 42),
        ("value_min", 42),
        ("value_max", 42),
    ):
        getattr(made, column).append(value)
    return made


def test_a_later_rollup_replaces_and_steps_join() -> None:
    """Panes are replaced, not added; steps join counts, sums and extremes."""
    panes = Panes()
    panes.put(rollup(NOW, {"a": (1, 0, 5), "b": (9, 9, 0)}), NOW)
    panes.put(rollup(NOW, {"a": (4, 1, 60), "b": (9, 9, 0)}), NOW)
    panes.put(rollup(NOW + 10_000, {"a": (2, 0, 20), "b": (9, 9, 0)}), NOW)
    (one, two) = panes.series("a", NOW, NOW + 20_000, 10_000)
    assert (one.count, one.errors, one.mean, one.time) == (4, 1, 20, NOW)
    assert two.mean == 10
    (both,) = panes.series("a", NOW, NOW + 20_000, 20_000)
    assert (both.count, both.errors, both.mean, both.min, both.max) == (6, 1, 16, 1, 100)
    assert panes.series("nobody", NOW, NOW + 20_000, 10_000) == []


def test_metrics_are_series_of_their_own() -> None:
    """Rows of a named metric are not among the checks, and are found by that name."""
    panes = Panes()
    panes.put(two_metrics(NOW), NOW)
    assert [(p.count, p.mean) for p in panes.series("a", NOW, NOW + 1, 1000)] == [(1, 5)]
    assert [(p.count, p.mean) for p in panes.series("a", NOW, NOW + 1, 1000, "cpu")] == [(1, 42)]
    assert panes.series("a", NOW, NOW + 1, 1000, "memory") == []


def test_many_metrics_shorten_their_past_but_not_the_checks() -> None:
    """With more rows than may be held the oldest panes of metrics go, and it is told since when they are whole."""
    panes = Panes(most_rows=10)
    for i in range(11):
        panes.put(two_metrics(NOW + i * 10_000, block=i % 2), NOW + i * 10_000)
    assert (panes.metrics.rows, panes.checks.rows) == (10, 10)
    for i in range(11, 16):
        panes.put(rollup(NOW + i * 10_000, {"b": (1, 0, 5)}, metric=["cpu"]), NOW + i * 10_000)
    assert (panes.metrics.rows, panes.checks.rows) == (10, 10)
    assert len(panes.series("a", NOW, NOW + 1e6, 10_000)) == 10
    assert [p.time for p in panes.series("a", NOW, NOW + 1e6, 10_000, "cpu")] == [
        NOW + i * 10_000 for i in range(6, 11)
    ]
    assert panes.whole_since(NOW + 10_000)
    assert not panes.whole_since(NOW + 10_000, "cpu")
    assert panes.whole_since(NOW + 60_000, "cpu")


@given(st.lists(st.sets(st.integers(0, 400), min_size=1, max_size=120), min_size=1, max_size=40))
def test_series_that_come_and_go_stay_apart(told: list[set[int]]) -> None:
    """Whatever is told when, each series has its own panes of the last hour and memory forgets what has none."""
    panes = Panes(keep_ms=50_000)
    for i, names in enumerate(told):
        panes.put(rollup(NOW + i * 10_000, {f"t{n}": (1, 0, n) for n in names}), NOW + i * 10_000)
    first = max(0, len(told) - 6)
    for n in range(0, 401, 7):
        found = panes.series(f"t{n}", NOW, NOW + 1e9, 10_000)
        assert [(p.time, p.mean) for p in found] == [
            (NOW + i * 10_000, n) for i, names in enumerate(told) if i >= first and n in names
        ]
    alive = set().union(*told[first:])
    assert panes.checks.rows == sum(map(len, told[first:]))
    assert len(panes.checks) <= 2 * len(alive) + 64


def test_a_pane_without_latency_has_none() -> None:
    """NaN extremes become None."""
    panes = Panes()
    panes.put(rollup(NOW, {"a": (3, 3, 0)}, value_min=[math.nan], value_max=[math.nan]), NOW)
    (point,) = panes.series("a", NOW, NOW + 1, 1000)
    assert (point.mean, point.min, point.max) == (None, None, None)


def test_old_panes_go_and_the_future_pushes_nothing_out() -> None:
    """An hour is kept; one pane from next year does not empty the rest."""
    panes = Panes()
    panes.put(rollup(NOW - 7_200_000, {"a": (1, 0, 5)}), NOW)
    panes.put(rollup(NOW, {"a": (1, 0, 5)}), NOW)
    panes.put(rollup(NOW + 1e11, {"a": (1, 0, 5)}), NOW)
    assert [p.time for p in panes.series("a", 0, NOW + 1, 1)] == [NOW]


def test_long_panes_are_passed_over() -> None:
    """What detect tells of five minutes, for samples that came too late for a short pane, changes no line."""
    panes = Panes()
    panes.put(rollup(NOW, {"a": (1, 0, 5)}), NOW)
    panes.put(rollup(NOW, {"a": (30, 0, 5)}, pane_ms=300_000), NOW)
    assert [p.count for p in panes.series("a", NOW, NOW + 300_000, 10_000)] == [1]
    assert panes.pane_ms == 10_000


def test_a_target_that_moved_to_another_block_is_counted_once() -> None:
    """Of two blocks with the same pane the fuller one counts."""
    panes = Panes()
    panes.put(rollup(NOW, {"a": (1, 0, 5)}, block=0), NOW)
    panes.put(rollup(NOW, {"b": (1, 0, 5), "a": (3, 0, 15)}, block=1), NOW)
    assert [p.count for p in panes.series("a", NOW, NOW + 1, 1000)] == [3]


def test_targets_that_join_a_block_are_found() -> None:
    """A block's list of targets may grow from pane to pane."""
    panes = Panes()
    panes.put(rollup(NOW, {"a": (1, 0, 5)}), NOW)
    panes.put(rollup(NOW + 10_000, {"a": (1, 0, 5), "b": (2, 0, 5)}), NOW)
    assert [p.count for p in panes.series("b", NOW, NOW + 20_000, 10_000)] == [2]
    assert [p.count for p in panes.series("a", NOW, NOW + 20_000, 10_000)] == [1, 1]
