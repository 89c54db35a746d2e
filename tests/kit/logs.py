"""The logs role in a process of its own, and what it makes of lines."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer

from agents.logs.app import run
from agents.logs.settings import LogsSettings
from agents.probe.settings import PushCheck, Target, TcpCheck
from schemas import LogBatch, SampleBatch, encode
from streams.kafka import KafkaSettings, producer_options
from streams.log_lines import Line, batches
from streams.partition import partition_of
from streams.topics import LOGS, full_name
from tests.kit.process import Child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

TARGETS = (
    *(Target(name=n, push=PushCheck(), labels={"source": "logs"}) for n in ("api", "web", "jobs", "db")),
    Target(name="checked", tcp=TcpCheck(address="localhost:1")),
)
QUICK = LogsSettings(interval=1, settle=0.2, learn=0, quiet_after=0)


class Sender:
    """Puts lines on the topic."""

    def __init__(self, kafka: KafkaSettings, producer: AIOKafkaProducer) -> None:
        self.kafka, self.producer = kafka, producer

    async def send(self, target: str, lines: Iterable[Line | str]) -> None:
        """One record of `lines`, acknowledged."""
        made = [Line(line) if isinstance(line, str) else line for line in lines]
        for batch in batches(target, made):
            await self.put(batch)

    async def put(self, batch: LogBatch, partition: int | None = None) -> None:
        """A record as it is."""
        await self.raw(
            encode(batch), partition_of(batch.target, self.kafka.partitions) if partition is None else partition
        )

    async def raw(self, value: bytes, partition: int) -> None:
        """Any bytes."""
        await self.producer.send_and_wait(full_name(self.kafka, LOGS), value, partition=partition)


@asynccontextmanager
async def sender(kafka: KafkaSettings) -> AsyncIterator[Sender]:
    """A producer of lines."""
    async with AIOKafkaProducer(**producer_options(kafka, "test-lines")) as producer:
        yield Sender(kafka, producer)


def rows(found: Iterable[SampleBatch]) -> list[dict[str, Any]]:
    """Every sample of the role once, as a dict with its metrics; what was sent again is left out, as detect does."""
    seen: set[tuple[str, float]] = set()
    out = []
    for batch in found:
        text = {d["row"]: d for d in batch.details}
        for i, target in enumerate(batch.target):
            key = (target, batch.sequence[i])
            if batch.probe != "logs" or key in seen:
                continue
            seen.add(key)
            metrics = {m["name"]: m["value"][i] for m in batch.metrics if m["value"][i] == m["value"][i]}
            out.append({"target": target, "time": batch.time[i], "sequence": batch.sequence[i], "ok": batch.ok[i],
                        "status": text.get(i, {}).get("status", ""), "message": text.get(i, {}).get("message", ""), **metrics})  # fmt: skip
    return out


def totals(found: Iterable[SampleBatch], metric: str = "log.lines") -> Counter[str]:
    """Sum of a metric by target."""
    sums: Counter[str] = Counter()
    for row in rows(found):
        sums[row["target"]] += round(row.get(metric, 0))
    return sums


def process(kafka: KafkaSettings, settings: LogsSettings = QUICK) -> Child:
    """The role in a process of its own."""
    config = {"kafka": kafka.model_dump(mode="json"), "settings": settings.model_dump(mode="json")}
    return Child("tests.kit.logs", config)


def _main() -> None:
    config = json.loads(sys.stdin.readline())
    asyncio.run(
        run(
            kafka=KafkaSettings.model_validate(config["kafka"]),
            settings=LogsSettings.model_validate(config["settings"]),
            targets=TARGETS,
            accept_unknown=False,
            stop=asyncio.Event(),
            ready=lambda: print("ready", flush=True),
        )
    )


if __name__ == "__main__":
    _main()
