"""The commit cycle: fold records, tell what they led to, write the state, and only then let the records go.

In: records of `samples`, raw. State: one `Fold` a partition. Out: findings, health, rollups, dead letters.

Dying before the state is written: the records are read again; the fold, being a function of the log, finds the
same things again, and those who read findings know them by their episode. Dying while the state is written: it is
one transaction, so the broker has all or nothing. Dying after: the records are known by their offset and passed over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from aiokafka import AIOKafkaProducer

from agents import crash
from agents.detect import intake, metrics, outputs
from agents.detect.pieces import PIECE_MS, piece
from agents.detect.store import Store
from agents.detect.terms import terms_of
from agents.holes import check_hole, end_of
from schemas import Record, SampleBatch, encode
from streams import blocks, fetched
from streams.admission import Admission
from streams.findings import ceased
from streams.fold import Fold
from streams.groups import finding_key
from streams.kafka import KafkaSettings, close, producer_options
from streams.kernel import state
from streams.outcome import TOLD_AGAIN
from streams.partition import partition_of
from streams.partition_state import Limits
from streams.rules.compile import compile_rules
from streams.seeing import as_seen, holding, let_go
from streams.topics import DEAD_LETTERS, FINDINGS, HEALTH, ROLLUPS, SAMPLES, Topic, full_name, partitions
from streams.units import now_ms

if TYPE_CHECKING:
    from agents.detect.settings import DetectSettings
    from agents.probe.settings import Target
    from streams.outcome import Change
    from streams.records import Records
    from streams.rules import Rule

log = logging.getLogger("probestream.detect")

TICK_EVERY_S = 2.0
_TICK = encode(SampleBatch(probe="probestream.tick", target=[], time=[], ok=[], latency_ms=[]))
_HEALTH_PER_COMMIT = 2000
_HEALTH_AT_ONCE = 25
_FINDINGS_AT_ONCE = 25
_COMMIT_SHARE = 10.0
_LONGEST_PAUSE_S = 5.0


class Worker:
    """All partitions of this process."""

    def __init__(
        self, kafka: KafkaSettings, settings: DetectSettings, targets: tuple[Target, ...], rules: tuple[Rule, ...]
    ) -> None:
        self.kafka, self.settings = kafka, settings
        self.terms = terms_of(targets, rules)
        self._adopt_terms()
        self.folds: dict[int, Fold] = {}
        self.informed, self.changed = asyncio.Event(), asyncio.Event()
        self.consumer: Any = None
        self._stores: dict[int, Store] = {}
        self._assignment = 0
        self._events: list[Any] = []
        self._out: deque[tuple[str, bytes | None, bytes, int]] = deque()
        self._out_lock = asyncio.Lock()
        self._sends: list[asyncio.Future[Any]] = []
        self._broken = False
        self._commit_lock = asyncio.Lock()
        self._stored: dict[int, int] = {}
        self._read_at: dict[int, float] = {}
        self.commit_cost_s = 0.0
        self._producer = AIOKafkaProducer(**producer_options(kafka, "detect"))
        self._source = full_name(kafka, SAMPLES)
        self._names = {t.name: full_name(kafka, t) for t in (FINDINGS, HEALTH, ROLLUPS, DEAD_LETTERS)}

    async def start(self) -> None:
        """Connect the producer."""
        await self._producer.start()

    async def close(self) -> None:
        """Disconnect; what was not committed will be read again."""
        await asyncio.gather(close(self._producer), *(close_store.close() for close_store in self._stores.values()))

    def _adopt_terms(self) -> None:
        self.rules = self.terms.rules
        self.conditions = compile_rules(self.rules)
        self.admission = Admission(
            labels_of=self.terms.labels_of,
            known=self._known,
            declared=self.terms.declared,
            partitions=self.kafka.partitions,
            most=self.settings.max_targets,
        )

    def _known(self, target: str) -> bool:
        return self.settings.unknown_targets == "accept" or target in self.terms.labels

    def settle(self) -> None:
        """Bring what the control topic says into force, where it says anything new."""
        if self.terms.refresh():
            self.change_terms()

    def change_terms(self) -> None:
        """Go on with other rules and targets: what was learnt, counted and held stays, where it still applies."""
        self._adopt_terms()
        for partition, fold in list(self.folds.items()):
            fresh = self._empty(partition)
            blocks.rebuild(fold, fresh)
            self._expect(fresh)
            self.folds[partition] = fresh
            for change in ceased(fold, fresh):
                self._tell_finding(fold, change)
        self.changed.set()
        log.info("%d rules for %d targets are in force", len(self.rules), len(self.terms.labels))

    def _expect(self, fold: Fold) -> None:
        fold.give_up_unknown()
        fold.expect([t for t in self.terms.labels if partition_of(t, self.kafka.partitions) == fold.partition])

    def _empty(self, partition: int) -> Fold:
        limits = Limits(
            future_ms=self.settings.future * 1000,
            lateness_ms=self.settings.lateness * 1000,
            most_samples=self.settings.max_batch,
            forget_ms=self.settings.forget_after * 1000,
        )
        return Fold(partition, self.rules, self.conditions, self.admission, limits, quantiles=self.settings.quantiles)

    async def restored(self, sources: set[Any]) -> dict[Any, int]:
        """Take over each partition's state; say which record comes next."""
        with metrics.RESTORES.time():
            return await self._restored(sources)

    async def _restored(self, sources: set[Any]) -> dict[Any, int]:
        earliest = await self.consumer().earliest_offsets(*sources)
        ends = await self.consumer().highwaters(*sources)
        await self.informed.wait()
        async with self._commit_lock:
            self._events.clear()
            await asyncio.gather(*(close_store.close() for close_store in self._stores.values()))
            self._stores = {tp.partition: Store(self.kafka, tp.partition) for tp in sources}
            found = await asyncio.gather(*(self._take_over(p) for p in self._stores))
            folds, positions = dict(zip(self._stores, found, strict=True)), {}
            for tp in sources:
                fold = folds[tp.partition]
                first, end = earliest.get(tp) or 0, ends.get(tp) or 0
                if fold.offset >= end and self.settings.isolation == "read_committed":
                    # Read before it was set so, of a transaction that is still open: `end` is where that begins.
                    end = await end_of(self.kafka, self._source, tp.partition)
                if fold.offset >= end:
                    log.error(
                        "%s/%d: the log ends at %d, the state goes to %d: part of it was lost", *tp, end, fold.offset
                    )
                    fold.offset = end - 1
                if fold.offset + 1 < first:
                    if fold.offset >= 0:
                        log.warning("%s/%d: records %d to %d were deleted unread", *tp, fold.offset + 1, first - 1)
                    fold.offset = first - 1
                self._expect(fold)
                # Panes that were over but perhaps not told: rollups replace each other, so once more does no harm.
                fold.untold_panes(4)
                positions[tp] = fold.offset + 1
            self.folds = metrics.PROGRESS.folds = folds
            self._assignment += 1
            self._stored = {p: f.offset for p, f in folds.items()}
            for fold in folds.values():
                for change in let_go(fold):
                    self._tell_finding(fold, change)
        crash.here("detect.restored.loaded")
        log.info("state restored: %s", {p: (f.offset, f.targets) for p, f in sorted(folds.items())})
        return positions

    async def _take_over(self, partition: int) -> Fold:
        """The stored state; an empty one, to be folded anew from the log, where it is in two minds or out of date."""
        store, fold = self._stores[partition], self._empty(partition)
        entries = await store.open()
        crash.here("detect.restored.opened")
        try:
            blocks.load(fold, entries)
        except (blocks.TornStateError, blocks.OldStateError) as error:
            log.error("%s: folding the log anew", error)  # noqa: TRY400 - what happened is in the message
            # What the new state does not write over would be taken for its own.
            await store.write((key, None) for key in entries)
            return self._empty(partition)
        return fold

    async def revoked(self) -> None:
        """Forget the partitions: whoever has them next goes on from what was committed."""
        crash.here("detect.revoked")
        metrics.REBALANCES.inc()
        async with self._commit_lock:
            self.folds = metrics.PROGRESS.folds = {}
            self._events.clear()
            self._assignment += 1

    def progress(self) -> dict[int, int]:
        """Offset of the last record folded, by partition."""
        return {p: f.offset for p, f in self.folds.items()}

    async def take(self, event: Any) -> None:
        """Fold a bundle of records. Raises HoleError where records before one of them are missing."""
        bundle = event.message
        began, at = self._assignment, 0
        self._read_at[bundle.partition] = time.monotonic()
        records = fetched.columns(bundle.value)
        while True:
            # Anew at each turn: other rules may have come, and with them another fold.
            fold = self.folds.get(bundle.partition)
            if fold is None or began != self._assignment:
                return  # of a partition that was just given up; whoever has it next reads it
            at = max(at, int(np.searchsorted(records.offset, fold.offset, side="right")))
            if at >= len(records):
                break
            some = piece(records, at)
            if at == 0:
                await self._check_hole(fold, fetched.begins(bundle.value))
            at += len(some)
            if began != self._assignment:
                return
            try:
                self._fold(self.folds[bundle.partition], some, bundle.value)
            except BaseException:
                self._broken = True  # records half folded must not be stored
                raise
            async with self._out_lock:
                await self._drain()
            crash.here("detect.told")
            await asyncio.sleep(0)
        bundle.value.clear()  # the event stays until the commit, megabytes of what was fetched need not
        if began == self._assignment:
            self._events.append(event)

    async def _check_hole(self, fold: Fold, first: int) -> None:
        """Raise HoleError where a record is missing before a bundle that begins at `first`, the next to be folded.

        Within a bundle there is none: it was fetched in one, and what offsets it lacks are marks of transactions.
        """
        if first > fold.offset + 1:
            isolation = self.settings.isolation
            await check_hole(self.kafka, self._source, fold.partition, fold.offset + 1, first, isolation)

    def _fold(self, fold: Fold, records: Records, came_as: list[Any]) -> None:
        """Fold records and line up what they lead to, without an await: a commit sees all of it or nothing."""
        now = now_ms()
        if records.time[0] < now - PIECE_MS:
            self._tell_rollups(fold, now)
        before = fold.samples
        outcome = fold.take(records)
        metrics.SAMPLES.inc(fold.samples - before)
        metrics.RECORDS.inc(len(records))
        metrics.BYTES.inc(records.size)
        messages = fetched.messages(came_as, {r.record.offset for r in outcome.refused}) if outcome.refused else {}
        told = [intake.letter(r, self._source, fold.partition, messages.get(r.record.offset)) for r in outcome.refused]
        intake.log_of(told)
        for letter in told:
            self._tell(DEAD_LETTERS, None, letter, 0)
            metrics.REFUSED.labels(letter.reason).inc(letter.count)
        for change in outcome.changes:
            self._tell_finding(fold, change)
            metrics.FINDINGS.labels(str(change.holds).lower()).inc()

    def _tell_finding(self, fold: Fold, change: Change) -> None:
        found = outputs.finding(fold, change, self.terms.versions.get(fold.rules[change.rule].name, 0))
        key = finding_key(fold.rules[change.rule], found.target, self.terms.labels_of(found.target))
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

    async def retell(self) -> None:
        """Line up a finding for every rule that holds: whoever missed one, or had no such rule yet, hears of it."""
        for fold in list(self.folds.values()):
            if fold.offset < 0:
                continue
            found = holding(fold)
            for at in range(0, len(found), _FINDINGS_AT_ONCE):
                if self.folds.get(fold.partition) is not fold:
                    break
                for target, rule in found[at : at + _FINDINGS_AT_ONCE]:
                    # It may have ceased while others were told; that was told, and must stay the last word.
                    still = _lives(fold, target) and fold.state.targets.holds[target, rule] == state.TRUE
                    if still and self._known(fold.name_of(target)):
                        self._tell_finding(fold, replace(as_seen(fold, target, rule, holds=True), sample=TOLD_AGAIN))
                await self._pause()

    async def tick(self) -> None:
        """Let time pass in partitions where nothing comes: an empty batch, which the broker gives its time."""
        now = time.monotonic()
        for partition in list(self.folds):
            if now - self._read_at.setdefault(partition, now) >= TICK_EVERY_S:
                self._read_at[partition] = now
                await self._producer.send(self._source, value=_TICK, partition=partition)

    async def _tell_state(self, now: float) -> None:
        """Line up health and rollups, some at a time: what is told of samples must not wait for it."""
        for fold in list(self.folds.values()):
            due = outputs.due_health(fold, now, self.settings.health_every * 1000, _HEALTH_PER_COMMIT)
            rows = outputs.metric_rows(fold, due)
            for at in range(0, len(due), _HEALTH_AT_ONCE):
                if self.folds.get(fold.partition) is not fold:
                    break  # another fold has its state, and numbers its targets anew
                began = time.perf_counter()
                for target in due[at : at + _HEALTH_AT_ONCE]:
                    if _lives(fold, target):
                        told = outputs.health(fold, target, rows)
                        self._tell(HEALTH, told.target, told, fold.partition)
                self.commit_cost_s += time.perf_counter() - began
                await self._pause()
            if self.folds.get(fold.partition) is fold:
                self._tell_rollups(fold, now)
                await self._pause()

    async def _pause(self) -> None:
        """Let go of what is lined up, and let samples in."""
        async with self._out_lock:
            await self._drain()
        await asyncio.sleep(0)

    def _tell_rollups(self, fold: Fold, now: float) -> None:
        for rollup in outputs.rollups(fold, now):
            self._tell(ROLLUPS, outputs.rollup_key(rollup), rollup, fold.partition)

    async def commit(self) -> None:
        """Wait until everything told is stored, write the state, let the records go."""
        async with self._commit_lock:
            entered = time.perf_counter()
            self.commit_cost_s = 0.0
            await self._tell_state(now_ms())
            # What these brought is in the state below, and what it led to is lined up or sent.
            events, self._events = self._events, []
            commits = []
            for partition in list(self.folds):
                if (entries := self._cut(partition)) is not None:
                    commits.append((self._stores[partition], entries))
                    await asyncio.sleep(0)
            async with self._out_lock:
                await self._drain()
                sends, self._sends = self._sends, []
            if self._broken:
                return
            await asyncio.gather(*sends)
            crash.here("detect.commit.told")
            written = await asyncio.gather(*(store.write(entries) for store, entries in commits))
            for event in events:
                event.ack()
            metrics.PROGRESS.committed = time.monotonic()
            if written:
                metrics.COMMITS.inc()
                metrics.COMMIT_SECONDS.observe(time.perf_counter() - entered)
                metrics.STATE_BYTES.inc(sum(written))

    def _cut(self, partition: int) -> list[blocks.Entry] | None:
        """What is to be stored of a partition, as it is this very moment; None of one where nothing has changed."""
        fold = self.folds[partition]
        if self._broken or fold.offset == self._stored.get(partition):
            return None
        began = time.perf_counter()
        self._stored[partition] = fold.offset
        entries = list(blocks.dump(fold))
        took = time.perf_counter() - began
        self.commit_cost_s += took
        metrics.COMMIT_HELD.observe(took)
        return entries

    def pause_s(self) -> float:
        """How long to wait before the next commit: longer with a large state, so that they take a tenth of the time."""
        return max(self.settings.commit_every, min(_COMMIT_SHARE * self.commit_cost_s, _LONGEST_PAUSE_S))


def _lives(fold: Fold, target: int) -> bool:
    """Whether a target was not forgotten meanwhile."""
    return bool(fold.state.targets.flag[target, state.LIVE])
