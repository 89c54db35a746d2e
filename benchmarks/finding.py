"""From a sample's append to its finding's append, at 20,000 samples a second.

    python benchmarks/finding.py [--quick] [--json] [--kafka HOST:PORT] [--rate 20000] [--batches 100,1]

The detect role, in a process of its own, on a real Kafka, with 1,000 targets under load; single targets turn bad, and
both times are the broker's own, to the millisecond. `batches` are samples a record: 100 as a probe writes them, 1 as
an application may. Beside each: the same way without us, a plain consumer that answers each such sample at once, which
is what Kafka and the client take of it on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.common import finish, on_kafka, options, percentile
from schemas import Finding, SampleBatch, decode, encode
from streams.kafka import KafkaSettings, consumer_options, producer_options
from streams.partition import partition_of
from streams.topics import FINDINGS, SAMPLES, create_topics, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PARTITIONS, TARGETS = 4, 1000
TURN_S = 0.01
CONFIG = """
kafka: {{partitions: {partitions}, prefix: "{prefix}"}}
detect: {{unknown_targets: accept}}
rules:
  - {{name: down, severity: critical, metric: up, operator: "==", value: 0}}
  - {{name: slow, metric: latency, aggregate: p95, window: 5m, value: 1s}}
  - {{name: failing, expr: "error_rate[5m] > 5% and count[5m] >= 10"}}
"""


@contextlib.asynccontextmanager
async def detecting(folder: Path, bootstrap: str, group: str) -> AsyncIterator[None]:
    """The detect role, ready; without a group's name ours, else the plain consumer."""
    ready, log = folder / "detect.ready", folder / "detect.log"
    ours = [
        sys.executable,
        "-m",
        "probestream",
        "run",
        "detect",
        "--config",
        str(folder / "p.yaml"),
        "--data",
        str(folder),
    ]
    plain = [sys.executable, __file__, "--plain", group, "--kafka", bootstrap]
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(plain if group else ours),
            env={**os.environ, "PROBESTREAM_KAFKA": bootstrap, "PROBESTREAM_READY_FILE": str(ready)},
            stdout=out,
            stderr=out,
        )
    try:
        async with asyncio.timeout(240.0):  # the very first start compiles
            while not ready.exists():
                if process.returncode is not None:
                    raise RuntimeError(log.read_text()[-3000:])
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def load(producer: AIOKafkaProducer, topic: str, rate: int, batch: int, stop: asyncio.Event) -> float:
    """Good samples, `rate` a second in records of `batch`, every 10 ms some; returns how many a second it came to."""
    homes: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for i in range(TARGETS):
        homes[partition_of(f"load-{i}", PARTITIONS)].append(f"load-{i}")
    at, turn, sent = [0] * PARTITIONS, 0, 0
    built = [producer.create_batch() for _ in range(PARTITIONS)]
    began = due = time.perf_counter()
    while not stop.is_set():
        now = now_ms()
        while sent < (time.perf_counter() - began) * rate:
            p = turn % PARTITIONS
            turn += 1
            some = [homes[p][(at[p] + k) % len(homes[p])] for k in range(batch)]
            at[p] += batch
            value = SampleBatch(
                probe="load", target=some, time=[now] * batch, ok=[True] * batch, latency_ms=[20.0] * batch
            )
            built[p].append(key=None, value=encode(value), timestamp=None)
            sent += batch
        # As one request each: a producer's own bookkeeping of single records would be most of the load here.
        for p in range(PARTITIONS):
            if built[p].record_count():
                await producer.send_batch(built[p], topic, partition=p)
                built[p] = producer.create_batch()
        due += TURN_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return sent / (time.perf_counter() - began)


class Findings:
    """When the broker took the finding of each target, in milliseconds."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Future[int]] = {}

    @contextlib.asynccontextmanager
    async def reading(self, kafka: KafkaSettings) -> AsyncIterator[Findings]:
        consumer = AIOKafkaConsumer(**consumer_options(kafka, "bench"))
        await consumer.start()
        consumer.assign([TopicPartition(full_name(kafka, FINDINGS), p) for p in range(PARTITIONS)])

        async def pump() -> None:
            async for message in consumer:
                found = decode(message.value, Finding)
                if (waiting := self.waiting.pop(found.target, None)) is not None:
                    waiting.set_result(message.timestamp)

        pumping = asyncio.create_task(pump())
        try:
            yield self
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)
            await consumer.stop()


async def measure(bootstrap: str, rate: int, batch: int, measures: int, *, plain: bool = False) -> dict[str, Any]:
    """p50 and p99 of one way of writing."""
    prefix = f"bench{uuid.uuid4().hex[:8]}."
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix, partitions=PARTITIONS)
    await create_topics(kafka)
    with tempfile.TemporaryDirectory() as name:
        folder, stop = Path(name), asyncio.Event()
        (folder / "p.yaml").write_text(CONFIG.format(partitions=PARTITIONS, prefix=prefix))
        feed = AIOKafkaProducer(**producer_options(kafka, "feed"))  # its own connection: the load must not delay it
        bulk = AIOKafkaProducer(**producer_options(kafka, "load"), max_batch_size=1 << 20)
        await asyncio.gather(feed.start(), bulk.start())
        topic, taken = full_name(kafka, SAMPLES), []
        try:
            async with Findings().reading(kafka) as findings, detecting(folder, bootstrap, prefix if plain else ""):
                loading = asyncio.create_task(load(bulk, topic, rate, batch, stop))
                for i in range(-50, measures):  # the first fifty warm the way up
                    target = f"bad-{uuid.uuid4().hex[:12]}"
                    found = findings.waiting[target] = asyncio.get_running_loop().create_future()
                    value = SampleBatch(probe="bench", target=[target], time=[now_ms()], ok=[False], latency_ms=[5.0])
                    home = partition_of(target, PARTITIONS)
                    sent = await feed.send_and_wait(topic, encode(value), partition=home)
                    async with asyncio.timeout(30.0):
                        at = await found
                    if i >= 0:
                        taken.append(float(at - sent.timestamp))
                    await asyncio.sleep(0.013)
                stop.set()
                reached = await loading
        finally:
            stop.set()
            await asyncio.gather(feed.stop(), bulk.stop())
    return {
        "samples_a_record": batch,
        "rate": round(reached),
        "measures": len(taken),
        "p50_ms": percentile(taken, 0.5),
        "p99_ms": percentile(taken, 0.99),
        "max_ms": max(taken),
    }


async def answer_at_once(kafka: KafkaSettings) -> None:
    """The plain consumer: reads samples, decodes those of one sample that failed, and writes a finding."""
    consumer = AIOKafkaConsumer(**{**consumer_options(kafka, "plain"), "auto_offset_reset": "latest"})
    producer = AIOKafkaProducer(**producer_options(kafka, "plain"))
    await asyncio.gather(consumer.start(), producer.start())
    consumer.assign([TopicPartition(full_name(kafka, SAMPLES), p) for p in range(PARTITIONS)])
    await consumer.seek_to_end()
    Path(os.environ["PROBESTREAM_READY_FILE"]).touch()
    while True:
        for messages in (await consumer.getmany(timeout_ms=1000)).values():
            for m in messages:
                if b"bad-" not in m.value[:40]:
                    continue
                batch = decode(m.value, SampleBatch)
                told = Finding(
                    target=batch.target[0], rule="down", holds=True, time=batch.time[0], severity="critical",
                    metric="up", aggregate="", operator="==", threshold=0.0, value=0.0, window_s=0.0, count=1.0,
                    baseline=None, score=None, status="", message="", source_partition=m.partition,
                    source_offset=m.offset, conditions=[],
                )  # fmt: skip
                await producer.send(full_name(kafka, FINDINGS), encode(told), partition=m.partition)


async def compare(bootstrap: str, args: Any) -> dict[str, Any]:
    """Ours and the plain consumer at every size of record."""
    result: dict[str, Any] = {
        "benchmark": "finding",
        "unit": "ms from a sample's append to its finding's",
        "ours": [],
        "plain": [],
    }
    for batch in args.batches:
        for who, plain in (("ours", False), ("plain", True)):
            row = await measure(bootstrap, args.rate, batch, 200 if args.quick else 1500, plain=plain)
            result[who].append(row)
            told = f"{row['rate']} samples/s, {batch} a record"
            print(
                f"{who:6} {told}: p50 {row['p50_ms']} ms   p99 {row['p99_ms']} ms   max {row['max_ms']} ms", flush=True
            )
    return result


def main() -> None:
    parser = options(str(__doc__).split("\n", 1)[0])
    parser.add_argument("--rate", type=int, default=20_000, help="samples a second")
    parser.add_argument("--batches", default="100,1", help="samples a record")
    parser.add_argument("--plain", metavar="PREFIX", help="be the plain consumer; used by the benchmark itself")
    args = parser.parse_args()
    args.batches = [int(b) for b in args.batches.split(",")]
    if args.plain:
        asyncio.run(answer_at_once(KafkaSettings(bootstrap=args.kafka, prefix=args.plain, partitions=PARTITIONS)))
        return
    with on_kafka(args) as bootstrap:
        finish(asyncio.run(compare(bootstrap, args)), as_json=args.json)


if __name__ == "__main__":
    main()
