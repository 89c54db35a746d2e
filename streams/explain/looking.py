"""A target's samples folded again, up to a time: what its rules saw then. Pure, and exact but for what came before.

Records without the target only let time pass: of each second the first is kept, at which detection looks at its clock.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import TYPE_CHECKING

from schemas import DecodeError, SampleBatch, decode, encode
from streams.explain.model import Sample
from streams.kernel import state
from streams.kernel.fold import TICK_MS
from streams.records import Record
from streams.replay import Detection, Terms
from streams.rules.words import STATUS_NAMES
from streams.seeing import see

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.fold import Fold
    from streams.outcome import Refused, Seen
    from streams.replay import Found

EMPTY = encode(SampleBatch(probe="", target=[], time=[], ok=[], latency_ms=[]))
_LAST = 5
_AT_ONCE = 2000


class Looking:
    """Takes the records of the target's partition in their order, and then knows what was seen of it at the last."""

    def __init__(self, target: str, partition: int, terms: Terms) -> None:
        self.target, self.partition = target, partition
        self._raw, self._detection = target.encode(), Detection(terms)
        self.first: Record | None = None
        self.last: Record | None = None
        self.findings: list[Found] = []
        self.refused: Counter[str] = Counter()
        self._tick = -1
        self._waiting: list[Record] = []
        self._latest: deque[Record] = deque(maxlen=_LAST)

    @property
    def fold(self) -> Fold:
        """The partition's state."""
        return self._detection.fold(self.partition)

    def take(self, records: Iterable[Record]) -> None:
        """Fold records that follow those taken before."""
        for record in records:
            self.first, self.last = self.first or record, record
            tick = record.time // TICK_MS
            if record.value is not None and self._raw in record.value:
                self._latest.append(record)
                self._waiting.append(record)
            elif tick != self._tick:
                self._waiting.append(Record(record.offset, record.time, EMPTY))
            self._tick = tick
            if len(self._waiting) >= _AT_ONCE:
                self._fold()

    def seen(self, at: float) -> list[Seen] | None:
        """What each rule in force at `at` (ms) sees of the target after the last record; None where it is not known."""
        if self.last is not None and (not self._waiting or self._waiting[-1].offset != self.last.offset):
            self._waiting.append(Record(self.last.offset, self.last.time, EMPTY))
        self._fold()
        self._keep(self._detection.advance(self.partition, at))
        return see(self.fold, self.target)

    def _fold(self) -> None:
        waiting = [r for r in self._waiting if r.offset > self.fold.offset]
        self._waiting = []
        self._keep(self._detection.feed(self.partition, waiting))
        for refused in self._detection.refused:
            self.refused[refused.refusal.reason] += self._of_target(refused)
        self._detection.refused = []

    def _keep(self, found: Iterable[Found]) -> None:
        self.findings += [f for f in found if f.finding.target == self.target]

    def _of_target(self, refused: Refused) -> int:
        try:
            batch = decode(refused.record.value, SampleBatch)
        except (DecodeError, TypeError):
            return 0
        rows: Sequence[int] = range(len(batch.target)) if refused.rows is None else refused.rows
        return sum(batch.target[row] == self.target for row in rows)

    @property
    def sampled(self) -> bool:
        """Whether a sample of the target was taken: of one that the configuration names, things are known without."""
        target = self._number()
        if target < 0:
            return False
        held = self.fold.state
        return bool(held.series.num[int(held.targets.place[target, state.MAIN]), state.TIME] > -math.inf)

    def _number(self) -> int:
        number = self.fold.memory.number.get(self.target)
        return -1 if number is None else int(self.fold.memory.target_of[number])

    def status(self) -> tuple[str, float | None, int]:
        """Status, since when (ms) and failures in a row; unknown where no sample of it was taken."""
        target = self._number()
        if not self.sampled:
            return "unknown", None, 0
        targets = self.fold.state.targets
        since = float(targets.num[target, state.SINCE])
        name = STATUS_NAMES[int(targets.flag[target, state.STATUS])]
        return name, (since or None), int(targets.num[target, state.FAILURES])

    def holds_since(self, rule: str) -> float | None:
        """When a rule began to hold that holds now, by the sample or the clock that decided; None where it does not."""
        since = None
        for found in self.findings:
            if found.finding.rule == rule:
                since = found.finding.time if found.finding.holds else None
        return since

    def samples(self) -> list[Sample]:
        """The last samples of the target, oldest first."""
        found: list[Sample] = []
        for record in self._latest:
            try:
                batch = decode(record.value, SampleBatch)
            except (DecodeError, TypeError):
                continue
            found += _samples(batch, record, self.target)
        return found[-_LAST:]


def _samples(batch: SampleBatch, record: Record, target: str) -> list[Sample]:
    details = {d["row"]: d for d in batch.details}
    return [
        Sample(
            offset=record.offset,
            time=batch.time[row],
            received=float(record.time),
            ok=batch.ok[row],
            latency_ms=None if math.isnan(batch.latency_ms[row]) else batch.latency_ms[row],
            status=details.get(row, {}).get("status", ""),
            message=details.get(row, {}).get("message", "")[:500],
            metrics={m["name"]: m["value"][row] for m in batch.metrics if not math.isnan(m["value"][row])},
            probe=batch.probe,
        )
        for row, name in enumerate(batch.target)
        if name == target
    ]
