"""The SQL history: its tables, how to reach it, and an upsert that SQLite and PostgreSQL both take.

Times are milliseconds since the Unix epoch, UTC, as on the topics. Everything here can be dropped and rebuilt from
the log, as long as the log is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    cast,
    create_engine,
    event,
    func,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Engine

METADATA = MetaData()

ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("at", Double, nullable=False),
    # The whole transition as JSON: what is filtered has a column, the rest is only handed on.
    Column("body", Text, nullable=False),
    Index("alerts_at", "at"),
    Index("alerts_target_at", "target", "at"),
    sqlite_with_rowid=False,
)


def _rollups(name: str) -> Table:
    return Table(
        name,
        METADATA,
        Column("target", Text, primary_key=True),
        Column("metric", Text, primary_key=True),
        Column("pane_start", Double, primary_key=True),
        Column("pane_ms", Integer, nullable=False),
        Column("count", Double, nullable=False),
        Column("errors", Double, nullable=False),
        Column("value_count", Double, nullable=False),
        Column("value_sum", Double, nullable=False),
        Column("value_min", Double),
        Column("value_max", Double),
        Index(f"{name}_pane_start", "pane_start"),
        sqlite_with_rowid=False,
    )


# Panes as they come; when they are older than storage.keep_panes, they are merged into the second table's long ones.
# There, too, is what detect tells of five minutes whose short panes it has no longer, when a sample comes that late. Of
# the two that tell of the same five minutes, the long pane or the short ones in it, the fuller is the truth.
ROLLUPS = _rollups("rollups")
MERGED = _rollups("rollups_merged")
MERGED_MS = 300_000

NOTIFICATIONS = Table(
    "notifications",
    METADATA,
    Column("alert_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("receiver", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("integration", Integer, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("repeat", Boolean, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("error", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Index("notifications_at", "at"),
    sqlite_with_rowid=False,
)

STATUS_CHANGES = Table(
    "status_changes",
    METADATA,
    Column("target", Text, primary_key=True),
    Column("since", Double, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index("status_changes_since", "since"),
    sqlite_with_rowid=False,
)

OFFSETS = Table(
    "source_offsets",
    METADATA,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    # Offset of the first record that is not yet folded into the tables above.
    Column("next", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_BUSY_MS = 5_000


def connect(url: str) -> Engine:
    """An engine for the history at `url`; nothing is opened until it is used. Raises ValueError on a bad URL.

    A SQLite file is put into WAL mode, so that the gateway reads while the history role writes.
    """
    try:
        parsed = make_url(url)
    except Exception as error:
        raise ValueError("storage.url is no SQLAlchemy URL, such as postgresql+psycopg://host/database") from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ValueError(f"storage.url: {parsed.get_backend_name()} is not supported; use sqlite or postgresql")
    try:
        engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite", pool_recycle=1800)
    except ModuleNotFoundError as error:
        raise ValueError(f"storage.url needs the Python package {error.name}, which is not installed") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _pragmas)
    return engine


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    # With WAL a power cut may lose the last transactions but never corrupts; they are still on the log, and the
    # offsets are lost together with the rows.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def whole(connection: Connection, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """`value`, which is not negative, without its fraction: SQLite may lack floor, PostgreSQL's cast rounds."""
    return cast(value, BigInteger) if connection.dialect.name == "sqlite" else func.floor(value)


def create_tables(engine: Engine) -> None:
    """Make the tables that are missing."""
    METADATA.create_all(engine)


def inserting(connection: Connection, table: Table) -> Any:
    """An insert into `table` that can be told what to do where the key is there already."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table)


def fuller(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put `rows`, none of them twice, into MERGED; of two for the same five minutes the fuller one stays."""
    if rows:
        connection.execute(or_fuller(inserting(connection, MERGED)), list(rows))


def or_fuller(statement: Any) -> Any:
    """An insert into MERGED that leaves, of two rows for the same five minutes, the fuller one."""
    others = [c.name for c in MERGED.columns if not c.primary_key]
    return statement.on_conflict_do_update(
        index_elements=list(MERGED.primary_key.columns),
        set_={n: statement.excluded[n] for n in others},
        where=MERGED.c.count < statement.excluded.count,
    )


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, replace: bool = True) -> None:
    """Insert `rows`; of a row whose primary key is there already, the values are replaced, or kept as they are.

    `rows` must not hold a key twice.
    """
    if not rows:
        return
    statement = inserting(connection, table)
    if replace:
        others = [c.name for c in table.columns if not c.primary_key]
        statement = statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_={n: statement.excluded[n] for n in others}
        )
    else:
        statement = statement.on_conflict_do_nothing()
    connection.execute(statement, list(rows))
