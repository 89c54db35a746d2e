"""How fast an engine is, read off the broker's clock, and whether it did the work: totals and changes."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.reference.engines import started
from schemas import Finding, decode
from streams import blocks
from streams.admission import Admission
from streams.fold import Fold
from streams.kafka import client_options, consumer_options
from streams.kernel import panes
from streams.rules.compile import compile_rules
from streams.topics import DETECT_STATE, FINDINGS, full_name

if TYPE_CHECKING:
    from benchmarks.reference.content import Content
    from benchmarks.reference.engines import Engine, Run
    from streams.kafka import KafkaSettings

START_WITHIN_S = 90.0


class WrongError(RuntimeError):
    """An engine that ended, or did not do the work; its speed means nothing."""


@dataclass(slots=True)
class Seen:
    """What came out: every change, and by number of sentinel when it came, after how many changes, at which total."""

    changes: list[tuple[str, str, bool]] = field(default_factory=list)
    at: dict[int, tuple[float, int, int | None]] = field(default_factory=dict)

    def take(self, change: dict[str, Any], timestamp: float) -> None:
        """Note one change; `timestamp` in milliseconds, by the broker."""
        target, rule, holds = change["target"], change["rule"], change["holds"]
        self.changes.append((target, rule, holds))
        if target.startswith("sentinel-") and rule == "errors" and holds:
            number = int(target.removeprefix("sentinel-"))
            self.at.setdefault(number, (timestamp, len(self.changes), change["total"]))


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds to warm up at least, to measure, and to wait at most for the first sight of every target."""

    warm: float
    measure: float
    first_sight: float


@dataclass(slots=True)
class Speed:
    """Samples a second between two sentinels."""

    rate: float
    samples: int
    seconds: float
    warm: bool
    seen: Seen


async def measure(engine: Engine, run: Run, content: Content, cores: set[int], span: Span) -> Speed:
    """Run `engine` over `content` for `span`, or to the end of what was written. Raises WrongError."""
    mine = engine.name == "ours"
    if not mine:
        await _make_topic(run.kafka, run.sink)
    seen = Seen()
    async with started(engine, run, cores) as process:
        await _watch(process, run, content, seen, span, mine=mine)
    if mine:
        await _check_state(run.kafka, content)
    for number, (_, _, total) in seen.at.items():
        if total is not None and total != (wanted := content.samples_up_to(content.marks[number])):
            raise WrongError(f"{engine.name} counted {total} samples up to sentinel {number}, {wanted} were written")
    first, warm = _start(seen, content, span.warm)
    last = max(seen.at)
    if first is None or first == last:
        raise WrongError(f"{engine.name} was too slow to be timed: {len(seen.at)} sentinels\n{_tail(run)}")
    samples = content.samples_up_to(content.marks[last]) - content.samples_up_to(content.marks[first])
    seconds = (seen.at[last][0] - seen.at[first][0]) / 1000.0
    return Speed(samples / seconds, samples, seconds, warm, seen)


def _start(seen: Seen, content: Content, warm_s: float) -> tuple[int | None, bool]:
    """The sentinel to time from, and whether every target had been seen by then.

    Whoever is through before it had `warm_s` is timed over the second half.
    """
    if not seen.at:
        return None, False
    began, ended = seen.at[min(seen.at)][0], seen.at[max(seen.at)][0]
    through = len(content.marks) - 1 in seen.at
    due = began + (min(warm_s * 1000.0, (ended - began) / 2) if through else warm_s * 1000.0)
    late = [n for n, (at, _, _) in sorted(seen.at.items()) if at >= due]
    warm = [n for n in late if content.samples_up_to(content.marks[n]) > content.targets]
    return (warm[0], True) if warm else (late[0] if late else None, False)


async def _watch(process: Any, run: Run, content: Content, seen: Seen, span: Span, *, mine: bool) -> None:
    consumer = AIOKafkaConsumer(**consumer_options(run.kafka, "bench-watch"))
    await consumer.start()
    try:
        sink = TopicPartition(run.sink, 0)
        consumer.assign([sink])
        await consumer.seek_to_beginning(sink)
        began, warm_at, first_at = time.monotonic(), None, None
        while len(content.marks) - 1 not in seen.at:
            if process.returncode is not None:
                raise WrongError(f"the process ended with {process.returncode}\n{_tail(run)}")
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    seen.take(_change(record.value, mine=mine), record.timestamp)
            now = time.monotonic()
            first_at = first_at or (now if seen.at else None)
            warm_at = warm_at or (now if _start(seen, content, span.warm)[1] else None)
            if first_at is None and now > began + START_WITHIN_S:
                raise WrongError(f"nothing came out in {START_WITHIN_S:.0f} s\n{_tail(run)}")
            if first_at is not None and now > (warm_at or first_at + span.first_sight) + span.measure:
                return
    finally:
        await consumer.stop()


def _change(value: bytes, *, mine: bool) -> dict[str, Any]:
    if mine:
        found = decode(value, Finding)
        return {"target": found.target, "rule": found.rule, "holds": found.holds, "total": None}
    change: dict[str, Any] = json.loads(value)
    if isinstance(change["rule"], int):
        change["rule"] = ("errors", "slow", "odd")[change["rule"]]
    return change


async def _check_state(kafka: KafkaSettings, content: Content) -> None:
    """Our state, as the role left it on its changelog, counts every sample up to its offset. Raises WrongError."""
    tp = TopicPartition(full_name(kafka, DETECT_STATE), 0)
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "bench-state"))
    await consumer.start()
    entries: dict[bytes, bytes] = {}
    try:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                entries |= {record.key: record.value for record in records}
    finally:
        await consumer.stop()
    everybody = Admission(labels_of=lambda _: {}, known=lambda _: True, most=1 << 30)
    fold = Fold(0, (), compile_rules(()), everybody)
    blocks.load(fold, entries)
    total = int(fold.state.ring.counts[panes.BASE[2] :, :, panes.COUNT].sum(dtype="f8"))
    if total != (wanted := content.samples_up_to(fold.offset)):
        raise WrongError(f"ours counted {total} samples up to record {fold.offset}, {wanted} were written")


def differing(one: Seen, other: Seen) -> tuple[int, int]:
    """Changes that only one of two engines told up to the last sentinel of both, and how many one told till there."""
    common = one.at.keys() & other.at.keys()
    if not common:
        return 0, 0
    a, b = (Counter(s.changes[: s.at[max(common)][1]]) for s in (one, other))
    return ((a - b) + (b - a)).total(), a.total()


async def _make_topic(kafka: KafkaSettings, name: str) -> None:
    admin = AIOKafkaAdminClient(**client_options(kafka, "bench-admin"))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    finally:
        await admin.close()


def sink_of(engine: Engine, kafka: KafkaSettings) -> str:
    """The topic on which `engine` tells its changes."""
    return full_name(kafka, FINDINGS) if engine.name == "ours" else f"{kafka.prefix}{engine.name}-changes"


def _tail(run: Run) -> str:
    return (run.folder / "log").read_text(errors="replace")[-2000:]
