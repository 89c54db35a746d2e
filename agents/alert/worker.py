"""The cycle of the alert hop: findings change lives, lives are stored, then told, and only then findings let go.

In: records of `findings`; acknowledgements; the clock. State: one `Life` a target and rule, with an outbox.
Out: transitions on `alerts`.

Dying before a life is stored: its finding is read again. Dying after, before its outbox is sent or known to be
sent: the recovery looks on `alerts` which of the outbox's transitions are there, and sends the others. Dying
after that: the finding is known by its offset and passed over. So each transition is on `alerts` once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import struct
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka import AIOKafkaProducer

from agents.alert.sent import already_sent
from agents.holes import check_hole
from agents.letters import dead_letter
from schemas import Alert, Control, DecodeError, Finding, decode, encode
from streams import lifecycle
from streams.kafka import KafkaSettings, producer_options
from streams.labels import matches
from streams.lifecycle import Life
from streams.partition import partition_of
from streams.topics import ALERT_STATE, ALERTS, DEAD_LETTERS, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.probe.settings import Target
    from streams.rules import Rule

log = logging.getLogger("probestream.alert")

# Table entry of a partition: the offset up to which its findings are in the lives.
_META = b"\0offset/"
_OFFSET = struct.Struct("<q")


def _meta(partition: int) -> bytes:
    return _META + str(partition).encode()


def _offset(entry: bytes | None) -> int:
    return -1 if entry is None else int(_OFFSET.unpack(entry)[0])


class Worker:
    """All lives of this process's partitions."""

    def __init__(self, kafka: KafkaSettings, targets: tuple[Target, ...], rules: tuple[Rule, ...]) -> None:
        self.kafka = kafka
        self.rules = {r.name: r for r in rules}
        self.labels = {t.name: t.all_labels for t in targets}
        self.lives: dict[int, dict[str, Life]] = {}
        self.acknowledged: dict[str, Control] = {}
        self.table: Any = None
        self.consumer: Any = None
        self._by_id: dict[str, Life] = {}
        self._seen: dict[int, int] = {}
        self._behind: dict[int, int] = {}
        self._events: list[Any] = []
        self._dirty: dict[str, Life] = {}
        self._letters: list[bytes] = []
        self.wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._producer = AIOKafkaProducer(**producer_options(kafka, "alert"))
        self._alerts, self._state = full_name(kafka, ALERTS), full_name(kafka, ALERT_STATE)

    async def start(self) -> None:
        """Connect the producer."""
        await self._producer.start()

    async def close(self) -> None:
        """Disconnect; what was not stored will be read again."""
        await self._producer.stop()

    async def restored(self, sources: set[Any]) -> dict[Any, int]:
        """Make the lives from the recovered table, and find out which of their transitions are told."""
        self._forget()
        consumer = self.consumer()
        ends = await consumer.highwaters(*sources)
        earliest = await consumer.earliest_offsets(*sources)
        positions = {
            tp.partition: max(_offset(self.table.data.get(_meta(tp.partition))) + 1, earliest.get(tp) or 0)
            for tp in sources
        }
        lives: dict[int, dict[str, Life]] = {p: {} for p in positions}
        for key, value in self.table.data.items():
            if key.startswith(_META):
                continue
            partition = partition_of(key.decode(), self.kafka.partitions)
            if partition in lives:
                lives[partition][key.decode()] = Life.load(value)
        self._fit(lives, positions, {tp.partition: ends.get(tp) or 0 for tp in sources})
        unsure = [life for held in lives.values() for life in held.values() if life.outbox]
        there = await already_sent(self.kafka, unsure) if unsure else set()
        # No await from here on: the tick and the flusher see all of it or nothing.
        for life in unsure:
            for told in list(life.outbox):
                if (told["id"], told["number"]) in there:
                    lifecycle.sent(life, told["number"], told["id"])
            self._touch(life)
        self._seen = {p: position - 1 for p, position in positions.items()}
        self._behind = {tp.partition: ends.get(tp) or 0 for tp in sources}
        self.lives = lives
        self._by_id = {life.id: life for held in lives.values() for life in held.values() if life.active}
        for control in self.acknowledged.values():
            self._acknowledge(control)
        return {tp: positions[tp.partition] for tp in sources}

    @staticmethod
    def _fit(lives: dict[int, dict[str, Life]], positions: dict[int, int], ends: dict[int, int]) -> None:
        """Go back to the end of a log that is shorter than the state: part of it was lost, and what comes is news."""
        for partition, end in ends.items():
            if positions[partition] > end:
                log.error("findings/%d ends at %d, the state goes to %d", partition, end, positions[partition] - 1)
                positions[partition] = end
                for life in lives[partition].values():
                    life.offset = min(life.offset, end - 1)

    def _adopt(self, partition: int, life: Life) -> None:
        self.lives[partition][life.key] = life
        if life.active:
            self._by_id[life.id] = life

    def _forget(self) -> None:
        self.lives, self._by_id, self._seen, self._behind, self._dirty = {}, {}, {}, {}, {}
        self._events = []

    async def revoked(self) -> None:
        """Finish what is under way and forget the partitions."""
        await self.flush()
        self._forget()

    def progress(self) -> dict[int, int]:
        """Offset of the last finding read, by partition."""
        return dict(self._seen)

    async def take(self, event: Any) -> None:
        """Take in one finding; `flush` stores and tells what it changed. Raises HoleError where one is missing."""
        message = event.message
        lives = self.lives.get(message.partition)
        if lives is None:
            return  # of a partition that was just given up; whoever has it next reads it
        seen = self._seen[message.partition]
        if message.offset > seen + 1:
            await check_hole(self.kafka, message.topic, message.partition, seen + 1, message.offset)
            if self.lives.get(message.partition) is not lives:
                return  # given up meanwhile
        if message.offset <= seen:
            event.ack()
            return
        self._seen[message.partition] = message.offset
        self._events.append(event)
        at = message.timestamp * 1000.0
        finding = self._read(message, at)
        if finding is None:
            return
        rule, key = self.rules[finding.rule], f"{finding.target}/{finding.rule}"
        life = lives.get(key) or Life(finding.target, finding.rule)
        if message.offset > life.offset:
            before = life.id
            lifecycle.on_finding(life, finding, rule, self._labels_of(finding.target), at)
            life.offset = message.offset
            if before != life.id:
                self._by_id.pop(before, None)
            self._adopt(message.partition, life)
            if (control := self.acknowledged.get(life.id)) is not None:
                self._acknowledge(control)
            self._touch(life)
        self.wake.set()

    def _read(self, message: Any, at: float) -> Finding | None:
        """The finding in `message`; None where it cannot be used, which is then a dead letter."""
        try:
            finding = decode(message.value, Finding)
        except DecodeError as error:
            self._refuse(message, error.reason, str(error), at)
            return None
        key = f"{finding.target}/{finding.rule}"
        if not math.isfinite(finding.time):
            self._refuse(message, "bad_value", f"finding of {key:.100} at no time", at)
        elif partition_of(key, self.kafka.partitions) != message.partition:
            self._refuse(message, "wrong_partition", f"finding of {key:.100} does not belong here", at)
        elif finding.rule not in self.rules:
            self._refuse(message, "unknown_rule", f"no rule {finding.rule} in the configuration", at)
        else:
            return finding
        return None

    def _labels_of(self, target: str) -> Mapping[str, str]:
        return self.labels.get(target) or {"target": target, "kind": "push"}

    def _refuse(self, message: Any, reason: str, error: str, at: float) -> None:
        log.warning("%s/%d/%d: %.300s", message.topic, message.partition, message.offset, error)
        letter = dead_letter(
            hop="alert",
            reason=reason,
            error=error,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            at=at,
            key=message.key,
            value=message.value,
        )
        self._letters.append(encode(letter))
        self.wake.set()

    def _touch(self, life: Life) -> None:
        self._dirty[life.key] = life
        self.wake.set()

    def take_control(self, control: Control) -> None:
        """Take in a change made at run time."""
        if control.kind == "ack" and not control.deleted:
            self.acknowledged[control.id] = control
            self._acknowledge(control)

    def _acknowledge(self, control: Control) -> None:
        life = self._by_id.get(control.id)
        if life is not None and life.id == control.id and life.state == "firing":
            lifecycle.on_acknowledged(life, control.actor, _comment(control), now_ms())
            self._touch(life)

    def tick(self, now: float) -> None:
        """Let time pass for the partitions whose findings are all read: an unread one may have ended an episode."""
        for partition, lives in self.lives.items():
            if self._seen[partition] + 1 < self._behind[partition]:
                continue
            fresh = self._behind[partition] >= 0
            self._behind[partition] = -1
            for life in [x for x in lives.values() if x.active] if fresh else []:
                if (reason := self._gone(life)) is not None:
                    lifecycle.on_removed(life, reason, now)
                    self._touch(life)
        for life in [x for x in self._by_id.values() if x.state == "pending"]:
            rule = self.rules.get(life.rule)
            partition = partition_of(life.key, self.kafka.partitions)
            if rule is not None and self._behind.get(partition) == -1 and lifecycle.due(life, rule) <= now:
                lifecycle.on_tick(life, rule, now)
                if (control := self.acknowledged.get(life.id)) is not None:
                    self._acknowledge(control)
                self._touch(life)

    def _gone(self, life: Life) -> str | None:
        """Why the configuration no longer has what `life` is about, or None."""
        rule = self.rules.get(life.rule)
        if rule is None:
            return "rule_removed"
        if life.target not in self.labels and life.labels.get("kind") != "push":
            return "target_removed"
        return None if matches(rule.match, self._labels_of(life.target)) else "rule_no_longer_matches"

    async def flush(self) -> None:
        """Store what changed, tell it, and let the findings go."""
        async with self._lock:
            self.wake.clear()
            # No await while these are taken: one cut through lives, outboxes and events.
            dirty, self._dirty = list(self._dirty.values()), {}
            events, self._events = self._events, []
            letters, self._letters = self._letters, []
            told = [(life, dict(t)) for life in dirty for t in life.outbox]
            entries = [(life, life.dump()) for life in dirty]
            sends = [
                await self._producer.send(full_name(self.kafka, DEAD_LETTERS), value=letter, partition=0)
                for letter in letters
            ]
            for life, entry in entries:
                partition = partition_of(life.key, self.kafka.partitions)
                key = life.key.encode()
                sends.append(await self._producer.send(self._state, key=key, value=entry, partition=partition))
            # After the lives, on the same partition: what says how far the findings are folded is never ahead of them.
            reached = {_meta(e.message.partition): e.message for e in events}
            for key, message in reached.items():
                value = _OFFSET.pack(message.offset)
                sends.append(await self._producer.send(self._state, key=key, value=value, partition=message.partition))
            await asyncio.gather(*sends)
            for life, entry in entries:
                self.table.data[life.key.encode()] = entry
            for key, message in reached.items():
                self.table.data[key] = _OFFSET.pack(message.offset)
            sends = []
            for life, transition in told:
                partition = partition_of(life.key, self.kafka.partitions)
                alert = Alert.from_dict(transition)
                log.info("%s %s on %s: %s (%s)", alert.state, alert.rule, alert.target, alert.id, alert.reason)
                sends.append(
                    await self._producer.send(
                        self._alerts, key=alert.id.encode(), value=encode(alert), partition=partition
                    )
                )
            await asyncio.gather(*sends)
            for life, transition in told:
                lifecycle.sent(life, transition["number"], transition["id"])
                if life.key in self.lives.get(partition_of(life.key, self.kafka.partitions), {}):
                    self._dirty.setdefault(life.key, life)  # stored with the next flush: until then, `already_sent`
                if not life.active:
                    self._by_id.pop(life.id, None)
            for event in events:
                event.ack()


def _comment(control: Control) -> str:
    try:
        body = orjson.loads(control.body)
    except orjson.JSONDecodeError:
        return ""
    return str(body.get("comment", "")) if isinstance(body, dict) else ""
