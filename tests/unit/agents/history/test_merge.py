"""Old panes become long ones, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from agents.history.merge import merge_some
from agents.history.rows import Rows
from agents.history.store import Store
from streams import history_queries as queries
from streams.history import MERGED, ROLLUPS, connect
from tests.kit.records import rollup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas import Rollup

T0 = 1_800_000_000_000.0  # a multiple of five minutes
MINUTE = 60_000.0


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        yield from prepared(f"sqlite:///{tmp_path / 'h.db'}")
        return
    with request.getfixturevalue("postgres").schema() as url:
        yield from prepared(url)


def prepared(url: str) -> Iterator[Store]:
    store = Store(connect(url))
    store.prepare()
    yield store
    store.engine.dispose()


def panes(minutes: int, targets: tuple[str, ...] = ("shop", "api"), begin: float = T0) -> list[Rollup]:
    """Panes of ten seconds; each has four samples, one of them failed, of 10 to 30 ms."""
    return [
        rollup(
            begin + i * 10_000,
            dict.fromkeys(targets, (4, 1, 60)),
            value_min=[10.0 + i] * len(targets),
            value_max=[30.0 + i] * len(targets),
        )
        for i in range(minutes * 6)
    ]


def write(store: Store, records: list[Rollup]) -> None:
    rows = Rows()
    for record in records:
        rows.add(record)
    store.write(rows, {})


def merge(store: Store, cutoff: float, series: int = 25) -> list[int]:
    steps = []
    while done := merge_some(store.engine, cutoff, series):
        steps.append(done)
    return steps


def rows(store: Store, table: Any) -> list[Any]:
    with store.engine.connect() as c:
        return list(c.execute(select(table).order_by(table.c.target, table.c.pane_start)))


def seen(store: Store, target: str, step_ms: float, until: float = T0 + 240 * MINUTE) -> list[queries.Point]:
    with store.engine.connect() as c:
        return queries.series(c, target, T0, until, step_ms)


def test_what_is_asked_is_the_same_before_and_after(store: Store) -> None:
    """Counts, errors, means and extremes of five minutes or more do not change when panes are merged."""
    write(store, panes(150))
    before = [seen(store, t, step * MINUTE) for t in ("shop", "api") for step in (5, 15, 60)]
    with store.engine.connect() as c:
        uptime = queries.uptime(c, "shop", T0, T0 + 200 * MINUTE)
    assert sum(merge(store, T0 + 122 * MINUTE)) == 2 * 120 * 6
    assert [seen(store, t, step * MINUTE) for t in ("shop", "api") for step in (5, 15, 60)] == before
    with store.engine.connect() as c:
        assert queries.uptime(c, "shop", T0, T0 + 200 * MINUTE) == uptime
    assert (len(rows(store, MERGED)), len(rows(store, ROLLUPS))) == (2 * 24, 2 * 30 * 6)
    first = rows(store, MERGED)[0]
    assert (first.target, first.pane_start, first.pane_ms, first.count, first.errors) == ("api", T0, 300_000, 120, 30)
    assert (first.value_count, first.value_sum, first.value_min, first.value_max) == (90, 1800, 10, 59)


def test_the_steps_are_small(store: Store) -> None:
    """A step takes at most an hour of some series; what is not over stays; nothing old, nothing done."""
    write(store, panes(90, ("a", "b", "c")))
    assert merge(store, T0 + 4 * MINUTE) == []
    assert merge(store, T0 + 90 * MINUTE, series=2) == [720, 360, 360, 180]
    assert merge(store, T0 + 90 * MINUTE) == []
    assert rows(store, ROLLUPS) == []


def test_metrics_without_a_value_stay_without(store: Store) -> None:
    """A pane whose values are unknown adds counts and no extremes."""
    write(store, [rollup(T0, {"shop": (3, 3, 0)}, value_min=[float("nan")], value_max=[float("nan")])])
    merge(store, T0 + 10 * MINUTE)
    (point,) = seen(store, "shop", 5 * MINUTE)
    assert (point.count, point.mean, point.min, point.max) == (3, None, None, None)


def test_reading_the_log_again_counts_nothing_twice(store: Store) -> None:
    """Panes that were merged before change no answer, whether they are merged again whole, in part, or not yet."""
    write(store, panes(60))
    before = seen(store, "shop", 5 * MINUTE)
    merge(store, T0 + 30 * MINUTE)
    for again in (panes(60)[:100], panes(60)[100:], panes(60)):
        write(store, again)
        assert seen(store, "shop", 5 * MINUTE) == before
        merge(store, T0 + 30 * MINUTE)
        assert seen(store, "shop", 5 * MINUTE) == before
    assert len(rows(store, MERGED)) == 2 * 6


def test_panes_that_came_late_are_merged_too(store: Store) -> None:
    """What detect tells of a time for which nothing was there is in the answers after the next sweep."""
    write(store, panes(10, begin=T0 + 60 * MINUTE))
    merge(store, T0 + 100 * MINUTE)
    write(store, panes(10))
    merge(store, T0 + 100 * MINUTE)
    assert [p.count for p in seen(store, "shop", 30 * MINUTE)] == [240, 240]


def late(begin: float, count: float, target: str = "shop") -> Rollup:
    """What detect tells of five minutes whose short panes it no longer has: all that was in them, of one target."""
    return rollup(begin, {target: (count, 30, 1860)}, pane_ms=300_000, value_min=[5.0], value_max=[59.0])


def counts(store: Store, target: str = "shop", step: float = 5 * MINUTE) -> list[float]:
    return [p.count for p in seen(store, target, step)]


def test_a_long_pane_stands_for_the_short_ones_in_it(store: Store) -> None:
    """A late sample counts at once and once, before the short panes are merged, after it, and read from the log again."""
    write(store, panes(15))
    write(store, [late(T0 + 5 * MINUTE, 121)])
    for again in ([], panes(15), [*panes(15), late(T0 + 5 * MINUTE, 121)]):
        write(store, again)
        assert counts(store) == [120, 121, 120]
        assert counts(store, "api") == [120, 120, 120]
        with store.engine.connect() as c:
            assert queries.uptime(c, "shop", T0, T0 + 60 * MINUTE).count == 361
        merge(store, T0 + 100 * MINUTE)
        assert counts(store) == [120, 121, 120]
    (_, told, _) = rows(store, MERGED)[-3:]
    assert (told.count, told.value_sum, told.value_min) == (121, 1860, 5)
    assert rows(store, ROLLUPS) == []


def test_of_a_long_pane_and_the_short_ones_the_fuller_counts(store: Store) -> None:
    """A long pane that knows less, from a detect that had lost its state, hides nothing; one that knows as much does
    not make the line coarse."""
    write(store, panes(10))
    write(store, [late(T0, 7), late(T0 + 5 * MINUTE, 120)])
    assert counts(store) == [120, 120]
    assert counts(store, step=10_000) == [4] * 60
    merge(store, T0 + 100 * MINUTE)
    assert counts(store) == [120, 120]


def test_of_several_long_panes_the_fullest_stays(store: Store) -> None:
    """In one write or in several, in whatever order they come."""
    write(store, [late(T0, 2), late(T0, 3), late(T0, 1)])
    write(store, [late(T0, 2)])
    assert counts(store) == [3]
    write(store, [late(T0, 5)])
    assert counts(store) == [5]


@pytest.mark.parametrize(("begin", "length"), [(T0 + 10_000, 300_000), (T0, 600_000)])
def test_a_pane_that_fits_no_table_is_refused(begin: float, length: int) -> None:
    """Long panes begin every five minutes, and longer ones are of no use to a reader."""
    with pytest.raises(ValueError, match=f"no pane of {length} ms begins at"):
        Rows().add(rollup(begin, {"shop": (1, 0, 1)}, pane_ms=length))


def test_merged_panes_go_too(store: Store) -> None:
    """storage.keep is the end of merged ones."""
    write(store, panes(10))
    merge(store, T0 + 100 * MINUTE)
    assert store.sweep(T0 + 5 * MINUTE) == 2
    assert len(rows(store, MERGED)) == 2
