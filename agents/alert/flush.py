"""Stores what changed, tells it, and lets the findings go: in this order, so that nothing is told twice or lost."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer

from agents import crash
from schemas import Alert, encode
from streams import life as lifecycle
from streams.kafka import KafkaSettings, producer_options
from streams.topics import ALERT_STATE, ALERTS, CONTROL, DEAD_LETTERS, full_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.alert.intake import Intake
    from streams.alerting.lives import Lives
    from streams.life import Life

log = logging.getLogger("probestream.alert")

# Table entry of a partition: the offset up to which its findings are in the lives.
_META = b"\0offset/"
_OFFSET = struct.Struct("<q")


def offset_key(partition: int) -> bytes:
    """Key of the entry that says how far a partition's findings are in the lives."""
    return _META + str(partition).encode()


def offset_in(entry: bytes | None) -> int:
    """The offset in such an entry; -1 where there is none."""
    return -1 if entry is None else int(_OFFSET.unpack(entry)[0])


class Flush:
    """The only writer of `alert-state` and `alerts`."""

    def __init__(self, kafka: KafkaSettings, lives: Lives, intake: Intake) -> None:
        self.lives, self.intake = lives, intake
        self.table: Any = None
        self.wake = asyncio.Event()
        self.withdrawn: list[str] = []
        self._lock = asyncio.Lock()
        self._producer = AIOKafkaProducer(**producer_options(kafka, "alert"))
        self._alerts, self._state = full_name(kafka, ALERTS), full_name(kafka, ALERT_STATE)
        self._letters, self._control = full_name(kafka, DEAD_LETTERS), full_name(kafka, CONTROL)

    async def start(self) -> None:
        """Connect the producer."""
        await self._producer.start()

    async def close(self) -> None:
        """Disconnect."""
        await self._producer.stop()

    async def run(self) -> None:
        """One flush."""
        async with self._lock:
            self.wake.clear()
            # No await while these are taken: one cut through lives, outboxes and events.
            dirty, self.lives.dirty = list(self.lives.dirty.values()), {}
            gone, self.lives.gone = list(self.lives.gone), {}
            withdrawn, self.withdrawn = self.withdrawn, []
            events, letters = self.intake.cut()
            told = [(life, dict(t)) for life in dirty for t in life.outbox]
            entries: dict[str, bytes | None] = {life.key: life.dump() for life in dirty}
            entries |= dict.fromkeys(gone)
            step = crash.here if told else crash.nowhere
            step("alert.flush.begun")
            await self._store(entries, letters, events, step)
            step("alert.flush.stored")
            await self._tell(told)
            step("alert.flush.told")
            for life, transition in told:
                lifecycle.sent(life, transition["number"], transition["id"])
                if self.lives.get(life.key) is life:
                    self.lives.dirty.setdefault(life.key, life)  # stored with the next flush: till then `already_sent`
                if not life.active:
                    self.lives.by_id.pop(life.id, None)
            for key in withdrawn:  # nothing waits for these: a record that stays is passed over at the next start
                await self._producer.send(self._control, key=key.encode(), value=None, partition=0)
            for event in events:
                event.ack()
            step("alert.flush.let_go")

    async def _store(
        self, entries: dict[str, bytes | None], letters: list[bytes], events: list[Any], step: Callable[[str], None]
    ) -> None:
        sends = [await self._producer.send(self._letters, value=letter, partition=0) for letter in letters]
        for i, (name, entry) in enumerate(entries.items()):
            await _let_others(i)
            key, partition = name.encode(), self.lives.partition(name)
            sends.append(await self._producer.send(self._state, key=key, value=entry, partition=partition))
        step("alert.flush.storing")
        # After the lives, on the same partition: what says how far the findings are folded is never ahead of them.
        reached = {offset_key(e.message.partition): e.message for e in events}
        for key, message in reached.items():
            value = _OFFSET.pack(message.offset)
            sends.append(await self._producer.send(self._state, key=key, value=value, partition=message.partition))
        await asyncio.gather(*sends)
        for name, entry in entries.items():
            if entry is None:
                self.table.data.pop(name.encode(), None)
            else:
                self.table.data[name.encode()] = entry
        for key, message in reached.items():
            self.table.data[key] = _OFFSET.pack(message.offset)

    async def _tell(self, told: list[tuple[Life, dict[str, Any]]]) -> None:
        sends = []
        for i, (life, transition) in enumerate(told):
            await _let_others(i)
            alert = Alert.from_dict(transition)
            log.info("%s %s on %s: %s (%s)", alert.state, alert.rule, alert.target, alert.id, alert.reason)
            key, partition = alert.id.encode(), self.lives.partition(life.key)
            sends.append(await self._producer.send(self._alerts, key=key, value=encode(alert), partition=partition))
            crash.here("alert.flush.telling")
        await asyncio.gather(*sends)


async def _let_others(i: int) -> None:
    """Of many writes in a row, give way at every hundredth: heartbeats must go out, or the partitions are lost."""
    if i % 100 == 99:
        await asyncio.sleep(0)
