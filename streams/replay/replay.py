"""Samples in, alerts out: detection and alerting with nothing between them but time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from schemas import SampleBatch, encode
from streams.in_force import KINDS as DETECTED
from streams.partition import partition_of
from streams.records import Record
from streams.replay.alerting import Alerting, Found
from streams.replay.detection import Detection, terms_of
from streams.samples import some_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas import Alert, Control
    from streams.alerting import Watched
    from streams.life import LifeDefaults
    from streams.partition_state import Limits
    from streams.rules import Rule
    from streams.suppression import Suppressions

IDLE_MS = 2000.0
"""After so long without a record, the detect role writes an empty one to a partition, so that time passes there."""
_EMPTY = encode(SampleBatch(probe="probestream.tick", target=[], time=[], ok=[], latency_ms=[]))
_MOST_AT_ONCE = 10_000


class Replay:
    """The whole way of some samples, in memory; the same samples give the same alerts, however they are cut.

    With `idle` empty records are put in where the detect role would have written them, and records are numbered anew;
    without it the records are a log, which has them.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        targets: Iterable[Watched] = (),
        *,
        partitions: int = 1,
        accept: bool = True,
        idle: bool = True,
        suppressions: Suppressions | None = None,
        defaults: LifeDefaults | None = None,
        limits: Limits | None = None,
        tick_ms: float = 250.0,
        start_ms: float | None = None,
    ) -> None:
        rules, targets = tuple(rules), tuple(targets)
        terms = terms_of(rules, targets, partitions, accept=accept)
        self.detection = Detection(terms if limits is None else replace(terms, limits=limits))
        self.alerting = Alerting(
            rules, targets, defaults=defaults, suppressions=suppressions, tick_ms=tick_ms, start_ms=start_ms
        )
        self.findings: list[Found] = []
        self.partitions, self.idle = partitions, idle
        self._start = math.inf if start_ms is None else start_ms
        self._advanced = -math.inf
        self._waiting: list[list[Record]] = [[] for _ in range(partitions)]
        self._ends: dict[int, tuple[int, float]] = {}  # by partition: next offset, time of the last record

    @property
    def transitions(self) -> list[Alert]:
        """Every transition so far, in the order in which they were made."""
        return self.alerting.transitions

    @property
    def now(self) -> float:
        """The clock, in milliseconds."""
        return self.alerting.now

    def feed(self, partition: int, records: Iterable[Record]) -> None:
        """Line up records of one partition, in their order. Raises ValueError where the clock has passed one."""
        for record in records:
            if record.time <= self._advanced:
                raise ValueError(f"{record.time} ms is not after {self._advanced:.0f} ms, which the clock has passed")
            self._waiting[partition].append(record)

    def samples(self, at_ms: float, batch: SampleBatch) -> None:
        """Line up samples of any targets that the broker took at `at_ms`. Raises as `feed`."""
        rows: dict[int, list[int]] = {}
        for row, target in enumerate(batch.target):
            rows.setdefault(partition_of(target, self.partitions), []).append(row)
        for partition in sorted(rows):
            self.feed(partition, [Record(0, int(at_ms), encode(some_of(batch, rows[partition])))])

    def control(self, at_ms: float, control: Control) -> None:
        """Line up what a person asked for at `at_ms`: it counts before what comes at that time. Raises as `feed`."""
        self.alerting.ask(at_ms, control)
        if control.kind in DETECTED:
            self.detection.control(at_ms, control)

    def advance(self, to_ms: float) -> None:
        """Move the clock to `to_ms`: all that is lined up or due up to then, that time included, happens."""
        if self._start == math.inf:
            self._start = min(to_ms, *(float(w[0].time) for w in self._waiting if w), math.inf)
            self.alerting.now = self._start
        for partition, waiting in enumerate(self._waiting):
            count = next((i for i, r in enumerate(waiting) if r.time > to_ms), len(waiting))
            records, waiting[:] = waiting[:count], waiting[count:]
            self._fold(partition, self._filled(partition, records, to_ms) if self.idle else records)
            self._find(self.detection.advance(partition, to_ms))
        self._advanced = to_ms
        self.alerting.advance(to_ms)

    def _fold(self, partition: int, records: Sequence[Record]) -> None:
        for at in range(0, len(records), _MOST_AT_ONCE):
            self._find(self.detection.feed(partition, records[at : at + _MOST_AT_ONCE]))

    def _find(self, found: list[Found]) -> None:
        self.findings += found
        self.alerting.find(found)

    def _filled(self, partition: int, records: Sequence[Record], to_ms: float) -> list[Record]:
        """The records, with empty ones where nothing comes for long, up to `to_ms`; all numbered anew."""
        filled: list[Record] = []
        offset, last = self._ends.get(partition, (0, self._start))

        def put(time: float, value: bytes | None) -> None:
            nonlocal offset, last
            filled.append(Record(offset, int(time), value))
            offset, last = offset + 1, time

        for record in records:
            while last + IDLE_MS <= record.time:
                put(last + IDLE_MS, _EMPTY)
            put(max(last, float(record.time)), record.value)
        while last + IDLE_MS <= to_ms:
            put(last + IDLE_MS, _EMPTY)
        self._ends[partition] = offset, last
        return filled
