"""Rules and targets that change while detection runs."""

from __future__ import annotations

import asyncio
import contextlib

from aiokafka import AIOKafkaProducer

from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.probe.settings import Target
from schemas import SampleBatch, encode
from streams.control_checks import Checks
from streams.control_client import ControlClient
from streams.kafka import producer_options
from streams.partition import partition_of
from streams.rules import Rule
from streams.topics import FINDINGS, SAMPLES, full_name
from streams.units import now_ms
from tests.kit.reader import reading

TARGETS = (Target(name="api", push={}), Target(name="db", push={}))
SLOW = Rule(name="slow", metric="latency", operator=">", value=100)


async def produce_samples(kafka, target, samples):
    """Write a record of one target's samples: whether it was good, and how long it took."""
    producer = AIOKafkaProducer(**producer_options(kafka, "test"))
    await producer.start()
    try:
        batch = SampleBatch(
            probe="p",
            target=[target] * len(samples),
            time=[now_ms()] * len(samples),
            ok=[ok for ok, _ in samples],
            latency_ms=[latency for _, latency in samples],
        )
        home = partition_of(target, kafka.partitions)
        await producer.send_and_wait(full_name(kafka, SAMPLES), encode(batch), partition=home)
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def detect(kafka):
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        run(kafka=kafka, settings=DetectSettings(), targets=TARGETS, rules=(SLOW,), stop=stop, ready=ready.set)
    )
    try:
        await asyncio.wait_for(ready.wait(), 90)
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def test_rule_from_the_control_topic_is_judged_with_what_was_counted_before(kafka):
    """A rule set at run time judges the next sample, over windows that were filled before it was there."""
    client = ControlClient(kafka, "test", check=Checks((SLOW,), TARGETS))
    async with reading(kafka, FINDINGS) as seen, detect(kafka):
        await produce_samples(kafka, "api", [(False, 10.0)] * 9)
        await produce_samples(kafka, "db", [(True, 500.0)])
        found = await seen.wait(FINDINGS, 1)
        assert [(f.target, f.rule, f.holds) for f in found] == [("db", "slow", True)]
        body = {"name": "failing", "metric": "errors", "window": "5m", "operator": ">=", "value": 10}
        await client.refresh()
        await client.change("rule", "failing", body, 0, "ann")
        await produce_until(kafka, seen)
        failing = next(f for f in seen[FINDINGS] if f.rule == "failing")
        assert (failing.target, failing.holds, failing.rule_version) == ("api", True, 1)
        assert failing.value >= 10


async def produce_until(kafka, seen):
    """Failures of `api`, one after the other, until the new rule holds."""
    async with asyncio.timeout(20):
        while not any(f.rule == "failing" for f in seen[FINDINGS]):
            await produce_samples(kafka, "api", [(False, 10.0)])
            await asyncio.sleep(0.2)


async def test_a_change_outlives_a_restart(kafka):
    """A rule that was set at run time is judged by a detection that starts after it."""
    client = ControlClient(kafka, "test", check=Checks((SLOW,), TARGETS))
    await client.change("rule", "slow", {"name": "slow", "metric": "latency", "value": 1000}, None, "ann")
    await client.change(
        "rule", "failing", {"name": "failing", "metric": "errors", "window": "5m", "value": 0}, 0, "ann"
    )
    await client.close()
    async with reading(kafka, FINDINGS) as seen, detect(kafka):
        await produce_samples(kafka, "db", [(True, 500.0)])
        await produce_samples(kafka, "db", [(False, 500.0)])
        found = await seen.wait(FINDINGS, 1)
        assert [(f.target, f.rule, f.rule_version) for f in found] == [("db", "failing", 1)]


async def test_rule_that_is_withdrawn_is_told_as_ceased(kafka):
    """What held by a rule that is taken away is told as ceased, so that its alert does not fire for ever."""
    client = ControlClient(kafka, "test", check=Checks((SLOW,), TARGETS))
    async with reading(kafka, FINDINGS) as seen, detect(kafka):
        await produce_samples(kafka, "db", [(True, 500.0)])
        await seen.wait(FINDINGS, 1)
        await client.refresh()
        await client.change("rule", "slow", None, 0, "ann")
        found = await seen.wait(FINDINGS, 2)
        assert [(f.target, f.rule, f.holds) for f in found] == [("db", "slow", True), ("db", "slow", False)]
        assert partition_of("db", kafka.partitions) == found[1].source_partition
