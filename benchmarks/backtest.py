"""How long `probestream backtest` takes over 30 days of 1,000 targets, checked every 30 s: 86 million samples.

    python benchmarks/backtest.py [--quick] [--json] [--kafka HOST:PORT] [--days 30] [--targets 1000] [--jobs N]

Writes such a log (4 partitions, about 500 samples a record, each target down for ten minutes about every ten days) and
runs the command itself over it with three rules. `--quick` is a thirtieth of it. The clock runs from the start of the
command to its end, so starting Python and compiled code is counted; writing the log is not.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, options
from benchmarks.reference.content import varint
from probestream.broker.process import running
from probestream.data import DataFolder
from schemas import SampleBatch, encode
from schemas.codec import HEADER_BYTES
from streams.kafka import KafkaSettings, client_options, producer_options
from streams.partition import partition_of
from streams.topics import SAMPLES, create_topics, full_name, topic_config

EVERY_MS = 30_000
BEGAN_MS = 1_760_000_000_000
BATCH = 500
OUTAGE_S, OUTAGE_EVERY_S = 600, 10 * 86_400
PARTITIONS = 4
RULES = """
detect: {unknown_targets: accept}
kafka: {prefix: PREFIX, partitions: 4}
rules:
  - {name: down, metric: consecutive_failures, operator: ">=", value: 3, severity: critical, for: 1m}
  - {name: errors, metric: error_rate, window: 5m, value: 5%, min_samples: 5}
  - {name: slow, metric: latency, window: 1m, value: 2 * baseline}
"""


class Writer:
    """Records of one partition, each of some rounds over its targets, put together from parts."""

    def __init__(self, names: list[str], seed: int) -> None:
        self.targets, self.rounds = len(names), max(1, BATCH // len(names))
        self.size = self.targets * self.rounds
        self._random = np.random.default_rng(seed)
        self._count = varint(self.size)
        empty = SampleBatch(probe="", target=[], time=[], ok=[], latency_ms=[])
        listed = b"".join(varint(len(n)) + n.encode() for n in names) * self.rounds
        self._start = encode(empty)[:HEADER_BYTES] + varint(5) + b"bench" + self._count + listed + b"\0"
        self._offset = np.repeat(np.arange(self.rounds) * EVERY_MS, self.targets).astype(float)
        self._phase = np.tile(self._random.integers(0, OUTAGE_EVERY_S, self.targets), self.rounds)
        self._latency = self._random.normal(100.0, 5.0, 1 << 20).astype("<f8")
        self._lucky = self._random.random(1 << 20) > 0.0001

    def record(self, number: int) -> tuple[int, bytes]:
        """Record `number`: when it was written (ms), and its bytes."""
        first = BEGAN_MS + number * self.rounds * EVERY_MS
        times = first + self._offset
        at = (number * 7919) % ((1 << 20) - self.size)
        since = (times / 1000.0 + self._phase) % OUTAGE_EVERY_S
        ok = (since >= OUTAGE_S) & self._lucky[at : at + self.size]
        sequence = np.full(self.size, float(number * self.rounds)) + self._offset / EVERY_MS
        latency = self._latency[at : at + self.size]
        part = b"\0" + self._count
        value = b"".join(
            (
                self._start, self._count, times.astype("<f8").tobytes(), part, ok.astype("u1").tobytes(), part,
                latency.tobytes(), part, sequence.astype("<f8").tobytes(), b"\0\0\0",
            )
        )  # fmt: skip
        return first + (self.rounds - 1) * EVERY_MS + 200, value


async def write(kafka: KafkaSettings, targets: int, days: float) -> tuple[int, int]:
    """Make the topics and fill that of samples; how many samples, and bytes."""
    admin = AIOKafkaAdminClient(**client_options(kafka, "bench-admin"))
    await admin.start()
    # The records' own times, which are long ago: nothing may be deleted for it.
    config = {**topic_config(SAMPLES), "message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    await admin.create_topics([NewTopic(full_name(kafka, SAMPLES), PARTITIONS, 1, topic_configs=config)])
    await admin.close()
    await create_topics(kafka)
    producer = AIOKafkaProducer(**{**producer_options(kafka, "bench"), "max_batch_size": 1_000_000})
    await producer.start()
    names = [f"target-{i:05d}" for i in range(targets)]
    topic, samples, size = full_name(kafka, SAMPLES), 0, 0
    try:
        for partition in range(PARTITIONS):
            own = [n for n in names if partition_of(n, PARTITIONS) == partition]
            writer, sends = Writer(own, partition), []
            batch = producer.create_batch()
            for number in range(int(days * 86_400_000 / EVERY_MS / writer.rounds)):
                at, value = writer.record(number)
                samples, size = samples + writer.size, size + len(value)
                if batch.append(key=None, value=value, timestamp=at) is None:
                    sends.append(await producer.send_batch(batch, topic, partition=partition))
                    if len(sends) > 4:
                        await sends.pop(0)
                    batch = producer.create_batch()
                    batch.append(key=None, value=value, timestamp=at)
            sends.append(await producer.send_batch(batch, topic, partition=partition))
            await asyncio.gather(*sends)
    finally:
        await producer.stop()
    return samples, size


def measure(bootstrap: str, args: Any, folder: Path) -> dict[str, Any]:
    """The time of one run of the command."""
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=f"bench{uuid.uuid4().hex[:8]}.", partitions=PARTITIONS)
    began = time.perf_counter()
    samples, size = asyncio.run(write(kafka, args.targets, args.days))
    print(f"{samples:,} samples, {size / 1e9:.2f} GB, written in {time.perf_counter() - began:.0f} s", flush=True)
    config = folder / "rules.yaml"
    config.write_text(RULES.replace("PREFIX", kafka.prefix).replace("{prefix", f"{{bootstrap: '{bootstrap}', prefix"))
    out = folder / "report.json"
    command = [
        sys.executable, "-m", "probestream", "backtest", "--config", str(config), "--rules", str(config),
        "--from", f"{args.days:g}d", "--format", "json", "--output", str(out), "--data", str(folder / "none"),
        *(["--jobs", str(args.jobs)] if args.jobs else []),
    ]  # fmt: skip
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = json.loads(out.read_text())
    if report["log"]["samples"] != samples:
        sys.exit(f"{samples} samples were written, {report['log']['samples']} read")
    alerts = len(report["alerts"])
    print(
        f"{took:.1f} s, {samples / took / 1e6:.2f} million samples/s, {worked:.1f} s of processors; {alerts:,} alerts",
        flush=True,
    )
    return {
        "benchmark": "backtest", "samples": samples, "bytes": size, "seconds": round(took, 2),
        "processor_seconds": round(worked, 2),
        "samples_per_second": round(samples / took), "alerts": alerts,
    }  # fmt: skip


def main() -> None:
    parser = options(str(__doc__).split("\n", 1)[0])
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--jobs", type=int, help="processes; all cores where absent")
    args = parser.parse_args()
    if args.quick:
        args.days /= 30
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.kafka:
            result = measure(args.kafka, args, folder)
        else:
            with running(DataFolder(folder / "broker")) as bootstrap:
                result = measure(bootstrap, args, folder)
    finish(result, as_json=args.json)


if __name__ == "__main__":
    main()
