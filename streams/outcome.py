"""What folding records led to: rules that began or ceased to hold, and samples that could not be used."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.admission import Refusal
from streams.records import Record

LAST_SAMPLE = 2**31 - 1
"""In place of a sample's number: after all samples of its record."""
TOLD_AGAIN = LAST_SAMPLE - 1
"""The same of what holds and is told once more: what an edit makes cease at that record comes after it, and is news."""


@dataclass(slots=True)
class Change:
    """A rule began or ceased to hold for a target.

    `seen` holds value, number of samples and truth (0, 1, 2: unsure) of each of the rule's conditions, in order.
    `time` is that of the sample that decided it, or the clock's where time alone did; `sample` is its place in its
    record, -1 where time alone did. `good` is with how many samples in a row it has not held since, `wanted` until how
    many such samples each is told of.
    """

    rule: int
    target: int
    holds: bool
    offset: int
    time: float
    baseline: float
    score: float
    seen: list[tuple[float, float, int]]
    text: tuple[str, str] = ("", "")
    name: str = ""  # of the target, which may be forgotten by now
    sample: int = -1
    good: int = 0
    wanted: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule sees of a target: value, number of samples and truth of each condition, as in `Change`."""

    rule: int
    seen: list[tuple[float, float, int]]
    holds: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Samples (`rows`, None for the whole record) of one record that cannot be used, for one reason."""

    record: Record
    refusal: Refusal
    rows: list[int] | None = None


@dataclass(slots=True)
class Outcome:
    """What some records led to, in their order."""

    changes: list[Change] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
