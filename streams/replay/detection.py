"""What the detect role finds in samples: one fold a partition, each independent of the others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from streams.admission import Admission, Declared
from streams.findings import finding
from streams.fold import Fold, Limits
from streams.partition import partition_of
from streams.replay.alerting import Found
from streams.rules.compile import compile_rules
from streams.rules.expand import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from streams.alerting import Watched
    from streams.fold import Record, Refused
    from streams.rules import Rule

_MOST_KEPT = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What detection depends on besides samples; plain values, so that another process can be given them.

    `labels` are by name of the targets that are known; samples of others are taken in where `accept` is set.
    """

    rules: tuple[Rule, ...]
    labels: Mapping[str, Mapping[str, str]]
    partitions: int = 1
    accept: bool = True
    declared: Mapping[str, Declared] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    most_targets: int = 250_000
    quantiles: bool = True


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


class Detection:
    """The folds of some partitions, made when their first record comes.

    `refusals` are by the short name of the reason; `refused` are the first of them, whole.
    """

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.refused: list[Refused] = []
        self.refusals: dict[str, Refusals] = {}
        self._conditions = compile_rules(terms.rules)
        self._folds: dict[int, Fold] = {}
        self._time: dict[int, float] = {}
        self._admission = Admission(
            labels_of=lambda name: terms.labels.get(name) or {"target": name, "kind": "push"},
            known=lambda name: terms.accept or name in terms.labels,
            declared=terms.declared,
            partitions=terms.partitions,
            most=terms.most_targets,
        )

    def _refuse(self, refused: Refused) -> None:
        if len(self.refused) < _MOST_KEPT:
            self.refused.append(refused)
        reason, count = refused.refusal.reason, 1 if refused.rows is None else len(refused.rows)
        known = self.refusals.get(reason) or Refusals(0, refused.refusal.message)
        self.refusals[reason] = replace(known, count=known.count + count)

    def fold(self, partition: int) -> Fold:
        """The fold of a partition."""
        if partition not in self._folds:
            terms = self.terms
            fold = Fold(
                partition, terms.rules, self._conditions, self._admission, terms.limits, quantiles=terms.quantiles
            )
            fold.expect([t for t in terms.labels if partition_of(t, terms.partitions) == partition])
            self._folds[partition] = fold
        return self._folds[partition]

    def feed(self, partition: int, records: Sequence[Record]) -> list[Found]:
        """What is found in records that follow each other in the log, in its order."""
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
        return [
            Found(times[change.offset], partition, change.offset, n, finding(fold, change))
            for n, change in enumerate(outcome.changes)
        ]
