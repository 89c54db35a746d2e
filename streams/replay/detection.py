"""What the detect role finds in samples: one fold a partition, each independent of the others.

Rules and targets may change on the way: a change counts from the first record that the broker took at its time or
later, and what was counted, learnt and held goes on by the new terms, as in the running role.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from streams import blocks
from streams.admission import Admission, Declared
from streams.findings import ceased, finding
from streams.fold import Fold
from streams.in_force import InForce
from streams.kernel import state
from streams.partition import partition_of
from streams.partition_state import Limits
from streams.replay.alerting import Found
from streams.rules.compile import compile_rules
from streams.rules.expand import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from schemas import Control
    from streams.alerting import Watched
    from streams.compiled import Conditions
    from streams.outcome import Change, Refused
    from streams.records import Record
    from streams.rules import Rule

_MOST_KEPT = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What detection depends on besides samples; plain values, so that another process can be given them.

    `labels` are by name of the targets that are known; samples of others are taken in where `accept` is set.
    `controls` are changes of all that at run time, each with when the broker took it (ms), in their order.
    """

    rules: tuple[Rule, ...]
    labels: Mapping[str, Mapping[str, str]]
    partitions: int = 1
    accept: bool = True
    declared: Mapping[str, Declared] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    most_targets: int = 250_000
    quantiles: bool = True
    controls: tuple[tuple[float, Control], ...] = ()

    def in_force(self) -> InForce:
        """What they are before the first change."""
        return InForce(self.rules, self.labels, self.declared)


def terms_of(rules: Iterable[Rule], targets: Iterable[Watched], partitions: int = 1, *, accept: bool = True) -> Terms:
    """Terms of rules as they are written and of these targets, with what those declare normal."""
    known = list(targets)
    return Terms(
        rules=expand(rules),
        labels={t.name: t.all_labels for t in known},
        partitions=partitions,
        accept=accept,
        declared={
            t.name: Declared(getattr(t, "baseline_ms", None), getattr(t, "baseline_error_rate", None)) for t in known
        },
    )


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many samples, or whole records, were not taken in for one reason, and what the first was told."""

    count: int
    first: str


@dataclass(frozen=True, slots=True)
class _Period:
    """What is in force from `at` on; `same` says that no fold has to be made anew for it."""

    at: float
    rules: tuple[Rule, ...]
    conditions: Conditions
    admission: Admission
    labels: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, int]
    same: bool = False


class Detection:
    """The folds of some partitions, made when their first record comes.

    `refusals` are by the short name of the reason; `refused` are the first of them, whole.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.refused: list[Refused] = []
        self.refusals: dict[str, Refusals] = {}
        self._in_force = terms.in_force()
        self._periods = [self._period(-math.inf)]
        self._waiting = sorted(terms.controls, key=lambda c: c[0])
        self._folds: dict[int, Fold] = {}
        self._entered: dict[int, int] = {}  # by partition: the number of the period that its fold is in
        self._time: dict[int, float] = {}
        self._looked_at: dict[int, tuple[set[str], Counter[str]]] = {}

    def control(self, at: float, control: Control) -> None:
        """Line up a change of rules or targets that the broker took at `at`. Raises ValueError if that is past."""
        if at <= self._periods[-1].at:
            raise ValueError(f"{at:.0f} ms is before a change that was taken in already")
        bisect.insort(self._waiting, (at, control), key=lambda c: c[0])

    def _period(self, at: float) -> _Period:
        """What is in force now, from `at` on."""
        now, terms = self._in_force, self.terms
        labels = now.labels
        admission = Admission(
            labels_of=lambda name: labels.get(name) or {"target": name, "kind": "push"},
            known=lambda name: terms.accept or name in labels,
            declared=now.declared,
            partitions=terms.partitions,
            most=terms.most_targets,
        )
        return _Period(at, now.rules, compile_rules(now.rules), admission, labels, now.versions)

    def _next(self, number: int) -> float:
        """When the period after `number` begins; infinite where none is known."""
        if number + 1 < len(self._periods):
            return self._periods[number + 1].at
        return self._waiting[0][0] if self._waiting else math.inf

    def _begun(self, number: int) -> _Period:
        """The period `number`, whose time has come."""
        if number == len(self._periods):
            at, _ = self._waiting[0]
            while self._waiting and self._waiting[0][0] == at:
                self._in_force.take(self._waiting.pop(0)[1])
            if self._in_force.refresh():
                self._periods.append(self._period(at))
            else:
                now = replace(self._periods[-1], at=at, versions=self._in_force.versions, same=True)
                self._periods.append(now)
        return self._periods[number]

    def _refuse(self, refused: Refused) -> None:
        if len(self.refused) < _MOST_KEPT:
            self.refused.append(refused)
        reason, count = refused.refusal.reason, 1 if refused.rows is None else len(refused.rows)
        known = self.refusals.get(reason) or Refusals(0, refused.refusal.message)
        self.refusals[reason] = replace(known, count=known.count + count)

    def fold(self, partition: int) -> Fold:
        """The fold of a partition."""
        if partition not in self._folds:
            self._folds[partition] = self._fresh(partition, self._periods[self._entered.setdefault(partition, 0)])
            self._expect(partition)
        return self._folds[partition]

    def _fresh(self, partition: int, period: _Period) -> Fold:
        terms = self.terms
        return Fold(
            partition, period.rules, period.conditions, period.admission, terms.limits, quantiles=terms.quantiles
        )

    def _expect(self, partition: int) -> None:
        labels = self._periods[self._entered[partition]].labels
        self._folds[partition].expect([t for t in labels if partition_of(t, self.terms.partitions) == partition])

    def feed(self, partition: int, records: Sequence[Record]) -> list[Found]:
        """What is found in records that follow each other in the log, in its order."""
        found: list[Found] = []
        at = 0
        while at < len(records):
            coming, end = self._next(self._entered.get(partition, 0)), len(records)
            if coming < math.inf:
                # By the broker's clock, which a record with a time of its own may be behind.
                latest = self._time.get(partition, 0.0)
                for end in range(at, len(records) + 1):
                    if end == len(records) or (latest := max(latest, float(records[end].time))) >= coming:
                        break
            found += self._take(partition, records[at:end])
            if end < len(records):
                found += self._enter(partition)
            at = end
        return found

    def advance(self, partition: int, to_ms: float) -> list[Found]:
        """What changes of rules and targets up to `to_ms` have made cease, with no record after them."""
        found: list[Found] = []
        while (at := self._next(self._entered.get(partition, 0))) <= to_ms and at < math.inf:
            found += self._enter(partition)
        return found

    def _enter(self, partition: int) -> list[Found]:
        """Go on in the period that follows."""
        number = self._entered.get(partition, 0) + 1
        period, old = self._begun(number), self._folds.get(partition)
        self._entered[partition] = number
        if old is None or period.same:
            return []
        if old.offset < 0:
            del self._folds[partition]
            return []
        self._note_looked_at(old)
        fresh = self._fresh(partition, period)
        blocks.rebuild(old, fresh)
        fresh.give_up_unknown()
        self._folds[partition] = fresh
        self._expect(partition)
        return [
            self._found(old, change, period.at, fresh.offset, n, period) for n, change in enumerate(ceased(old, fresh))
        ]

    def _note_looked_at(self, fold: Fold) -> None:
        held, counts = fold.state, Counter[str]()
        known = self._looked_at.setdefault(fold.partition, (set(), Counter()))
        for target in np.flatnonzero(held.targets.flag[: int(held.clock[state.TARGETS]), state.LIVE] == 1).tolist():
            if np.isfinite(held.series.num[held.targets.place[target, state.MAIN], state.TIME]):
                known[0].add(fold.name_of(target))
                counts.update(fold.rules[r].name for r in fold.rules_of(target))
        self._looked_at[fold.partition] = known[0], known[1] | counts

    def looked_at(self, partition: int) -> tuple[set[str], Counter[str]]:
        """The targets that had samples, and by rule how many of them it looked at, or did at most at one time."""
        self._note_looked_at(self.fold(partition))
        return self._looked_at[partition]

    def _found(self, fold: Fold, change: Change, at: float, offset: int, number: int, period: _Period) -> Found:
        version = period.versions.get(fold.rules[change.rule].name, 0)
        return Found(at, fold.partition, offset, number, finding(fold, change, version))

    def _take(self, partition: int, records: Sequence[Record]) -> list[Found]:
        if not records:
            return []
        fold = self.fold(partition)
        # As the broker's clock has it, which a record with a time of its own may be behind.
        latest, times = self._time.get(partition, 0.0), {}
        outcome = fold.take(records)
        if outcome.changes:
            for record in records:
                latest = max(latest, float(record.time))
                times[record.offset] = latest
        self._time[partition] = max(latest, *(float(r.time) for r in records))
        for refused in outcome.refused:
            self._refuse(refused)
        period = self._periods[self._entered[partition]]
        return [
            self._found(fold, change, times[change.offset], change.offset, n, period)
            for n, change in enumerate(outcome.changes)
        ]
