"""Which targets a partition takes in, and what is known of them before their first sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streams.labels import matches, parse
from streams.partition import partition_of
from streams.rules import Rule

MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why samples cannot be used: `reason` is a short name for counting, `message` for the person who reads it."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Declared:
    """What the configuration says is normal for a target: latency in milliseconds, error rate from 0 to 1."""

    latency_ms: float | None = None
    error_rate: float | None = None


@dataclass(slots=True)
class Admission:
    """Targets by name: known ones with their labels, or any where `accept` is set; at most `most` in a partition."""

    labels_of: Callable[[str], Mapping[str, str]]
    known: Callable[[str], bool]
    declared: Mapping[str, Declared] = field(default_factory=dict)
    partitions: int = 1
    most: int = 250_000

    def refusal(self, name: str, partition: int, held: int) -> Refusal | None:
        """Why `name` is not taken in by `partition`, which has `held` targets; None where it is."""
        if len(name) > MOST_NAME:
            return Refusal("bad_value", f"a target name of over {MOST_NAME} characters: {name:.50}")
        # Not through the cache: names that come once would fill it.
        if not name or partition_of.__wrapped__(name, self.partitions) != partition:
            return Refusal(
                "wrong_partition", f"target {name} does not belong to partition {partition} of {self.partitions}"
            )
        if not self.known(name):
            return Refusal("unknown_target", f"no target {name} in the configuration")
        if held >= self.most:
            return Refusal(
                "too_many_targets", f"partition {partition} has {held} targets, which is detect.max_targets: no {name}"
            )
        return None


class RuleSets:
    """Sets of rules that targets share: a target's set depends only on the labels that some rule looks at."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self.sets: list[tuple[int, ...]] = [()]
        self._members: list[frozenset[int]] = []
        self._number: dict[tuple[int, ...], int] = {(): 0}
        self._looked_at = sorted({parse(m).name for r in rules for m in r.match})
        self._by_labels: dict[tuple[str | None, ...], int] = {}

    def of(self, labels: Mapping[str, str]) -> int:
        """Number of the set of rules that match these labels."""
        key = tuple(labels.get(name) for name in self._looked_at)
        if (known := self._by_labels.get(key)) is not None:
            return known
        chosen = tuple(i for i, rule in enumerate(self.rules) if matches(rule.match, labels))
        if chosen not in self._number:
            self._number[chosen] = len(self.sets)
            self.sets.append(chosen)
        if len(self._by_labels) < 100_000:
            self._by_labels[key] = self._number[chosen]
        return self._number[chosen]

    def members(self, number: int) -> frozenset[int]:
        """The rules of a set."""
        while len(self._members) < len(self.sets):
            self._members.append(frozenset(self.sets[len(self._members)]))
        return self._members[number]
