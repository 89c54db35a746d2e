"""Reads parts of topics for an explanation: what is wanted, between two times, and never for longer than allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import Alert, DecodeError, Finding, Health, Notification, Record, decode
from streams.kafka import close, consumer_options
from streams.partition import partition_of
from streams.records import Record as Raw
from streams.topics import ALERTS, FINDINGS, HEALTH, NOTIFICATIONS, SAMPLES, full_name, partitions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from streams.kafka import KafkaSettings
    from streams.topics import Topic

R = TypeVar("R", bound=Record)
_MARGIN_MS = 2000.0
_MOST_IDS = 1000


@dataclass(frozen=True, slots=True)
class Extent:
    """A partition's records up to a time: offsets `first` to below `end`; the time (ms) of the first, None if empty."""

    first: int
    end: int
    since: float | None


class Log:
    """One reader of everything. Every question opens at most one part of the log, and goes through it once."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.kafka = kafka
        self._consumer = AIOKafkaConsumer(**consumer_options(kafka, "explain") | {"max_poll_records": 5000})

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await close(self._consumer)

    def _parts(self, topic: Topic, only: Collection[int] | None = None) -> list[TopicPartition]:
        numbers = range(partitions(self.kafka, topic)) if only is None else only
        return [TopicPartition(full_name(self.kafka, topic), p) for p in numbers]

    async def _begin(self, parts: list[TopicPartition], since_ms: float | None) -> None:
        self._consumer.assign(parts)
        await self._consumer.seek_to_beginning(*parts)
        if since_ms is None:
            return
        found = await self._consumer.offsets_for_times(dict.fromkeys(parts, max(int(since_ms), 0)))
        for part in parts:
            if found.get(part) is not None:
                self._consumer.seek(part, found[part].offset)
            else:
                await self._consumer.seek_to_end(part)

    async def read(
        self,
        topic: Topic,
        *,
        only: Collection[int] | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> AsyncIterator[list[Any]]:
        """The records of a topic by the broker's clock, in pieces, in the order of each partition."""
        parts = self._parts(topic, only)
        await self._begin(parts, since)
        ends = await self._consumer.end_offsets(parts)
        going = set(parts)
        while going := {p for p in going if await self._consumer.position(p) < ends[p]}:
            for part, messages in (await self._consumer.getmany(*going, timeout_ms=200)).items():
                wanted = [m for m in messages if m.offset < ends[part] and (until is None or m.timestamp <= until)]
                if len(wanted) < len(messages):
                    going.discard(part)
                if wanted:
                    yield wanted

    async def alert(self, begins: str) -> list[Alert]:
        """Every transition of the alerts whose id begins so."""
        start = begins.encode()
        return await self._transitions(lambda key, _: key.startswith(start))

    async def alerts(self, ids: Collection[str], targets: Collection[str], until: float | None = None) -> list[Alert]:
        """Every transition, up to a time, of the alerts with these ids, and of those about these targets or groups."""
        keys, raw = {i.encode() for i in ids}, [t.encode() for t in targets]
        if not keys and not raw:
            return []
        found = await self._transitions(lambda key, value: key in keys or any(r in value for r in raw), until)
        return [a for a in found if a.id in ids or a.target in targets]

    async def _transitions(self, wanted: Callable[[bytes, bytes], bool], until: float | None = None) -> list[Alert]:
        """Those whose key and value are `wanted`, by alert and number, each once: a writer may send one twice."""
        found: dict[tuple[str, int], Alert] = {}
        async for messages in self.read(ALERTS, until=until):
            for message in messages:
                if message.value is not None and wanted(message.key or b"", message.value):
                    alert = _decoded(message.value, Alert)
                    if alert is not None:
                        found[alert.id, alert.number] = alert
        return [found[key] for key in sorted(found)]

    async def deliveries(self, alerts: Collection[str], since: float, until: float | None = None) -> list[Notification]:
        """The ledger's steps of these alerts."""
        keys = tuple(f"{alert}/".encode() for alert in alerts)
        found: list[Notification] = []
        if not keys:
            return found
        async for messages in self.read(NOTIFICATIONS, since=since - _MARGIN_MS, until=until):
            for message in messages:
                if message.value is not None and (message.key or b"").startswith(keys):
                    step = _decoded(message.value, Notification)
                    if step is not None:
                        found.append(step)
        return found

    async def findings(self, target: str, rule: str, since: float, until: float) -> list[Finding]:
        """The findings of a rule about a target or group between two times of the broker's clock."""
        key = f"{target}/{rule}".encode()
        only = [partition_of(key.decode(), partitions(self.kafka, FINDINGS))]
        found: list[Finding] = []
        async for messages in self.read(FINDINGS, only=only, since=since - _MARGIN_MS, until=until + _MARGIN_MS):
            for message in messages:
                if message.key == key and message.value is not None:
                    finding = _decoded(message.value, Finding)
                    if finding is not None:
                        found.append(finding)
        return found

    async def health_names(self) -> list[str]:
        """The targets that the health topic knows."""
        found: dict[str, None] = {}
        async for messages in self.read(HEALTH):
            for message in messages:
                name = (message.key or b"").decode(errors="replace")
                if message.value is None:
                    found.pop(name, None)
                else:
                    found[name] = None
        return list(found)

    async def knows_health(self, target: str) -> Health | None:
        """The latest health of a target; None where none is on the log."""
        key, latest = target.encode(), None
        only = [partition_of(target, partitions(self.kafka, HEALTH))]
        async for messages in self.read(HEALTH, only=only):
            for message in messages:
                if message.key == key:
                    latest = message.value
        return _decoded(latest, Health) if latest is not None else None

    async def alert_ids(self, most: int = _MOST_IDS) -> list[str]:
        """Ids of alerts on the log, the last `most`."""
        found: dict[str, None] = {}
        async for messages in self.read(ALERTS):
            for message in messages:
                found[(message.key or b"").decode(errors="replace")] = None
        return list(found)[-most:]

    async def extent(self, topic: Topic, partition: int, until: float) -> Extent:
        """What a partition has up to a time."""
        parts = self._parts(topic, [partition])
        self._consumer.assign(parts)
        first = (await self._consumer.beginning_offsets(parts))[parts[0]]
        end = (await self._consumer.end_offsets(parts))[parts[0]]
        after = (await self._consumer.offsets_for_times({parts[0]: int(until) + 1}))[parts[0]]
        earliest = (await self._consumer.offsets_for_times({parts[0]: 0}))[parts[0]]
        since = None if earliest is None else float(earliest.timestamp)
        return Extent(first, end if after is None else after.offset, since)

    async def samples(
        self, partition: int, until: float, since: float | None, first: int | None = None
    ) -> AsyncIterator[list[Raw]]:
        """The records of a partition of `samples` from a time, or from the offset `first` where that is later."""
        async for messages in self.read(SAMPLES, only=[partition], since=since, until=until):
            yield [Raw(m.offset, m.timestamp, m.value) for m in messages if first is None or m.offset >= first]


def _decoded(value: bytes, kind: type[R]) -> R | None:
    try:
        return decode(value, kind)
    except (DecodeError, TypeError):
        return None
