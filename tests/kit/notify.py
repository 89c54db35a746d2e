"""Driving the notify role: alerts in, ledger out, the role in this process or in one that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from agents.notify.app import run
from agents.notify.settings import NotifySettings, Receiver
from schemas import Alert, DeadLetter, Notification, decode, encode
from streams.kafka import KafkaSettings, consumer_options, producer_options
from streams.partition import partition_of
from streams.routing import Route
from streams.topics import ALERTS, DEAD_LETTERS, NOTIFICATIONS, full_name
from tests.kit.process import Child
from tests.kit.reader import everything
from tests.kit.receivers import SlackServer
from tests.kit.role import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

# An answer that is late because this machine stands still is none that was lost, and none is too late.
DEFAULTS = NotifySettings(timeout=60.0, retry_for=600.0, retry_initial=0.05, retry_max=0.2)


def alert(state: str = "firing", **changes: Any) -> Alert:
    """One transition; the same `id` in `changes` ties several together."""
    now = time.time() * 1000
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "number": {"firing": 1, "acknowledged": 2, "escalated": 3, "resolved": 4}.get(state, 9),
        "state": state,
        "previous": "pending",
        "reason": "for_elapsed",
        "notify": True,
        "rule": "error-rate",
        "target": "shop",
        "severity": "critical",
        "at": now,
        "began": now - 60_000,
        "fired": now,
        "resolved": now if state == "resolved" else None,
        "labels": {"team": "web"},
        "annotations": {"summary": "Half of all requests fail."},
        "metric": "error_rate",
        "aggregate": "mean",
        "operator": ">",
        "threshold": 0.05,
        "value": 0.5,
    }
    return Alert(**values | changes)


async def send(kafka: KafkaSettings, *records: Alert | tuple[bytes, bytes]) -> None:
    """Append alerts, or raw (key, value) pairs, in order."""
    producer = AIOKafkaProducer(**producer_options(kafka, "test"))
    async with producer:
        for record in records:
            key, value = (record.id.encode(), encode(record)) if isinstance(record, Alert) else record
            partition = partition_of(key.decode(), kafka.partitions)
            await producer.send_and_wait(full_name(kafka, ALERTS), value, key=key, partition=partition)


async def ledger(kafka: KafkaSettings) -> list[Notification]:
    """Every step in the ledger, by partition and offset."""
    return [decode(r.value, Notification) for r in await everything(kafka, NOTIFICATIONS)]


async def dead_letters(kafka: KafkaSettings) -> list[DeadLetter]:
    """Every dead letter."""
    return [decode(r.value, DeadLetter) for r in await everything(kafka, DEAD_LETTERS)]


async def ledger_until(
    kafka: KafkaSettings, holds: Callable[[list[Notification]], bool], timeout: float = PATIENCE_S
) -> list[Notification]:
    """The ledger, once `holds` says so. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not holds(steps := await ledger(kafka)):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout} s: {[(s.channel, s.state, s.outcome, s.reason) for s in steps]}")
        await asyncio.sleep(0.05)
    return steps


def outcomes(steps: Iterable[Notification], *kinds: str) -> list[Notification]:
    """The steps with these outcomes."""
    return [s for s in steps if s.outcome in (kinds or ("delivered", "given_up", "skipped"))]


async def committed_offsets(kafka: KafkaSettings, channel: str) -> dict[int, int]:
    """The group's place, by partition."""
    name = full_name(kafka, ALERTS)
    async with AIOKafkaConsumer(**consumer_options(kafka, "test-offsets", f"notify-{channel}")) as consumer:
        found = {p: await consumer.committed(TopicPartition(name, p)) for p in range(kafka.partitions)}
    return {p: offset for p, offset in found.items() if offset is not None}


@contextlib.asynccontextmanager
async def running(
    kafka: KafkaSettings, route: Route, *receivers: Receiver, settings: NotifySettings = DEFAULTS
) -> AsyncIterator[asyncio.Task[None]]:
    """The role in this process, ready; stopped in order at the end."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.ensure_future(
        run(kafka=kafka, settings=settings, route=route, receivers=receivers, stop=stop, ready=ready.set)
    )
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait({task, waiting}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    assert ready.is_set(), f"not ready: {task!r}"
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


def slack_of(name: str, server: SlackServer, **more: object) -> Receiver:
    """A receiver with one Slack webhook."""
    return Receiver.model_validate({"name": name, "slack_configs": [{"api_url": server.url, **more}]})


def process(kafka: KafkaSettings, route: Route, *receivers: Receiver, settings: NotifySettings = DEFAULTS) -> Child:
    """The role in a process of its own."""
    config = {
        "kafka": kafka.model_dump(mode="json"),
        "route": route.model_dump(mode="json", by_alias=True),
        "receivers": [_plain(r.model_dump(by_alias=True)) for r in receivers],
        "settings": settings.model_dump(mode="json"),
    }
    return Child("tests.kit.notify", config)


def _plain(value: Any) -> Any:
    """A configuration with its secrets in the open, for a child's standard input."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def _main() -> None:
    config = json.loads(sys.stdin.readline())
    asyncio.run(
        run(
            kafka=KafkaSettings.model_validate(config["kafka"]),
            settings=NotifySettings.model_validate(config["settings"]),
            route=Route.model_validate(config["route"]),
            receivers=tuple(Receiver.model_validate(r) for r in config["receivers"]),
            stop=asyncio.Event(),
            ready=lambda: print("ready", flush=True),
        )
    )


if __name__ == "__main__":
    _main()
