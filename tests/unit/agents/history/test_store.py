"""Rows and offsets in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from agents.history.rows import Rows
from agents.history.store import FencedError, Store
from streams import history_queries as queries
from streams.history import ALERTS, connect
from tests.kit.records import alert, rollup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(connect(f"sqlite:///{tmp_path / 'h.db'}"))
    store.prepare()
    yield store
    store.engine.dispose()


def rows(*records: object) -> Rows:
    made = Rows()
    for record in records:
        made.add(record)  # type: ignore[arg-type]  # the tests give records
    return made


def count(store: Store) -> int:
    with store.engine.connect() as c:
        return c.scalar(select(func.count()).select_from(ALERTS)) or 0


def test_a_second_writer_of_the_same_partition_is_fenced(store: Store) -> None:
    """The one that comes second writes nothing at all, whether the partition is new or known."""
    source = ("alerts", 0)
    store.write(rows(alert("a")), {source: (None, 5)})
    for expected in (None, 4):
        with pytest.raises(FencedError):
            store.write(rows(alert("b")), {source: (expected, 9), ("alerts", 1): (None, 1)})
    assert store.offsets([source, ("alerts", 1)]) == {source: 5}
    assert count(store) == 1
    store.write(rows(alert("b")), {source: (5, 9)})
    assert store.offsets([source]) == {source: 9}


def test_rows_and_offsets_go_together(store: Store) -> None:
    """A row that SQL refuses leaves the offset where it was."""
    bad = rows(alert("bad", at=float("nan")), alert("a"))
    with pytest.raises(IntegrityError):
        store.write(bad, {("rollups", 0): (None, 1)})
    assert store.offsets([("rollups", 0)]) == {}
    assert count(store) == 0


def test_writing_again_changes_nothing(store: Store) -> None:
    """The same records twice are the same rows."""
    for at in (None, 1, 2):
        store.write(rows(alert("a"), rollup(0.0, {"shop": (2, 1, 30)})), {("x", 0): (at, (at or 0) + 1)})
    with store.engine.connect() as c:
        assert len(queries.transitions(c, "a")) == 1
        assert queries.uptime(c, "shop", 0, 1).count == 2


def test_the_sweep_works_in_small_steps(store: Store) -> None:
    """Each call deletes at most a chunk a table, until nothing old is left."""
    store.write(rows(*[rollup(float(i), {"shop": (1, 0, 1)}) for i in range(25)]), {})
    gone = []
    while chunk := store.sweep(20.0, chunk=8):
        gone.append(chunk)
    assert gone == [8, 8, 4]


def test_lists_page_by_time_and_id(store: Store) -> None:
    """Alerts of the same millisecond are neither lost nor repeated between pages."""
    store.write(rows(*[alert(f"a{i}", at=1000.0) for i in range(7)]), {})
    seen: list[str] = []
    before = None
    with store.engine.connect() as c:
        while page := queries.latest_alerts(c, limit=3, before=before):
            seen += [a["id"] for a in page]
            before = (page[-1]["at"], page[-1]["id"])
        assert len(queries.last_transitions(c, 5)) == 5
    assert seen == [f"a{i}" for i in range(6, -1, -1)]
