"""What checks look at, and what they find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

from streams.labels import matches
from streams.rules.expand import written_name

if TYPE_CHECKING:
    from streams.rules.model import Rule

Level = Literal["error", "warning", "note"]


class Target(Protocol):
    """A configured target, as rules see it."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def every(self) -> float: ...
    @property
    def all_labels(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert that fired: when, when it was over (None: it is not), in milliseconds, and whether it was flapping."""

    rule: str
    target: str
    fired: float
    ended: float | None
    flapped: bool = False


class History(Protocol):
    """What is known of the past of rules."""

    def of(self, rule: str) -> Span:
        """How far it goes back for a rule, and where it is from."""

    def episodes(self, rule: str) -> Mapping[str, Sequence[Episode]]:
        """The alerts of a rule that fired, by target."""


@dataclass(frozen=True, slots=True)
class Span:
    """The last `seconds`; `changed` is whether they begin with a change of the rule, which was another before.

    `replayed`: not what did fire, but what the rule as it is would have made of the samples.
    """

    seconds: float
    changed: bool = False
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing about one rule; an error is a rule that cannot do what it is for, a note may be as it should be."""

    level: Level
    code: str
    rule: str
    written: str
    field: str
    message: str


@dataclass(frozen=True)
class Watch:
    """The rules and what they are about."""

    rules: tuple[Rule, ...]
    targets: tuple[Target, ...]
    complete: bool
    history: History | None = None

    @cached_property
    def bits(self) -> dict[tuple[str, ...], int]:
        """By matchers: the targets that pass them, as a set of bits."""
        return {
            match: sum(1 << i for i, t in enumerate(self.targets) if matches(match, t.all_labels))
            for match in {rule.match for rule in self.rules}
        }

    def targets_of(self, rule: Rule) -> list[Target]:
        """The configured targets that `rule` selects."""
        bits = self.bits[rule.match]
        return [t for i, t in enumerate(self.targets) if bits >> i & 1]


def remark(level: Level, code: str, rule: Rule, field: str, message: str) -> Remark:
    """A remark on a field of `rule`."""
    return Remark(level, code, rule.name, written_name(rule), field, message)
