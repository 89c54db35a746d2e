"""Records with sensible values, and a producer of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer

from schemas import (
    Alert,
    Control,
    DeadLetter,
    Finding,
    Health,
    LogBatch,
    Notification,
    Record,
    Rollup,
    SampleBatch,
    encode,
)
from streams.kafka import KafkaSettings, producer_options
from streams.topics import BY_NAME, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


def alert(id: str = "a1", number: int = 1, state: str = "firing", **more: Any) -> Alert:  # noqa: A002 - the field's name
    now = more.pop("at", now_ms())
    values: dict[str, Any] = {
        "previous": "" if number == 1 else "firing",
        "reason": "for_elapsed",
        "notify": True,
        "rule": "down",
        "target": "shop",
        "severity": "critical",
        "began": now - 60_000,
        "fired": now,
        "annotations": {"summary": "shop is down", "runbook_url": "https://runbook.example/down"},
        **more,
    }
    return Alert(id=id, number=number, state=state, at=now, **values)


def health(target: str = "shop", status: str = "healthy", **more: Any) -> Health:
    now = more.pop("time", now_ms())
    values: dict[str, Any] = {"since": now - 1000.0, "ok": status == "healthy", "latency_ms": 12.0, **more}
    return Health(target=target, status=status, time=now, **values)


def rollup(pane_start: float, targets: dict[str, tuple[float, float, float]], **more: Any) -> Rollup:
    """`targets`: count, errors and latency sum of each."""
    n = len(targets)
    values: dict[str, Any] = {
        "partition": 0,
        "block": 0,
        "pane_ms": 10_000,
        "metric": [""] * n,
        "value_min": [1.0] * n,
        "value_max": [100.0] * n,
        **more,
    }
    return Rollup(
        pane_start=pane_start,
        target=list(targets),
        count=[t[0] for t in targets.values()],
        errors=[t[1] for t in targets.values()],
        value_count=[t[0] - t[1] for t in targets.values()],
        value_sum=[t[2] for t in targets.values()],
        **values,
    )


def notification(alert_id: str = "a1", outcome: str = "delivered", **more: Any) -> Notification:
    values: dict[str, Any] = {
        "number": 1,
        "state": "firing",
        "receiver": "ops",
        "channel": "slack",
        "reason": "http_200",
        "attempt": 1,
        "idempotency_key": f"{alert_id}/1/ops/slack",
        "at": now_ms(),
        **more,
    }
    return Notification(alert_id=alert_id, outcome=outcome, **values)


def one_of_each() -> dict[str, Record]:
    """A record for each topic that carries one, by topic name."""
    now = now_ms()
    return {
        "samples": SampleBatch(
            probe="p1", target=["shop"], time=[now], ok=[True], latency_ms=[12.5],
            metrics=[{"name": "cpu", "value": [1.5]}], details=[{"row": 0, "status": "200", "message": ""}],
        ),
        "logs": LogBatch(
            target="shop", time=[now], level=["error"], message=["no route to host"],
            attributes=[{"row": 0, "name": "pid", "value": "7"}],
        ),
        "rollups": rollup(now - now % 10_000, {"shop": (2.0, 1.0, 30.0)}),
        "findings": Finding(
            target="shop", rule="down", holds=True, time=now, severity="critical", metric="up", aggregate="last",
            operator="==", threshold=0.0, value=0.0, baseline=None, score=2.0,
        ),
        "health": health(metrics={"cpu": 1.5}, labels={"team": "web"}, rules=["down"]),
        "control": Control(kind="ack", id="a1", version=1, actor="ada", at=now, body='{"comment": "on it"}'),
        "alerts": alert(labels={"team": "web"}),
        "notifications": notification(),
        "dead-letters": DeadLetter(
            hop="detect", reason="not_avro", error="3 bytes", topic="samples", partition=0, offset=7, at=now,
            key=b"k", value=b"abc", headers=[{"name": "h", "value": b"v"}],
        ),
    }  # fmt: skip


def key_of(record: Record) -> bytes | None:
    """The key that the record's writer gives it."""
    match record:
        case LogBatch():
            return record.target.encode()
        case Alert():
            return record.id.encode()
        case Health():
            return record.target.encode()
        case Rollup():
            length = "" if record.pane_ms == 10_000 else f"/{record.pane_ms}"
            return f"{record.partition}/{record.block}/{record.pane_start:.0f}{length}".encode()
        case Notification():
            return f"{record.alert_id}/{record.number}/{record.receiver}/{record.channel}/{record.outcome}".encode()
        case Control():
            return f"{record.kind}/{record.id}".encode()
    return None


TOPIC_OF = {t.schema: t for t in BY_NAME.values() if t.schema}


class Writer:
    """Writes records to their topics, awaiting the broker."""

    def __init__(self, kafka: KafkaSettings, producer: AIOKafkaProducer) -> None:
        self.kafka, self.producer = kafka, producer

    async def write(self, *records: Record) -> None:
        for record in records:
            topic = full_name(self.kafka, TOPIC_OF[record.schema_name()])
            await self.producer.send_and_wait(topic, encode(record), key=key_of(record))

    async def raw(
        self, topic: str, value: bytes | None, key: bytes | None = None, partition: int | None = None
    ) -> None:
        await self.producer.send_and_wait(f"{self.kafka.prefix}{topic}", value, key=key, partition=partition)


@asynccontextmanager
async def writer(kafka: KafkaSettings) -> AsyncIterator[Writer]:
    async with AIOKafkaProducer(**producer_options(kafka, "test")) as producer:
        yield Writer(kafka, producer)
