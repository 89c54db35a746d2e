"""Composites as the alerts they are made of come and go, over all partitions."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from streams import composites, groups
from streams.composites import Standing
from streams.life import FIRED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from schemas import Alert, Finding
    from streams.rules import Rule


def standing_of(alert: Alert) -> Standing:
    """Where an alert stands after a transition."""
    return Standing(
        alert.id, alert.number, alert.rule, alert.target, alert.labels, alert.severity, alert.state, alert.began,
        alert.at, alert.resolved or alert.fired or alert.at,
    )  # fmt: skip


Where = tuple[str, str]
"""Name of a composite, and the target or group that it is judged for."""


class Composites:
    """What is active where, for each composite; it is asked after every change."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self._standing: dict[str, Standing] = {}
        self._active: dict[Where, dict[str, set[str]]] = {}
        self._turned: dict[Where, float] = {}
        self.labels: dict[Where, dict[str, str]] = {}

    def configure(self, rules: Iterable[Rule]) -> None:
        """Go on with these rules."""
        self.rules = {r.name: r for r in rules if composites.is_composite(r)}
        self._active, self._turned, self.labels = {}, {}, {}
        for standing in self._standing.values():
            self._put(standing)

    def take(self, standing: Standing) -> list[Where]:
        """Take in where an alert stands; what is to be judged again."""
        before = self._standing.get(standing.id)
        if before is not None and before.number >= standing.number:
            return []  # it was stored before it was told, and its stored life was read
        was = [] if before is None else self._places(before)  # its labels may be others now, and so its places
        if before is not None:
            self._drop(self._standing.pop(standing.id))
        if standing.state in FIRED:
            self._standing[standing.id] = standing
            return list(dict.fromkeys([*was, *self._put(standing)]))
        return list(dict.fromkeys([*was, *self._places(standing)])) if before is not None else []

    def _places(self, standing: Standing) -> list[Where]:
        called = set(composites.also_called(standing))
        found = []
        for rule in self.rules.values():
            if called & composites.names(rule.alerts):
                where = composites.place(rule, standing.target, standing.labels)
                if where is not None:
                    found.append((rule.name, where))
                    self._label((rule.name, where), standing.labels)
                    self._turned[rule.name, where] = max(standing.turned, self._turned.get((rule.name, where), 0.0))
        return found

    def _put(self, standing: Standing) -> list[Where]:
        found = self._places(standing)
        for where in found:
            active = self._active.setdefault(where, defaultdict(set))
            for name in composites.also_called(standing):
                active[name].add(standing.id)
        return found

    def _drop(self, standing: Standing) -> None:
        for where in self._places(standing):
            for name in composites.also_called(standing):
                self._active.get(where, {}).get(name, set()).discard(standing.id)

    def _label(self, where: Where, labels: Mapping[str, str]) -> None:
        rule = self.rules[where[0]]
        if rule.group_by:
            self.labels[where] = groups.labels_of(rule, labels)

    def everywhere(self, targets: Mapping[str, Mapping[str, str]]) -> list[Where]:
        """Whatever may hold: where something is active, and where a composite holds with nothing active."""
        found = dict.fromkeys(self._active)
        for rule in self.rules.values():
            if composites.holds(rule.alerts, lambda _: False):
                for name, labels in targets.items():
                    where = composites.place(rule, name, labels)
                    if where is not None:
                        found[rule.name, where] = None
                        self._label((rule.name, where), labels)
        return list(found)

    def judge(self, where: Where, now: Callable[[], float], *, is_meant: bool = True) -> Finding:
        """The finding about a composite at a target or group, as things stand; it holds only where it is meant."""
        rule = self.rules[where[0]]
        active = {name for name, ids in self._active.get(where, {}).items() if ids}
        wanted = composites.names(rule.alerts)
        is_held = is_meant and composites.holds(rule.alerts, active.__contains__)
        at = self._turned.get(where) or now()
        return composites.finding(rule, where[1], active & wanted, at, is_held=is_held)
