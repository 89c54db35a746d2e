"""One set of rules to replay: what is in force of it at each moment."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from streams.changes import Changes
from streams.in_force import KINDS as DETECTED
from streams.in_force import InForce
from streams.kernel import kinds
from streams.partition_state import Limits
from streams.replay import Terms, terms_of
from streams.rules.compile import compile_rules
from streams.suppression import KINDS as QUIETING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probestream.config import Config
    from schemas import Control
    from streams.compiled import Conditions
    from streams.rules import Rule

CURRENT = "current"
"""The rules of the configuration, with the changes that people made to them at run time, each from its time on."""
LEAST_WARM_UP_S = 3600.0
_RULES = ("rule", "threshold")


@dataclass(frozen=True, slots=True)
class Side:
    """Rules by a name, and what was changed at run time: rules that are tried stay as they are, those in force not."""

    name: str
    config: Config
    changes: Changes

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of changes that count."""
        return (*_RULES, *QUIETING) if self.name == CURRENT else QUIETING

    def controls(self, from_ms: float, to_ms: float) -> list[tuple[float, Control]]:
        """What stands when a replay begins, and what changes on the way."""
        return self.changes.records(from_ms, to_ms, self.kinds)

    def rules(self, from_ms: float, to_ms: float) -> list[tuple[Rule, ...]]:
        """The rules as they are judged at the beginning, and after each change of them."""
        there = InForce(self.config.rules, {}, {})
        found: list[tuple[Rule, ...]] = []
        for at, some in itertools.groupby(self.controls(from_ms, to_ms), key=lambda c: c[0]):
            if at > from_ms and not found:
                found.append(there.rules)
            for _, control in some:
                there.take(control)
            there.refresh()
            if not found or there.rules != found[-1]:
                found.append(there.rules)
        return found or [there.rules]

    def every_rule(self, from_ms: float, to_ms: float) -> list[Rule]:
        """Those in force at the end, and then others that there were, as they were last."""
        latest: dict[str, Rule] = {}
        for some in self.rules(from_ms, to_ms)[::-1]:
            for rule in some:
                latest.setdefault(rule.name, rule)
        return list(latest.values())

    def terms(self, partitions: int, from_ms: float, to_ms: float) -> Terms:
        """What detection goes by, with its changes from one time to another."""
        limits = self.config.detect
        made = terms_of(self.config.rules, self.config.targets, partitions, accept=limits.unknown_targets == "accept")
        return replace(
            made,
            limits=Limits(limits.future * 1000, limits.lateness * 1000, limits.max_batch, limits.forget_after * 1000),
            most_targets=limits.max_targets,
            controls=tuple(c for c in self.controls(from_ms, to_ms) if c[1].kind in DETECTED),
            # They take half the time, and nobody but a rule would see them here.
            quantiles=limits.quantiles and any(_asks_quantiles(compile_rules(r)) for r in self.rules(from_ms, to_ms)),
        )


def warm_up_s(sides: Sequence[Side], from_ms: float, to_ms: float) -> float:
    """How much earlier to begin reading, so that every window is full when it begins."""
    longest, held = LEAST_WARM_UP_S, 0.0
    for side in sides:
        for rules in side.rules(from_ms, to_ms):
            windows = compile_rules(rules).window_s
            longest = max([longest, *windows[~np.isnan(windows)].tolist()])
            held = max([held, *(rule.for_ + rule.keep_firing_for for rule in rules)])
    return longest + held


def _asks_quantiles(conditions: Conditions) -> bool:
    of_ratio = (conditions.kind == kinds.RATIO) & (conditions.param >= 0)
    return bool(((conditions.kind == kinds.QUANTILE) | of_ratio).any())
