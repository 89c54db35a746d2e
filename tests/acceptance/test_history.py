"""The history role: Kafka in, SQL out, each once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from sqlalchemy import func, select, text

from agents.detect.app import run as detect
from agents.detect.settings import DetectSettings
from agents.history.app import run
from agents.history.merge import merge_some
from agents.history.settings import StorageSettings
from agents.probe.settings import Target
from schemas import DeadLetter, SampleBatch, decode, encode
from streams import history
from streams import history_queries as queries
from streams.history import ALERTS, MERGED, NOTIFICATIONS, OFFSETS, ROLLUPS, STATUS_CHANGES, connect
from streams.kafka import KafkaSettings, consumer_options
from streams.partition import partition_of
from streams.units import now_ms
from tests.kit.gateway import gateway
from tests.kit.postgres import Postgres
from tests.kit.records import alert, health, notification, rollup, writer
from tests.kit.role import PATIENCE_S, running, until


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty history."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'history.db'}"
        return
    with request.getfixturevalue("postgres").schema() as found:
        yield found


def rows(url: str, table: Any) -> list[Any]:
    engine = connect(url)
    try:
        with engine.connect() as c:
            return [r._asdict() for r in c.execute(select(table))]
    finally:
        engine.dispose()


def count(url: str, table: Any) -> int:
    engine = connect(url)
    try:
        with engine.connect() as c:
            return c.scalar(select(func.count()).select_from(table)) or 0
    finally:
        engine.dispose()


async def test_every_kind_of_record_is_kept(kafka: KafkaSettings, url: str) -> None:
    """Alerts, rollups, notifications and changes of status are in SQL soon after they are on the log."""
    pane = now_ms() // 10_000 * 10_000
    async with running(run, kafka=kafka, settings=StorageSettings(), url=url), writer(kafka) as w:
        t = now_ms()
        await w.write(
            alert(number=1, state="pending"),
            alert(number=2, state="firing"),
            rollup(pane, {"shop": (1, 1, 0), "api": (1, 0, 30)}),
            rollup(pane, {"shop": (4, 1, 90), "api": (4, 0, 120)}),
            notification(outcome="intent", attempt=1),
            notification(outcome="delivered", attempt=1),
            health(since=t, time=t),
            health(since=t, time=t + 5000),
            health(status="unhealthy", since=t + 9000, time=t + 9000),
        )
        await until(lambda: count(url, STATUS_CHANGES) == 2 and count(url, NOTIFICATIONS) == 2)
        # The later word on a pane takes the earlier one's row.
        await until(lambda: count(url, ALERTS) == 2 and [r["count"] for r in rows(url, ROLLUPS)] == [4, 4])
    engine = connect(url)
    with engine.connect() as c:
        assert [a["state"] for a in queries.transitions(c, "a1")] == ["pending", "firing"]
        (point,) = queries.series(c, "shop", pane, pane + 10_000, 10_000)
        assert (point.count, point.errors, point.mean, point.min) == (4, 1, 30, 1)
        assert queries.uptime(c, "shop", pane, pane + 10_000).share == 0.75
        assert [s["status"] for s in queries.status_changes(c, "shop", t, t + 10_000)] == ["healthy", "unhealthy"]
        assert [n["outcome"] for n in queries.notifications(c, "a1")] == ["intent", "delivered"]
    engine.dispose()


async def test_a_restart_reads_on_where_sql_says(kafka: KafkaSettings, url: str) -> None:
    """Records of before and after a restart are there once, and the stored offsets are at the end of the log."""
    async with writer(kafka) as w:
        for start in (0, 50, 100):
            async with running(run, kafka=kafka, settings=StorageSettings(), url=url):
                await w.write(*[alert(id=f"a{i}") for i in range(start, start + 50)])
                await until(lambda n=start + 50: count(url, ALERTS) == n)
    offsets = rows(url, OFFSETS)
    assert sum(o["next"] for o in offsets if o["topic"].endswith("alerts")) == 150


async def test_a_crash_between_sql_and_kafka_changes_nothing(kafka: KafkaSettings, url: str) -> None:
    """With the consumer group's offsets gone, nothing is read twice; with the tables gone, all is read again."""
    async with writer(kafka) as w:
        await w.write(*[alert(id=f"a{i}") for i in range(20)])
        async with running(run, kafka=kafka, settings=StorageSettings(), url=url):
            await until(lambda: count(url, ALERTS) == 20)
        engine = connect(url)
        with engine.begin() as c:
            c.execute(ALERTS.delete())
        async with running(run, kafka=kafka, settings=StorageSettings(), url=url):
            await w.write(alert(id="later"))
            await until(lambda: count(url, ALERTS) == 1)
        with engine.begin() as c:
            c.execute(OFFSETS.delete())
        async with running(run, kafka=kafka, settings=StorageSettings(), url=url):
            await until(lambda: count(url, ALERTS) == 21)
        engine.dispose()


async def test_two_processes_share_the_work(kafka: KafkaSettings, url: str) -> None:
    """While processes join and leave, every record is kept and the offsets end at the log's end."""
    async with writer(kafka) as w, running(run, kafka=kafka, settings=StorageSettings(), url=url):
        await w.write(*[alert(id=f"a{i}") for i in range(100)])
        async with running(run, kafka=kafka, settings=StorageSettings(), url=url):
            await w.write(*[alert(id=f"b{i}") for i in range(100)])
            await until(lambda: count(url, ALERTS) == 200)
        await w.write(*[alert(id=f"c{i}") for i in range(100)])
        await until(lambda: count(url, ALERTS) == 300)
        offsets = rows(url, OFFSETS)
        assert sum(o["next"] for o in offsets if o["topic"].endswith("alerts")) == 300


async def test_a_locked_database_delays_and_loses_nothing(
    kafka: KafkaSettings, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While another program holds the file's or the table's lock, records wait; afterwards all are there."""
    monkeypatch.setattr(history, "_BUSY_MS", 200)
    async with writer(kafka) as w, running(run, kafka=kafka, settings=StorageSettings(), url=url):
        await w.write(alert(id="before"))
        await until(lambda: count(url, ALERTS) == 1)
        with locked(url):
            await w.write(*[alert(id=f"during{i}") for i in range(10)])
            # A file's write fails, and is tried again; a table's waits in the server.
            await until(lambda: "history cannot be written, will try again" in caplog.text or waiting(url))
        await until(lambda: count(url, ALERTS) == 11)


def waiting(url: str) -> bool:
    """Whether the server has somebody wait for a lock."""
    if url.startswith("sqlite"):
        return False
    engine = connect(url)
    with engine.connect() as c:
        found = c.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    engine.dispose()
    return bool(found)


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Another program keeps everybody else out."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")
        return
    engine = connect(url)
    with engine.begin() as c:
        c.execute(text("LOCK TABLE alerts IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


@pytest.mark.parametrize("crash", [False, True], ids=["stop", "crash"])
async def test_postgresql_may_go_away_and_come_back(kafka: KafkaSettings, postgres: Postgres, crash: bool) -> None:
    """While the server is away, or has crashed in the middle of writes, records wait; back again, each is there once.

    Meanwhile the gateway answers without a past, and with it as soon as the server is back.
    """
    pane = now_ms() // 10_000 * 10_000 - 7_200_000
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.schema())
        w = await stack.enter_async_context(writer(kafka))
        await stack.enter_async_context(running(run, kafka=kafka, settings=StorageSettings(), url=url))
        g = await stack.enter_async_context(gateway(kafka, url=url))
        await w.write(rollup(pane, {"shop": (4, 1, 90)}))

        async def source() -> str:
            return (await g.get("/api/targets/shop/uptime?hours=24"))["source"]

        await until(lambda: count(url, ROLLUPS) == 1)
        assert await source() == "history"
        try:
            writing = asyncio.create_task(w.write(*[alert(id=f"a{i}") for i in range(300)]))
            await until(lambda: count(url, ALERTS) > 0)
            postgres.stop(crash=crash)
            await writing
            await w.write(*[alert(id=f"b{i}") for i in range(100)])
            assert await source() == "memory"
        finally:
            if postgres.process is None:
                postgres.start()
        await until(lambda: count(url, ALERTS) == 400)
        assert await source() == "history"
        offsets = rows(url, OFFSETS)
        assert sum(o["next"] for o in offsets if o["topic"].endswith("alerts")) == 400


async def test_bad_records_become_dead_letters(kafka: KafkaSettings, url: str) -> None:
    """Bytes that are no Avro, a record of another topic and a crooked rollup are told and do not stop the rest."""
    crooked = rollup(0.0, {"shop": (1, 0, 1)})
    crooked.errors = []
    nan = rollup(1.0, {"shop": (float("nan"), 0, 1)})
    # SQLite takes no NaN for a number, PostgreSQL no NUL in a text.
    refused = alert(id="bad", at=float("nan")) if url.startswith("sqlite") else notification(error="a\0b")
    async with writer(kafka) as w, running(run, kafka=kafka, settings=StorageSettings(), url=url):
        await w.raw("alerts", b"garbage", b"k")
        await w.raw("alerts", None, b"k")
        await w.raw("alerts", encode(health()))
        await w.write(crooked, nan, refused, rollup(0.0, {"api": (1, 0, 1)}), alert(id="good"))
        await until(lambda: count(url, ALERTS) == 1 and count(url, ROLLUPS) == 1)
        consumer = AIOKafkaConsumer(f"{kafka.prefix}dead-letters", **consumer_options(kafka, "test"))
        await consumer.start()
        try:
            letters = [
                decode((await asyncio.wait_for(consumer.getone(), PATIENCE_S)).value, DeadLetter) for _ in range(5)
            ]
        finally:
            await consumer.stop()
    assert sorted(x.reason for x in letters) == ["bad_record", "bad_record", "not_avro", "sql_refused", "wrong_schema"]
    assert next(x for x in letters if x.reason == "not_avro").value == b"garbage"


async def test_what_is_too_old_goes(kafka: KafkaSettings, url: str) -> None:
    """At the start rows older than storage.keep go, but no alert that has not ended; older panes are merged."""
    day, now = 86_400_000.0, now_ms()
    settings = StorageSettings(keep=30 * 86_400)
    # What is cleared at a start is cleared while the log is read: there is a start before anything is too old.
    everything = StorageSettings(keep=3650 * 86_400, keep_panes=3650 * 86_400)
    async with writer(kafka) as w:
        await w.write(
            rollup(now - 40 * day, {"shop": (1, 0, 1)}),
            rollup(now - 3 * day, {"shop": (1, 0, 1)}),
            rollup(now - 1 * day, {"shop": (1, 0, 1)}),
            notification(at=now - 40 * day),
            alert(id="ended", number=1, at=now - 41 * day),
            alert(id="ended", number=2, state="resolved", at=now - 40 * day),
            alert(id="fires", at=now - 41 * day),
        )
        async with running(run, kafka=kafka, settings=everything, url=url):
            await until(lambda: count(url, ALERTS) == 3 and count(url, ROLLUPS) == 3 and count(url, NOTIFICATIONS) == 1)
        async with running(run, kafka=kafka, settings=settings, url=url):
            await until(lambda: count(url, ALERTS) == 1 and count(url, ROLLUPS) == 1 and count(url, NOTIFICATIONS) == 0)
            await until(lambda: count(url, MERGED) == 1)
    assert rows(url, ALERTS)[0]["id"] == "fires"


async def test_a_very_late_sample_is_in_the_totals_once(kafka: KafkaSettings, url: str) -> None:
    """Samples of ten minutes ago, one after the other, from the log of samples to SQL, beside short panes of then.

    Detect has no short pane of that time any more and tells the five minutes; they count with what is there already,
    and after it is merged, as often as there were samples.
    """
    now = now_ms()
    then = now // 300_000 * 300_000 - 600_000
    targets = (Target(name="shop", http={"url": "http://127.0.0.1:1"}),)
    settings = DetectSettings(commit_every=0.1)

    def totals() -> list[float]:
        engine = connect(url)
        try:
            with engine.connect() as c:
                return [p.count for p in queries.series(c, "shop", then - 300_000, then + 300_000, 300_000)]
        finally:
            engine.dispose()

    async with AsyncExitStack() as stack:
        w = await stack.enter_async_context(writer(kafka))
        await stack.enter_async_context(running(run, kafka=kafka, settings=StorageSettings(), url=url))
        await stack.enter_async_context(running(detect, kafka=kafka, settings=settings, targets=targets, rules=()))
        await w.write(rollup(then - 300_000, {"shop": (30, 0, 30)}), rollup(then, {"shop": (1, 0, 1)}))
        await until(lambda: totals() == [30, 1])
        home = partition_of("shop", kafka.partitions)
        for n in (1, 2, 3):
            batch = SampleBatch(probe="p", target=["shop"], time=[then + n], ok=[True], latency_ms=[1.0])
            await w.raw("samples", encode(batch), partition=home)
            await until(lambda n=n: [r["count"] for r in rows(url, MERGED)] == [n])
            assert totals() == [30, n]
        engine = connect(url)
        while merge_some(engine, then + 300_000):
            pass
        engine.dispose()
        assert totals() == [30, 3]
        assert count(url, ROLLUPS) == 0


async def test_a_bad_url_is_told(kafka: KafkaSettings) -> None:
    """A URL that SQLAlchemy cannot use is refused at once with a sentence, without the password."""
    for bad in ("nonsense", "mysql://u:hunter2@h/d"):
        with pytest.raises(ValueError, match=r"storage\.url") as told:
            await run(kafka=kafka, settings=StorageSettings(), url=bad, stop=asyncio.Event(), ready=lambda: None)
        assert "hunter2" not in str(told.value)
