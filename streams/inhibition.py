"""Inhibition: one alert keeps others quiet while it fires. Rules are Alertmanager's, in each of its two notations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from streams.labels import Matcher, matches, parse
from streams.selectors import selector
from streams.settings import Settings
from streams.silences import text_of

BUILT_IN = "warning-critical"


def _matchers(value: Any) -> Any:
    """Every matcher on its own: Alertmanager lets one text hold several. Raises ValueError."""
    if not isinstance(value, (list, tuple)):
        return value
    return tuple(m for text in value for m in (selector(text) if isinstance(text, str) else (text,)))


Matchers = Annotated[tuple[str, ...], BeforeValidator(_matchers)]


class InhibitRule(Settings):
    """While an alert that passes the source's matchers fires, alerts that pass the target's are not told.

    Only where every label in `equal` has one value in both; absent and empty are the same.
    """

    name: str = Field(default="", max_length=200)
    source_matchers: Matchers = Field(default=(), description="Matchers on the alert that keeps others quiet.")
    target_matchers: Matchers = Field(default=(), description="Matchers on those that are kept quiet.")
    source_match: dict[str, str] = Field(default_factory=dict, description="The older form: labels and values.")
    source_match_re: dict[str, str] = Field(default_factory=dict, description="The older form: regular expressions.")
    target_match: dict[str, str] = Field(default_factory=dict, description="The older form: labels and values.")
    target_match_re: dict[str, str] = Field(default_factory=dict, description="The older form: regular expressions.")
    equal: tuple[str, ...] = Field(default=(), description="Labels that must have the same value in both.")

    @model_validator(mode="after")
    def _parsed(self) -> InhibitRule:
        for text in (*self.source, *self.target):
            parse(text)
        return self

    @property
    def source(self) -> tuple[str, ...]:
        """Every matcher of the source, in the newer form."""
        return self.source_matchers + _older(self.source_match, self.source_match_re)

    @property
    def target(self) -> tuple[str, ...]:
        """Every matcher of the target, in the newer form."""
        return self.target_matchers + _older(self.target_match, self.target_match_re)


def id_of(rule: InhibitRule) -> str:
    """The name of a rule, or one made of what it says."""
    text = "\n".join(("; ".join(rule.source), "; ".join(rule.target), "; ".join(rule.equal)))
    return rule.name or f"unnamed-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _older(equal: Mapping[str, str], regex: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        text_of(Matcher(name, operator, value))
        for operator, part in (("=", equal), ("=~", regex))
        for name, value in part.items()
    )


# Of one rule with two thresholds, the critical alert speaks for the milder ones of the same target.
PAIR = InhibitRule(
    name=BUILT_IN,
    source_matchers=('severity="critical"',),
    target_matchers=('severity=~"warning|info"', 'alertname!=""'),
    equal=("alertname", "target"),
)


@dataclass(slots=True)
class _Held:
    """One rule with its sources that fire, by the values of `equal`: alert id -> (began, passes the target's too)."""

    rule: InhibitRule
    source: tuple[str, ...]
    target: tuple[str, ...]
    firing: dict[tuple[str, ...], dict[str, tuple[float, bool]]] = field(default_factory=dict)
    first: dict[tuple[tuple[str, ...], bool], str | None] = field(default_factory=dict)

    def key(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in self.rule.equal)

    def put(self, alert: str, labels: Mapping[str, str], began: float) -> tuple[str, ...] | None:
        if not matches(self.source, labels):
            return None
        key = self.key(labels)
        self.firing.setdefault(key, {})[alert] = (began, matches(self.target, labels))
        self._changed(key)
        return key

    def drop(self, alert: str, key: tuple[str, ...]) -> None:
        held = self.firing[key]
        del held[alert]
        if not held:
            del self.firing[key]
        self._changed(key)

    def _changed(self, key: tuple[str, ...]) -> None:
        self.first.pop((key, False), None)
        self.first.pop((key, True), None)

    def by(self, labels: Mapping[str, str], alert: str) -> str | None:
        """The source that began first, of those that may inhibit `alert` with `labels`."""
        if not self.firing or (key := self.key(labels)) not in self.firing or not matches(self.target, labels):
            return None
        # An alert on both sides is not inhibited by others on both sides, and so not by itself.
        one_sided = matches(self.source, labels)
        if (key, one_sided) not in self.first:
            self.first[key, one_sided] = self._first(key, one_sided=one_sided)
        found = self.first[key, one_sided]
        # What was critical before its rule was edited does not inhibit the warning that it is now.
        return found if found != alert else self._first(key, one_sided=one_sided, but=alert)

    def _first(self, key: tuple[str, ...], *, one_sided: bool, but: str = "") -> str | None:
        firing = self.firing[key].items()
        able = [(began, i) for i, (began, both) in firing if i != but and not (one_sided and both)]
        return min(able)[1] if able else None


class Inhibitor:
    """Which alerts fire, and whom they keep quiet. The built-in rule of warning/critical pairs is always there."""

    def __init__(self, rules: Iterable[InhibitRule] = ()) -> None:
        self._held: list[_Held] = []
        self._where: dict[str, list[tuple[_Held, tuple[str, ...]]]] = {}
        self._fires: dict[str, tuple[Mapping[str, str], float]] = {}
        self.replace(rules)

    def replace(self, rules: Iterable[InhibitRule]) -> None:
        """Go on with other rules: what fires keeps others quiet by them from now on."""
        self._held = [_Held(r, r.source, r.target) for r in (*rules, PAIR)]
        self._where.clear()
        for alert, (labels, began) in self._fires.items():
            self._put(alert, labels, began)

    def note(self, alert: str, labels: Mapping[str, str], began: float, *, firing: bool) -> None:
        """Take in whether the alert with this id fires."""
        self._fires.pop(alert, None)
        for held, key in self._where.pop(alert, ()):
            held.drop(alert, key)
        if firing:
            self._fires[alert] = (labels, began)
            self._put(alert, labels, began)

    def _put(self, alert: str, labels: Mapping[str, str], began: float) -> None:
        for held in self._held:
            if (at := held.put(alert, labels, began)) is not None:
                self._where.setdefault(alert, []).append((held, at))

    def by(self, labels: Mapping[str, str], alert: str = "") -> str | None:
        """Id of what keeps `alert` with `labels` quiet: of the first rule that has one, the oldest alert. Or None."""
        return next((by for held in self._held if (by := held.by(labels, alert)) is not None), None)
