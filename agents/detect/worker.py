"""The commit cycle: fold records, tell what they led to, write the state, and only then let the records go.

In: records of `samples`, raw. State: one `Fold` a partition. Out: findings, health, rollups, dead letters.

Dying before the state is written: the records are read again; the fold, being a function of the log, finds the
same things again, and those who read findings know them by their episode. Dying while the state is written: one
record batch holds it all, so the broker has all or nothing. Dying after: the records are known by their offset
and passed over.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer

from agents.detect import intake, outputs
from agents.holes import check_hole
from schemas import Finding, Record, encode
from schemas.columnar import TargetLists
from streams import blocks
from streams.fold import Fold
from streams.kafka import KafkaSettings, producer_options
from streams.panes import SLOTS
from streams.partition import partition_of
from streams.series import BLOCK
from streams.topics import DEAD_LETTERS, DETECT_STATE, FINDINGS, HEALTH, ROLLUPS, SAMPLES, Topic, full_name, partitions
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.detect.settings import DetectSettings
    from agents.probe.settings import Target
    from streams.rules import Rule

log = logging.getLogger("probestream.detect")

_BATCH_BYTES = DETECT_STATE.max_record_bytes - 65_536
_COMMIT_EARLY_BYTES = 4 * 1024 * 1024


class Worker:
    """All partitions of this process."""

    def __init__(
        self, kafka: KafkaSettings, settings: DetectSettings, targets: tuple[Target, ...], rules: tuple[Rule, ...]
    ) -> None:
        self.kafka, self.settings, self.rules = kafka, settings, rules
        self.labels = {t.name: t.all_labels for t in targets}
        self.declared = {t.name: t.baseline_ms for t in targets if t.baseline_ms is not None}
        self.folds: dict[int, Fold] = {}
        self.table: Any = None
        self.consumer: Any = None
        self._events: list[Any] = []
        self._out: deque[tuple[str, bytes | None, bytes, int]] = deque()
        self._out_lock = asyncio.Lock()
        self._sends: list[asyncio.Future[Any]] = []
        self._broken = False
        self._commit_lock = asyncio.Lock()
        self._lists = TargetLists()
        self._stored: dict[int, int] = {}
        self._producer = AIOKafkaProducer(**producer_options(kafka, "detect"))
        self._state_producer = AIOKafkaProducer(
            **{**producer_options(kafka, "detect-state"), "max_request_size": DETECT_STATE.max_record_bytes},
            max_batch_size=_BATCH_BYTES,
            compression_type="lz4",
        )
        self._source = full_name(kafka, SAMPLES)
        self._names = {t.name: full_name(kafka, t) for t in (FINDINGS, HEALTH, ROLLUPS, DEAD_LETTERS, DETECT_STATE)}

    async def start(self) -> None:
        """Connect the producers."""
        await self._producer.start()
        await self._state_producer.start()

    async def close(self) -> None:
        """Disconnect; what was not committed will be read again."""
        await self._producer.stop()
        await self._state_producer.stop()

    def _labels_of(self, target: str) -> Mapping[str, str]:
        return self.labels.get(target) or {"target": target, "kind": "push"}

    def _known(self, target: str) -> bool:
        return self.settings.unknown_targets == "accept" or target in self.labels

    def _empty(self, partition: int) -> Fold:
        every = self.settings.health_every * 1000
        return Fold(partition, self.rules, self._labels_of, self.declared, every)

    def _load(self, partition: int) -> Fold:
        """The stored state of a partition; an empty one, to be folded anew from the log, where it is in two minds."""
        fold = self._empty(partition)
        try:
            blocks.load(fold, self.table.data)
        except blocks.TornStateError as error:
            log.error("%s: folding the log anew", error)  # noqa: TRY400 - what happened is in the message
            return self._empty(partition)
        return fold

    async def restored(self, sources: set[Any]) -> dict[Any, int]:
        """Make each partition's state from the recovered table; say which record comes next."""
        earliest = await self.consumer().earliest_offsets(*sources)
        ends = await self.consumer().highwaters(*sources)
        async with self._commit_lock:
            self._events.clear()
            self._lists = TargetLists()  # its notes name rows of the states that are gone
            folds, positions = {}, {}
            for tp in sources:
                fold = self._load(tp.partition)
                first, end = earliest.get(tp) or 0, ends.get(tp) or 0
                if fold.offset >= end:
                    log.error(
                        "%s/%d: the log ends at %d, the state goes to %d: part of it was lost", *tp, end, fold.offset
                    )
                    fold.offset = end - 1
                if fold.offset + 1 < first:
                    if fold.offset >= 0:
                        log.warning("%s/%d: records %d to %d were deleted unread", *tp, fold.offset + 1, first - 1)
                    fold.offset = first - 1
                # Panes that were over but perhaps not told: rollups replace each other, so once more does no harm.
                fold.unrolled = {(b, (fold.panes.head - k) % SLOTS) for b in _blocks(fold) for k in range(4)}
                folds[tp.partition] = fold
                positions[tp] = fold.offset + 1
            self.folds = folds
            self._stored = {p: f.offset for p, f in folds.items()}
        log.info("state restored: %s", {p: (f.offset, len(f.series)) for p, f in sorted(folds.items())})
        return positions

    async def revoked(self) -> None:
        """Forget the partitions: whoever has them next goes on from what was committed."""
        async with self._commit_lock:
            self.folds = {}

    def progress(self) -> dict[int, int]:
        """Offset of the last record folded, by partition."""
        return {p: f.offset for p, f in self.folds.items()}

    async def take(self, event: Any) -> None:
        """Fold one record. Raises HoleError where records before it are missing."""
        message = event.message
        fold = self.folds.get(message.partition)
        if fold is None:
            return  # of a partition that was just given up; whoever has it next reads it
        if message.offset <= fold.offset:
            event.ack()
            return
        if message.offset > fold.offset + 1:
            await check_hole(self.kafka, self._source, message.partition, fold.offset + 1, message.offset)
            if self.folds.get(message.partition) is not fold:
                return  # given up meanwhile
        try:
            self._fold(fold, event)
        except BaseException:
            self._broken = True  # a record half folded must not be stored
            raise
        async with self._out_lock:
            await self._drain()
        if _weight(fold) > _COMMIT_EARLY_BYTES:
            await self.commit()

    def _fold(self, fold: Fold, event: Any) -> None:
        """Fold one record and line up what it leads to, without an await: a commit sees all of it or nothing."""
        message = event.message
        taken = intake.take(message, self.settings, self._known, self.kafka.partitions, self._lists)
        for letter in taken.letters:
            log.warning("%s/%d/%d: %.300s", message.topic, message.partition, message.offset, letter.error)
            self._tell(DEAD_LETTERS, None, letter, 0)
        if taken.columns is None:
            fold.offset = message.offset
        else:
            outcome = fold.fold(taken.columns, taken.good, message.offset, message.timestamp * 1000.0)
            for change in outcome.changes:
                self._tell_finding(outputs.finding(fold, change, message.offset))
            for main in outcome.health:
                told = outputs.health(fold, main)
                self._tell(HEALTH, told.target, told, message.partition)
        self._events.append(event)

    def _tell_finding(self, found: Finding) -> None:
        key = f"{found.target}/{found.rule}"
        self._tell(FINDINGS, key, found, partition_of(key, partitions(self.kafka, FINDINGS)))

    def _tell(self, topic: Topic, key: str | None, record: Record, partition: int) -> None:
        """Line up a record to be sent."""
        self._out.append(
            (self._names[topic.name], key.encode() if key is not None else None, encode(record), partition)
        )

    async def _drain(self) -> None:
        """Hand what is lined up to the producer, in order; the caller holds `_out_lock`."""
        while self._out:
            topic, key, value, partition = self._out.popleft()
            self._sends.append(await self._producer.send(topic, value=value, key=key, partition=partition))

    def retell(self) -> None:
        """Line up a finding for every rule that holds: whoever missed one, or had no such rule yet, hears of it."""
        for fold in self.folds.values():
            if fold.offset < 0:
                continue
            for change in fold.rulebook.held():
                if self._known(fold.series.names[change.row][0]):
                    self._tell_finding(outputs.finding(fold, change, fold.offset))

    async def commit(self) -> None:
        """Wait until everything told is stored, write the state, let the records go."""
        async with self._commit_lock:
            now = now_ms()
            for fold in self.folds.values():
                for main in fold.status.overdue(now):
                    told = outputs.health(fold, main)
                    self._tell(HEALTH, told.target, told, fold.partition)
                for rollup in outputs.rollups(fold, now):
                    key = f"{rollup.partition}/{rollup.block}/{rollup.pane_start:.0f}"
                    self._tell(ROLLUPS, key, rollup, fold.partition)
            async with self._out_lock:
                await self._drain()
                # Nothing is lined up any more, and no await follows until all is taken: one cut through state,
                # sends and events.
                if self._broken:
                    return
                events, self._events = self._events, []
                sends, self._sends = self._sends, []
                commits = []
                for fold in self.folds.values():
                    # Also when nothing but the offset has moved: the position must never lie before what was let go.
                    if len(fold.dirty) or fold.offset != self._stored.get(fold.partition):
                        self._stored[fold.partition] = fold.offset
                        commits.append((fold.partition, list(blocks.dump(fold))))
                        fold.dirty = type(fold.dirty)()
            await asyncio.gather(*sends)
            await asyncio.gather(*(self._write(partition, entries) for partition, entries in commits))
            for event in events:
                event.ack()

    async def _write(self, partition: int, entries: list[tuple[bytes, bytes]]) -> None:
        batch = self._state_producer.create_batch()
        for key, value in entries:
            if batch.append(key=key, value=value, timestamp=None) is None:
                raise blocks.StateError(
                    f"partition {partition} has more series than one commit can hold ({blocks.sizes(entries)} bytes): "
                    f"raise kafka.partitions"
                )
        batch.close()
        await (await self._state_producer.send_batch(batch, self._names[DETECT_STATE.name], partition=partition))
        for key, value in entries:
            self.table.data[key] = value


def _blocks(fold: Fold) -> range:
    return range((len(fold.series) + BLOCK - 1) // BLOCK)


def _weight(fold: Fold) -> int:
    """About how many bytes a commit of `fold` would take."""
    return BLOCK * (28 * len(fold.dirty.panes) + 90 * len(fold.dirty.latest))
