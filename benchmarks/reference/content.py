"""The topic that every engine reads: batches of samples as a probe writes them, with sentinels to time by.

A sentinel is a target that fails in its only sample: whoever does the work tells of it at once. Sentinels stand
closer at the start, so that a slow engine meets enough of them too.

Event time, which is the records' time too, passes as it would at `PACE` samples a second, however quickly the topic
is written: panes close about as often as they would if an engine kept up with that load.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas import SampleBatch, encode
from schemas.codec import HEADER_BYTES
from streams.kafka import KafkaSettings, client_options, producer_options
from streams.topics import SAMPLES, create_topics, full_name, topic_config
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

PACE = {500: 1_000_000, 50: 250_000, 1: 20_000}
GROWTH = 1.08
GOOD_PASSES = 21
_POOL = 1 << 20


@dataclass(slots=True)
class Content:
    """What was written: `marks` are the offsets of the sentinels, in order."""

    topic: str
    targets: int
    batch: int
    marks: list[int]
    records: int
    seconds: float

    def samples_up_to(self, offset: int) -> int:
        """How many samples stand in the records up to `offset`, that one included."""
        marks = bisect.bisect_right(self.marks, offset)
        return (offset + 1 - marks) * self.batch + marks

    @property
    def samples(self) -> int:
        return self.samples_up_to(self.records - 1)


def sentinel(number: int) -> str:
    """Name of a sentinel target."""
    return f"sentinel-{number}"


def varint(value: int) -> bytes:
    value, out = value << 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class Writer:
    """Records of `batch` samples each, built from parts: fastavro would need longer to write than we to measure."""

    def __init__(self, targets: int, batch: int, errors: float) -> None:
        self.batch, self.passes = batch, targets // batch
        random = np.random.default_rng(1)
        names = [f"target-{i:06d}" for i in range(targets)]
        head = encode(_batch(names[:1], 0.0))[:HEADER_BYTES] + varint(5) + b"bench"
        self.count = varint(batch)
        self.starts = [
            head + self.count + b"".join(varint(len(n)) + n.encode() for n in names[k : k + batch]) + b"\0" + self.count
            for k in range(0, targets, batch)
        ]
        self.good = b"\1" * batch
        self.ok = (random.random(_POOL + batch) >= errors).astype("u1").tobytes()
        self.latency = random.normal(100.0, 5.0, _POOL + batch).astype("<f8").tobytes()
        self.at = random.integers(0, _POOL, 1 << 16).tolist()

    def record(self, number: int, time_ms: float) -> bytes:
        """Record `number`: the targets take their turns, all good in their first passes."""
        turn, start = divmod(number, self.passes)
        at = self.at[(number * 7 + turn) & 0xFFFF]
        ok = self.good if turn < GOOD_PASSES else self.ok[at : at + self.batch]
        times = np.full(self.batch, time_ms, "<f8").tobytes()
        middle = b"\0" + self.count
        latency = self.latency[at * 8 : (at + self.batch) * 8]
        return b"".join((self.starts[start], times, middle, ok, middle, latency, b"\0\0\0\0"))


def _batch(targets: list[str], time_ms: float, *, ok: bool = True) -> SampleBatch:
    n = len(targets)
    return SampleBatch(probe="bench", target=targets, time=[time_ms] * n, ok=[ok] * n, latency_ms=[100.0] * n)


def _records(writer: Writer, samples: int) -> Iterator[tuple[int, bool, bytes]]:
    """Records for about `samples` samples: time in milliseconds, whether it is a sentinel, and the bytes."""
    due, marks, total, start = 0.0, 0, samples // writer.batch, now_ms()
    for number in range(total + 1):
        at = int(start + number * writer.batch / PACE[writer.batch] * 1000)
        if number >= due or number == total:
            yield at, True, encode(_batch([sentinel(marks)], at, ok=False))
            marks += 1
            due = max(number + 1, due * GROWTH, 200 / writer.batch)
        if number < total:
            yield at, False, writer.record(number, at)


async def make_topics(kafka: KafkaSettings) -> None:
    """Create the topics of `kafka`; that of samples takes the records' own time, so that event time can be set."""
    admin = AIOKafkaAdminClient(**client_options(kafka, "bench-admin"))
    await admin.start()
    try:
        # Nothing may be deleted for a time that is long ago.
        config = {**topic_config(SAMPLES), "message.timestamp.type": "CreateTime", "retention.ms": "-1"}
        await admin.create_topics([NewTopic(full_name(kafka, SAMPLES), 1, 1, topic_configs=config)])
    finally:
        await admin.close()
    await create_topics(kafka)


async def write(kafka: KafkaSettings, targets: int, batch: int, samples: int, errors: float) -> Content:
    """Make the topics of `kafka` and fill that of samples."""
    await make_topics(kafka)
    topic = full_name(kafka, SAMPLES)
    producer = AIOKafkaProducer(**{**producer_options(kafka, "bench"), "max_batch_size": 1_000_000})
    await producer.start()
    began, marks, number = time.perf_counter(), [], 0
    sends: list[asyncio.Future[object]] = []
    try:
        some = producer.create_batch()
        for at, mark, record in _records(Writer(targets, batch, errors), samples):
            if some.append(key=None, value=record, timestamp=at) is None:
                sends.append(await producer.send_batch(some, topic, partition=0))
                if len(sends) > 4:
                    await sends.pop(0)
                some = producer.create_batch()
                some.append(key=None, value=record, timestamp=at)
            if mark:
                marks.append(number)
            number += 1
        sends.append(await producer.send_batch(some, topic, partition=0))
        await asyncio.gather(*sends)
    finally:
        await producer.stop()
    return Content(topic, targets, batch, marks, number, time.perf_counter() - began)
