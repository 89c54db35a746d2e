"""Fetching by the batch, from a real Kafka, with a plain consumer beside it as the judge."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams import fetched
from streams.kafka import KafkaSettings, consumer_options, producer_options
from streams.records import Record
from streams.topics import SAMPLES, full_name
from tests.kit.reader import settled


@contextlib.asynccontextmanager
async def _consumer(kafka, topic, *, own, **more):
    consumer = AIOKafkaConsumer(**{**consumer_options(kafka, "test-fetched"), **more})
    await consumer.start()
    try:
        if own:
            fetched.as_one(consumer._fetcher, frozenset([topic]))
        consumer.assign([TopicPartition(topic, 0)])
        yield consumer
    finally:
        await consumer.stop()


async def _all(consumer, tp, end):
    found = []
    while await consumer.position(tp) < end:
        found += (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])
    return found


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_what_is_read_by_the_batch_is_what_was_written(kafka: KafkaSettings, compression):
    """Committed transactions and plain records in their order, none of one that was broken off, from any offset."""
    topic = full_name(kafka, SAMPLES)
    tp = TopicPartition(topic, 0)
    plain = {**producer_options(kafka, "test-fetched"), "compression_type": compression}
    async with AIOKafkaProducer(**plain) as out:
        for i in range(300):
            value = None if i % 50 == 7 else b"%d" % i * (i % 5)
            sent = await out.send(topic, value, key=b"k%d" % i, headers=[("n", b"%d" % i)], partition=0)
        await sent
        await out.send_and_wait(topic, b"alone", partition=0)
    async with AIOKafkaProducer(**{**plain, "transactional_id": f"{kafka.prefix}test"}) as out:
        for good in (True, False, True):
            await out.begin_transaction()
            await asyncio.gather(*[await out.send(topic, b"t%d" % good, partition=0) for _ in range(20)])
            await (out.commit_transaction() if good else out.abort_transaction())
    await settled(kafka, SAMPLES)
    async with _consumer(kafka, topic, own=False, isolation_level="read_committed") as judge:
        end = (await judge.end_offsets([tp]))[tp]
        wanted = await _all(judge, tp, end)
    assert {r.value for r in wanted} >= {b"alone", b"t1"}
    assert b"t0" not in {r.value for r in wanted}
    async with _consumer(kafka, topic, own=True, isolation_level="read_committed") as own:
        for since in (0, 137, 301):
            own.seek(tp, since)
            found = await _all(own, tp, end)
            # Not so where aiokafka no longer looks up the names that `as_one` gives other meanings to.
            assert all(isinstance(one, fetched.Fetched) for one in found)
            columns = fetched.columns(found)
            got = [columns.record(i) for i in range(len(columns))]
            assert [r for r in got if r.offset >= since] == [
                Record(r.offset, r.timestamp, r.value) for r in wanted if r.offset >= since
            ]
    first = fetched.messages(found, {301})
    assert first[301].value == b"t1"
