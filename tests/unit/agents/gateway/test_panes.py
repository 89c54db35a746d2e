"""The last hour in memory."""

from __future__ import annotations

import math

from agents.gateway.panes import Panes
from tests.kit.records import rollup

NOW = 1_800_000_000_000.0


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


def test_other_metrics_are_no_latency() -> None:
    """Rows of a named metric are left out."""
    panes = Panes()
    panes.put(rollup(NOW, {"a": (1, 0, 5), "b": (2, 0, 6)}, metric=["", "cpu"]), NOW)
    assert panes.series("a", NOW, NOW + 1, 1000)[0].count == 1
    assert panes.series("b", NOW, NOW + 1, 1000) == []


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
