"""The rules and targets in force: those of the file, overlaid by what the control topic says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from streams import groups
from streams.composites import is_composite, judged_from_alerts
from streams.control import Controls
from streams.labels import matches
from streams.life import PROGRAM, LifeDefaults, Policy, policy_of
from streams.rules import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas import Control
    from streams.life import Life
    from streams.rules import Rule

log = logging.getLogger("probestream.alert")
KINDS = ("rule", "threshold", "target")


class Watched(Protocol):
    """What is to be known of a target."""

    @property
    def name(self) -> str: ...
    @property
    def all_labels(self) -> dict[str, str]: ...


class Terms:
    """What an alert's life depends on besides its findings.

    `judged` are the rules that detect judges, all but those on other alerts; `members` are the targets of each group
    by its key.
    """

    def __init__(self, targets: Iterable[Watched], rules: Iterable[Rule], defaults: LifeDefaults) -> None:
        self.rules: dict[str, Rule] = {}
        self.judged: dict[str, Rule] = {}
        self.labels: dict[str, Mapping[str, str]] = {}
        self.policies: dict[str, Policy] = {}
        self.members: dict[str, set[str]] = {}
        self._defaults = defaults
        self._targets, self._base = list(targets), tuple(rules)
        self._controls = Controls()
        self._stale = True
        self.refresh()

    def take(self, control: Control) -> None:
        """Take in a change of a rule, a threshold or a target; `refresh` brings it into force."""
        refused = self._controls.take(control)
        if refused is not None:
            log.warning("control: %s", refused.message)
        else:
            self._stale = True

    def replace(self, targets: Iterable[Watched], rules: Iterable[Rule]) -> None:
        """Take another file's targets and rules for the base; `refresh` brings them into force."""
        self._targets, self._base, self._stale = list(targets), tuple(rules), True

    def refresh(self) -> bool:
        """Bring what was taken in into force; whether there was anything."""
        if not self._stale:
            return False
        self._stale = False
        self.labels = {n: t.all_labels for n, t in self._controls.overlaid("target", self._targets).items()}
        self.rules = {r.name: r for r in self._controls.rules(expand(self._base))}
        self.judged = {name: rule for name, rule in self.rules.items() if not is_composite(rule)}
        self.policies = {name: policy_of(rule, self._defaults) for name, rule in self.rules.items()}
        self.members = {}
        for rule in self.rules.values():
            if groups.is_grouped(rule) and not is_composite(rule):
                for name, labels in self.labels.items():
                    if matches(rule.match, labels):
                        self.members.setdefault(groups.group_key(rule, labels), set()).add(name)
        return True

    def labels_of(self, target: str) -> Mapping[str, str]:
        """The labels of a target, also of one that nobody configured: it pushes its samples."""
        return self.labels.get(target) or {"target": target, "kind": "push"}

    def edited_by(self, life: Life) -> tuple[str, int]:
        """Who edited the rule of `life` last at run time, and its version then; the program's own where nobody did."""
        rule = self.rules[life.rule]
        records = [self._controls.current("rule", name) for name in (rule.name, rule.pair) if name]
        latest = max((r for r in records if r is not None), key=lambda r: r.version, default=None)
        return (PROGRAM, 0) if latest is None else (latest.actor, latest.version)

    def gone(self, life: Life) -> str | None:
        """Why there is no longer what `life` is about, or None."""
        rule, own = self.rules.get(life.rule), life.own or life.labels
        if rule is None or (life.active and is_composite(rule) != judged_from_alerts(life.finding)):
            return "rule_removed"  # or another of this name, which is judged elsewhere and knows nothing of this alert
        if is_composite(rule) and not groups.is_grouped(rule) and life.target.startswith(groups.PREFIX):
            return None  # about the alert of a group, which its own rule ends
        if life.target.startswith(groups.PREFIX) or groups.is_grouped(rule):
            same = groups.is_grouped(rule) and groups.group_of(rule, own) == life.target
            return None if same else "rule_no_longer_matches"
        if life.target not in self.labels and own.get("kind") != "push":
            return "target_removed"
        return None if matches(rule.match, self.labels_of(life.target)) else "rule_no_longer_matches"
