"""What detection must have come to, whatever befell it: the same log folded in one go, undisturbed, to compare with.

A `Load` writes samples of which it knows what they add up to; `Reference` folds the log that came of it; `differences`
says where the state that is stored, or the findings that were told, are others.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas import Finding, SampleBatch, decode, encode
from streams import blocks
from streams.admission import Admission
from streams.fold import Fold
from streams.kafka import KafkaSettings, consumer_options, producer_options
from streams.kernel import panes, state
from streams.partition import partition_of
from streams.partition_state import Limits
from streams.records import Record
from streams.rules import Rule, expand
from streams.rules.compile import compile_rules
from streams.topics import DETECT_STATE, FINDINGS, SAMPLES, Topic, full_name, partitions
from streams.units import now_ms
from tests.kit.role import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

RULES: tuple[dict[str, Any], ...] = (
    {"name": "down", "severity": "critical", "metric": "consecutive_failures", "operator": ">=", "value": 3},
    {"name": "slow", "metric": "latency", "aggregate": "p95", "window": "1m", "value": 95, "recover": 93},
    {"name": "failing", "expr": "error_rate[5m] > 25% and count[5m] >= 10"},
    {"name": "far-out", "metric": "latency", "aggregate": "zscore", "value": 3},
    {"name": "robustly-out", "metric": "latency", "aggregate": "robust", "value": 4},
    {"name": "moved", "metric": "latency", "aggregate": "change", "value": 8},
    {"name": "filling", "metric": "queue.depth", "window": "1m", "value": 55},
    {"name": "silent", "metric": "absent", "operator": ">", "value": "2s"},
    {"name": "ill", "metric": "status", "operator": "==", "value": "unhealthy"},
)
STEPS = (
    "detect.told",
    "detect.commit.told",
    "detect.commit.begun",
    "detect.commit.sent",
    "detect.commit.stored",
    "detect.restored.opened",
    "detect.restored.loaded",
    "detect.revoked",
)


def write_config(path: Path, kafka: KafkaSettings, **detect: Any) -> None:
    """The configuration that `Reference` takes for granted."""
    config = {
        "kafka": {"prefix": kafka.prefix, "partitions": kafka.partitions},
        "detect": {"unknown_targets": "accept", "commit_every": "100ms", "max_batch": 500, **detect},
        "rules": list(RULES),
    }
    path.write_text(yaml.safe_dump(config))


@dataclass
class Load:
    """Samples of `names`, several records in flight; some late, some twice, some useless. The same for the same seed.

    `counted` and `failed` are what each target's samples of the last hour add up to, duplicates counted once.
    """

    kafka: KafkaSettings
    seed: int = 1
    targets: int = 40
    pause_s: float = 0.02
    counted: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    last: dict[int, int] = field(default_factory=dict)
    sent: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._number = 0
        self._flying: list[Any] = []
        names = [f"target-{i}" for i in range(self.targets)]
        count = self.kafka.partitions
        self._names = {p: [n for n in names if partition_of(n, count) == p] for p in range(count)}

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop`, and wait until all of it is stored."""
        producer = AIOKafkaProducer(**producer_options(self.kafka, "load"), linger_ms=5)
        await producer.start()
        try:
            while not stop.is_set():
                for partition, names in self._names.items():
                    for value in self._turn(names):
                        self._flying.append(
                            await producer.send(full_name(self.kafka, SAMPLES), value, partition=partition)
                        )
                self._landed(await asyncio.gather(*self._flying) if len(self._flying) > 200 else [])
                await asyncio.sleep(self.pause_s)
            self._landed(await asyncio.gather(*self._flying))
        finally:
            await producer.stop()

    def _landed(self, stored: Iterable[Any]) -> None:
        for meta in stored:
            self.last[meta.partition] = max(self.last.get(meta.partition, -1), meta.offset)
            self._flying = []

    async def some(self, samples: int = 1000) -> None:
        """Write so many samples, or a few more: time alone says nothing of how many there are."""
        stop = asyncio.Event()
        writing = asyncio.create_task(self.run(stop))
        try:
            await until(lambda: writing.done() or self.sent >= samples)
        finally:
            stop.set()
            await writing

    def _turn(self, names: list[str]) -> list[bytes]:
        """Some records of one partition."""
        dice, out = self._dice, []
        for _ in range(dice.randint(1, 3)):
            value = encode(self._batch(names))
            out += [value] * (2 if dice.random() < 0.15 else 1)  # a producer that did not hear the answer
        if dice.random() < 0.02:
            out.append(b"no Avro")
        return out

    def _batch(self, names: list[str]) -> SampleBatch:
        dice = self._dice
        self._number += 1
        count = dice.choice((1, 1, 5, 30))
        batch = SampleBatch(
            probe=f"probe-{self._number % 2}", target=[], time=[], ok=[], latency_ms=[], sequence=[], details=[]
        )
        depth = []
        for row in range(count):
            name, ok = dice.choice(names), dice.random() < 0.8
            late, useless = dice.random(), dice.random() < 0.02
            batch.target.append(name)
            batch.time.append(now_ms() - (0 if late < 0.85 else dice.uniform(0, 1_500_000) if late < 0.98 else 7e6))
            batch.ok.append(ok)
            batch.latency_ms.append(-1.0 if useless else dice.lognormvariate(4, 0.3))
            # Growing by target and probe, also where a target is in a batch twice.
            batch.sequence.append(float(self.sent))
            depth.append(dice.uniform(0, 100) if dice.random() < 0.3 else float("nan"))
            if not ok:
                batch.details.append({"row": row, "status": "HTTP 500", "message": f"failure {self.sent}"})
            if late < 0.98 and not useless:
                self.counted[name] += 1
                self.failed[name] += not ok
            self.sent += 1
        batch.metrics.append({"name": "queue.depth", "value": depth})
        return batch


def empty(kafka: KafkaSettings, partition: int, by: Sequence[dict[str, Any]] = RULES) -> Fold:
    """A fold of the configuration of `write_config`, or with the rules `by`."""
    rules = expand(tuple(Rule.model_validate(r) for r in by))
    admission = Admission(
        labels_of=lambda name: {"target": name, "kind": "push"}, known=lambda _: True, partitions=kafka.partitions
    )
    return Fold(partition, rules, compile_rules(rules), admission, Limits(most_samples=500))


@dataclass
class Reference:
    """One partition's log folded up to `offset`, and every change there was, by offset."""

    fold: Fold
    changes: set[tuple[str, str, int, bool]] = field(default_factory=set)
    held: dict[int, set[tuple[str, str]]] = field(default_factory=dict)

    def take(self, records: list[Record], dice: random.Random) -> None:
        """Fold in pieces of any size: it must not matter."""
        at = 0
        while at < len(records):
            piece = records[at : at + dice.randint(1, 400)]
            outcome = self.fold.take(piece)
            for c in outcome.changes:
                self.changes.add(
                    (c.name or self.fold.name_of(c.target), self.fold.rules[c.rule].name, c.offset, c.holds)
                )
            at += len(piece)


async def everything(kafka: KafkaSettings, topic: Topic, partition: int) -> list[Any]:
    """Every committed record of a partition, as it is now."""
    tp = TopicPartition(full_name(kafka, topic), partition)
    consumer = AIOKafkaConsumer(**{**consumer_options(kafka, "exact"), "max_partition_fetch_bytes": 1 << 24})
    await consumer.start()
    try:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_beginning(tp)
        found: list[Any] = []
        while await consumer.position(tp) < end:
            found += (await consumer.getmany(tp, timeout_ms=200)).get(tp, ())
        return found
    finally:
        await consumer.stop()


async def stored(kafka: KafkaSettings, partition: int, by: Sequence[dict[str, Any]] = RULES) -> Fold:
    """The state of a partition as it is stored now."""
    entries = {m.key: m.value for m in await everything(kafka, DETECT_STATE, partition)}
    fold = empty(kafka, partition, by)
    blocks.load(fold, entries)
    return fold


async def reaches(
    kafka: KafkaSettings, last: dict[int, int], by: Sequence[dict[str, Any]] = RULES, timeout_s: float = PATIENCE_S
) -> None:
    """Wait until the stored state of every partition goes to its `last` offset or further."""
    loop = asyncio.get_running_loop()
    deadline, left = loop.time() + timeout_s, dict(last)
    while left:
        for partition in list(left):
            if (reached := (await stored(kafka, partition, by)).offset) >= left[partition]:
                del left[partition]
        assert loop.time() < deadline, f"partitions {left} are not folded, this one only to {reached}"
        await asyncio.sleep(0.3)


def plain(fold: Fold) -> dict[bytes, bytes]:
    """The table entries of all of the state, but for what was told when: that is no function of the log."""
    targets = fold.state.targets
    targets.num[:, state.TOLD] = 0
    targets.flag[:, state.UNTOLD] = 0
    targets.flag[:, state.TOLD_STATUS] = 0
    return dict(blocks.dump(fold, everything=True))


async def differences(kafka: KafkaSettings, load: Load) -> list[str]:
    """How the stored state and the findings differ from those of the log folded undisturbed; empty: not at all."""
    wrong: list[str] = []
    told: set[tuple[str, str, int, bool]] = set()
    for partition in range(partitions(kafka, FINDINGS)):
        for message in await everything(kafka, FINDINGS, partition):
            f = decode(message.value, Finding)
            told.add((f.target, f.rule, f.source_offset, f.holds))
    dice = random.Random(load.seed)
    changes: set[tuple[str, str, int, bool]] = set()
    for partition in range(kafka.partitions):
        wrong += await _partition(kafka, load, partition, dice, told, changes)
    # What goes on holding is told again each minute, with the offset of that moment.
    extra = {t for t in told - changes if not _retold(t, changes)}
    if extra:
        wrong.append(f"{len(extra)} findings that the log does not lead to: {sorted(extra)[:5]}")
    return wrong


def _retold(finding: tuple[str, str, int, bool], changes: set[tuple[str, str, int, bool]]) -> bool:
    target, rule, offset, holds = finding
    before = [c for c in changes if c[:2] == (target, rule) and c[2] <= offset]
    return holds and bool(before) and max(before, key=lambda c: c[2])[3]


async def _partition(
    kafka: KafkaSettings, load: Load, partition: int, dice: random.Random, told: set[Any], changes: set[Any]
) -> list[str]:
    wrong: list[str] = []
    have = await stored(kafka, partition)
    log = [Record(m.offset, m.timestamp, m.value) for m in await everything(kafka, SAMPLES, partition)]
    want = Reference(empty(kafka, partition))
    want.take([r for r in log if r.offset <= have.offset], dice)
    missing = want.changes - told
    if missing:
        wrong.append(f"partition {partition}: {len(missing)} findings were never told: {sorted(missing)[:5]}")
    wrong += _totals(want.fold, load)
    # Through its table entries too: what is not stored, such as numbers of targets, may differ.
    again = empty(kafka, partition)
    blocks.load(again, dict(blocks.dump(want.fold, everything=True)))
    ours, theirs = plain(have), plain(again)
    bad = [k.hex() for k in sorted(ours.keys() | theirs.keys()) if ours.get(k) != theirs.get(k)]
    if bad:
        wrong.append(f"partition {partition} at {have.offset}: {len(bad)} of {len(ours)} entries differ: {bad[:5]}")
    rest = Reference(want.fold)
    rest.take([r for r in log if r.offset > have.offset], dice)
    changes |= want.changes | rest.changes
    return wrong


def _totals(fold: Fold, load: Load) -> list[str]:
    """The fold itself against what was written."""
    head, wrong = int(fold.state.clock[state.HEAD]), []
    for target in np.flatnonzero(fold.state.targets.flag[:, state.LIVE] == 1).tolist():
        name, row = fold.name_of(target), int(fold.state.targets.place[target, state.MAIN])
        count, errors, _, _ = panes.sums(fold.state.ring, row, 1, 12, head)
        if (count, errors) != (load.counted[name], load.failed[name]):
            wrong.append(f"{name}: {count} samples, {errors} failed; written {load.counted[name]}, {load.failed[name]}")
    return wrong[:5]
