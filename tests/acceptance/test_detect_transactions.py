"""Samples that somebody writes in transactions: marks in the log between them, and some that are not ended yet."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from agents import watchdog
from agents.detect import worker
from agents.detect.app import run
from agents.detect.settings import DetectSettings
from schemas import SampleBatch, encode
from streams.kafka import producer_options
from streams.partition import partition_of
from streams.topics import HEALTH, SAMPLES, full_name
from streams.units import now_ms
from tests.kit.reader import reading
from tests.kit.role import running, until

pytestmark = pytest.mark.usefixtures("compiled")


class Writer:
    """One sample of a target at a time, by a producer that has transactions."""

    def __init__(self, kafka, producer, target):
        self.topic, self.producer, self.target = full_name(kafka, SAMPLES), producer, target
        self.partition = partition_of(target, kafka.partitions)

    async def sample(self):
        one = SampleBatch(probe="p", target=[self.target], time=[now_ms()], ok=[True], latency_ms=[1.0])
        await self.producer.send_and_wait(self.topic, encode(one), partition=self.partition)


def role(kafka, isolation="read_uncommitted"):
    settings = DetectSettings(commit_every=0.1, unknown_targets="accept", health_every=0, isolation=isolation)
    return running(run, kafka=kafka, settings=settings, targets=(), rules=())


def writing(kafka, name):
    more = {"transactional_id": f"{kafka.prefix}{name}", "transaction_timeout_ms": 600_000}
    return AIOKafkaProducer(**producer_options(kafka, name), **more)


async def test_transaction_that_stays_open_keeps_no_samples_waiting(kafka):
    """A mark of a transaction is no hole, though a transaction behind it stays open for as long as it likes."""
    async with writing(kafka, "ended") as ended, writing(kafka, "open") as left_open:
        first, second = Writer(kafka, ended, "shop"), Writer(kafka, left_open, "shop")
        async with reading(kafka, HEALTH) as seen, role(kafka):
            async with ended.transaction():
                await first.sample()
            await seen.wait(HEALTH, lambda h: h and h[-1].count_1h == 1)
            await left_open.begin_transaction()
            await second.sample()
            await second.sample()
            await seen.wait(HEALTH, lambda h: h[-1].count_1h == 3)
            await left_open.abort_transaction()


async def test_marks_within_a_fetch_are_looked_up_nowhere(kafka, monkeypatch):
    """What a broker sends in one piece has no holes: its marks, however many, make no question to it each."""
    asked = []

    async def looking_up(*args):
        asked.append(args)
        await check_hole(*args)

    check_hole = worker.check_hole
    monkeypatch.setattr(worker, "check_hole", looking_up)
    async with writing(kafka, "ended") as ended:
        one = Writer(kafka, ended, "shop")
        for _ in range(40):
            async with ended.transaction():
                await one.sample()
    async with reading(kafka, HEALTH) as seen, role(kafka):
        await seen.wait(HEALTH, lambda h: h and h[-1].count_1h == 40)
    assert len(asked) < 10


def counts(told):
    return [h.count_1h for h in told]


async def test_only_what_is_committed_counts_where_that_is_asked_for(kafka):
    """Samples of an aborted transaction never count: not among others, not at the end of the log, not after a restart."""
    async with (
        writing(kafka, "first") as first,
        writing(kafka, "second") as second,
        AIOKafkaProducer(**producer_options(kafka, "plain")) as producer,
        reading(kafka, HEALTH) as seen,
    ):
        plain, kept, broken = (Writer(kafka, one, "shop") for one in (producer, first, second))

        async def broken_off(samples):
            await second.begin_transaction()
            for _ in range(samples):
                await broken.sample()
            await second.abort_transaction()

        await broken_off(3)
        await plain.sample()
        async with role(kafka, "read_committed"):
            await seen.wait(HEALTH, lambda h: h and h[-1].count_1h == 1)
            async with first.transaction():
                await kept.sample()
                await second.begin_transaction()
                await broken.sample()
                await kept.sample()
            await broken.sample()
            await second.abort_transaction()
            await plain.sample()
            await seen.wait(HEALTH, lambda h: h[-1].count_1h == 4)
            await broken_off(2)
        await broken_off(3)
        async with role(kafka, "read_committed"):
            await plain.sample()
            await seen.wait(HEALTH, lambda h: h[-1].count_1h == 5)
            await broken_off(1)
            await plain.sample()
            await seen.wait(HEALTH, lambda h: h[-1].count_1h == 6)
        assert max(counts(seen[HEALTH])) == 6


async def test_what_is_behind_an_open_transaction_waits_for_its_end(kafka):
    """As long as it is open nothing behind it counts, in its partition; then all does that was not aborted."""
    other = next(n for n in "abcdefgh" if partition_of(n, kafka.partitions) != partition_of("shop", kafka.partitions))
    async with (
        writing(kafka, "open") as left_open,
        AIOKafkaProducer(**producer_options(kafka, "plain")) as producer,
        reading(kafka, HEALTH) as seen,
    ):
        plain, waiting, beside = (
            Writer(kafka, *one) for one in ((producer, "shop"), (left_open, "shop"), (producer, other))
        )

        def shop():
            return counts(h for h in seen[HEALTH] if h.target == "shop")

        await plain.sample()
        for n, ended in enumerate((left_open.commit_transaction, left_open.abort_transaction)):
            async with role(kafka, "read_committed"):
                before = (1, 4)[n]
                await until(lambda before=before: before in shop())
                await left_open.begin_transaction()
                await waiting.sample()
                await plain.sample()
                await beside.sample()
                await seen.wait(HEALTH, lambda h, n=n: n + 1 in counts(x for x in h if x.target == other))
                assert shop()[-1] == before
            async with role(kafka, "read_committed"):  # waits as well, where the other had stopped
                await ended()
                await plain.sample()
                await until(lambda n=n: (4, 6)[n] in shop())
        assert max(shop()) == 6


async def test_who_waits_for_a_transaction_is_not_taken_for_one_that_stands_still(kafka, monkeypatch):
    """The watchdog goes by what can be read: nothing while it is open or when it is aborted, and something once it is committed."""
    monkeypatch.setattr(watchdog, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(watchdog, "PATIENCE_S", 0.0)
    looked = 0

    def progress():
        nonlocal looked
        looked += 1
        return {waiting.partition: 0}

    async with (
        writing(kafka, "open") as left_open,
        AIOKafkaProducer(**producer_options(kafka, "plain")) as producer,
    ):
        plain, waiting = Writer(kafka, producer, "shop"), Writer(kafka, left_open, "shop")
        await plain.sample()
        await left_open.begin_transaction()
        await waiting.sample()
        watching = asyncio.create_task(watchdog.watch(kafka, waiting.topic, progress, "test"))
        await until(lambda: watching.done() or looked > 10)
        assert not watching.done()
        await left_open.abort_transaction()
        since = looked
        await until(lambda: watching.done() or looked > since + 2)
        assert not watching.done()
        async with left_open.transaction():
            await waiting.sample()
        await until(watching.done)


async def test_what_was_counted_while_uncommitted_counts_once_when_that_is_changed(kafka, caplog):
    """A state that is ahead of an open transaction is not taken for one whose log was lost: nothing is folded twice."""
    async with (
        writing(kafka, "open") as left_open,
        AIOKafkaProducer(**producer_options(kafka, "plain")) as producer,
        reading(kafka, HEALTH) as seen,
    ):
        plain, waiting = Writer(kafka, producer, "shop"), Writer(kafka, left_open, "shop")
        await left_open.begin_transaction()
        await waiting.sample()
        await plain.sample()
        async with role(kafka):
            await seen.wait(HEALTH, lambda h: h and h[-1].count_1h == 2)
        async with role(kafka, "read_committed"):
            await left_open.commit_transaction()
            await plain.sample()
            await seen.wait(HEALTH, lambda h: h[-1].count_1h == 3)
        assert max(counts(seen[HEALTH])) == 3
    assert "part of it was lost" not in caplog.text
