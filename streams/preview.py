"""What a silence or a window would hit, before anybody is kept in the dark: alerts, and targets with their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from streams.labels import matches
from streams.rules import Rule


class Labelled(Protocol):
    """A target, as far as it matters here."""

    @property
    def name(self) -> str: ...
    @property
    def all_labels(self) -> dict[str, str]: ...


Hits = Callable[[str, Mapping[str, str]], bool]


def alert_labels(rule: Rule, target: Mapping[str, str]) -> dict[str, str]:
    """The labels that an alert of `rule` about a target with these labels would have."""
    own = {"alertname": rule.alert_name, "rule": rule.name, "severity": rule.severity}
    return {**target, **rule.labels, **own}


def preview(hits: Hits, targets: Iterable[Labelled], rules: Iterable[Rule]) -> dict[str, list[str]]:
    """By target, the rules whose alerts about it `hits(target, labels)` holds for; targets without any are left out.

    Rules over groups of targets are judged as if they were about each target.
    """
    rules = tuple(rules)
    found: dict[str, list[str]] = {}
    for target in targets:
        labels = target.all_labels
        hit = [r.name for r in rules if matches(r.match, labels) and hits(target.name, alert_labels(r, labels))]
        if hit:
            found[target.name] = hit
    return found
