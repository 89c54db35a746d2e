"""Samples that somebody writes in transactions: marks in the log between them, and some that are not ended yet."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer

from agents.detect import worker
from agents.detect.app import run
from agents.detect.settings import DetectSettings
from schemas import SampleBatch, encode
from streams.kafka import producer_options
from streams.partition import partition_of
from streams.topics import HEALTH, SAMPLES, full_name
from streams.units import now_ms
from tests.kit.reader import reading
from tests.kit.role import running

pytestmark = pytest.mark.usefixtures("compiled")


class Writer:
    """One sample of a target at a time, by a producer that has transactions."""

    def __init__(self, kafka, producer, target):
        self.topic, self.producer, self.target = full_name(kafka, SAMPLES), producer, target
        self.partition = partition_of(target, kafka.partitions)

    async def sample(self):
        one = SampleBatch(probe="p", target=[self.target], time=[now_ms()], ok=[True], latency_ms=[1.0])
        await self.producer.send_and_wait(self.topic, encode(one), partition=self.partition)


def role(kafka):
    settings = DetectSettings(commit_every=0.1, unknown_targets="accept", health_every=0)
    return running(run, kafka=kafka, settings=settings, targets=(), rules=())


def writing(kafka, name):
    return AIOKafkaProducer(**producer_options(kafka, name), transactional_id=f"{kafka.prefix}{name}")


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
