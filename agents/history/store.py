"""Writes to the SQL history: rows and source offsets in one transaction. Every method blocks; call it in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, tuple_, update

from agents.history.rows import KEPT_AS_THEY_ARE, Rows
from streams.history import (
    ALERTS,
    MERGED,
    METADATA,
    NOTIFICATIONS,
    OFFSETS,
    ROLLUPS,
    STATUS_CHANGES,
    create_tables,
    fuller,
    upsert,
)
from streams.history_queries import ENDED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Engine, Table

Source = tuple[str, int]


class FencedError(RuntimeError):
    """Another process has written this partition's records meanwhile: nothing was written, read the offsets anew."""


class Store:
    """The SQL history as its one writer sees it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def prepare(self) -> None:
        """Make the tables that are missing."""
        create_tables(self.engine)

    def offsets(self, sources: Sequence[Source]) -> dict[Source, int]:
        """Where to read on, for those sources that were read before."""
        query = select(OFFSETS.c.topic, OFFSETS.c.partition, OFFSETS.c.next)
        with self.engine.connect() as connection:
            known = {(topic, partition): following for topic, partition, following in connection.execute(query)}
        return {s: known[s] for s in sources if s in known}

    def write(self, rows: Rows, positions: Mapping[Source, tuple[int | None, int]]) -> None:
        """Write all of `rows` and move each source from its expected offset (None: never read) to the next, or nothing.

        Raises FencedError where a source is not at its expected offset: two processes then hold the same partition,
        as happens for a moment when work moves from one to the other, and the other one was first.
        """
        with self.engine.begin() as connection:
            for (topic, partition), (expected, following) in sorted(positions.items()):
                if expected is None:
                    row = {"topic": topic, "partition": partition, "next": -1}
                    upsert(connection, OFFSETS, [row], replace=False)
                moved = connection.execute(
                    update(OFFSETS)
                    .where(
                        OFFSETS.c.topic == topic,
                        OFFSETS.c.partition == partition,
                        OFFSETS.c.next == (-1 if expected is None else expected),
                    )
                    .values(next=following)
                )
                if moved.rowcount != 1:
                    raise FencedError(f"{topic} partition {partition} was moved on by another process")
            for name, by_key in rows.by_table.items():
                if name == MERGED.name:
                    fuller(connection, list(by_key.values()))
                else:
                    replace = name not in KEPT_AS_THEY_ARE
                    upsert(connection, METADATA.tables[name], list(by_key.values()), replace=replace)

    def sweep(self, cutoff: float, chunk: int = 2000) -> int:
        """Delete at most `chunk` rows a table that are older than `cutoff`; return how many went.

        An alert goes as a whole, and only after it has ended: one that still fires has its history, however old.
        """
        ended = select(ALERTS.c.id).where(ALERTS.c.state.in_(ENDED), ALERTS.c.at < cutoff)
        gone = 0
        for table, old in (
            (ROLLUPS, ROLLUPS.c.pane_start < cutoff),
            (MERGED, MERGED.c.pane_start < cutoff),
            (NOTIFICATIONS, NOTIFICATIONS.c.at < cutoff),
            (STATUS_CHANGES, STATUS_CHANGES.c.since < cutoff),
        ):
            gone += self._delete(table, old, chunk)
        with self.engine.begin() as connection:
            ids = list(connection.scalars(ended.limit(max(1, chunk // 4))))
            if ids:
                gone += connection.execute(delete(ALERTS).where(ALERTS.c.id.in_(ids))).rowcount
        return gone

    def _delete(self, table: Table, old: ColumnElement[bool], chunk: int) -> int:
        key = list(table.primary_key.columns)
        # A statement of its own a chunk: readers and the writer get their turn between two of them.
        with self.engine.begin() as connection:
            some = select(*key).where(old).limit(chunk)
            return connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount
