"""Which rules the tests have made fire, and what of alerts no test has looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.life.life import FIRED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.rule_tests.result import Result
    from streams.rules import Rule

LOOKED_AT = ("pending", "firing", "resolved")
"""States that every rule's alerts may come into; the others need that somebody does something."""


@dataclass(slots=True)
class Coverage:
    """What the tests of one configuration have covered; `rules` are those that are judged, by name and severity."""

    rules: dict[str, str]
    waits: frozenset[str] = frozenset()
    fired: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)
    states: set[str] = field(default_factory=set)
    severities: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Coverage:
        """Of these rules, before any test."""
        rules = tuple(rules)
        return cls({r.name: r.severity for r in rules}, frozenset(r.name for r in rules if r.for_))

    def take(self, result: Result) -> None:
        """Take in how one test came out."""
        self.fired |= result.fired & self.rules.keys()
        for alert in result.met:
            self.states.add(alert.state)
            if alert.state in FIRED and alert.rule in self.rules:
                self.wanted.add(alert.rule)
                self.severities.add(alert.severity)

    @property
    def share(self) -> float:
        """Share of the rules that fired, 0 to 1; 1 where there are none."""
        return len(self.fired) / len(self.rules) if self.rules else 1.0

    @property
    def never_fired(self) -> list[str]:
        """Rules that no test made fire, in their order."""
        return [r for r in self.rules if r not in self.fired]

    @property
    def never_wanted(self) -> list[str]:
        """Rules that fired, and no test wanted it."""
        return [r for r in self.rules if r in self.fired and r not in self.wanted]

    @property
    def untested_severities(self) -> list[str]:
        """Severities of the rules of which no test wanted an alert."""
        return [s for s in ("critical", "warning", "info") if s in set(self.rules.values()) - self.severities]

    @property
    def untested_states(self) -> list[str]:
        """Common states that no test wanted."""
        return [s for s in LOOKED_AT if s not in self.states and (s != "pending" or self.waits)]
