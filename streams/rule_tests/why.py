"""What a rule sees at some moment of a replay: the answer to why it fires, or does not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from streams import groups
from streams.composites import names as named_rules
from streams.kernel import judge, kinds
from streams.labels import matches, parse
from streams.rule_tests.result import clock
from streams.rules import words
from streams.rules.describe import describe
from streams.units import human

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.life import Life
    from streams.replay import Replay
    from streams.rules import Rule

_MOST_TARGETS = 5
_UNKNOWN = "cannot be told"
_TRUTH = ("does not hold", "holds", _UNKNOWN)
_TIMES = frozenset({kinds.ABSENT, kinds.SINCE_OK, kinds.FLAT, kinds.FORECAST, kinds.MISSED})


def why(replay: Replay, start_ms: float, rule: str, target: str = "") -> list[str]:
    """What `rule`, which may be the name of a pair, sees now of `target`, or of the first few that it selects."""
    terms = replay.alerting.terms
    lines: list[str] = []
    for one in [r for r in terms.rules.values() if rule in (r.name, r.pair)]:
        known = {n: labels for n, labels in terms.labels.items() if not target or n == target}
        if target and not known and not target.startswith(groups.PREFIX):
            lines.append(f"{one.name}: no sample of {target} came, and no configuration names it")
            continue
        lines += _of_rule(replay, start_ms, one, known or terms.labels)
    return lines


def _of_rule(replay: Replay, start_ms: float, rule: Rule, labels: Mapping[str, Mapping[str, str]]) -> list[str]:
    selected = [name for name, own in labels.items() if matches(rule.match, own)]
    if not selected:
        return [_unselected(rule, labels)]
    if rule.alerts is not None:
        return _of_alerts(replay, rule)
    lines = [line for name in selected[:_MOST_TARGETS] for line in _of_target(replay, rule, name)]
    if len(selected) > _MOST_TARGETS:
        lines.append(f"{rule.name}: and {len(selected) - _MOST_TARGETS} more targets")
    if rule.grouped:
        keys = dict.fromkeys(groups.group_key(rule, labels[name]) for name in selected)
        return lines + [_of_group(replay, rule, key) for key in keys]
    lives = [replay.alerting.lives.get(f"{name}/{rule.name}") for name in selected[:_MOST_TARGETS]]
    return lines + [line for life in lives if life is not None for line in _waiting(rule, life, start_ms)]


def _unselected(rule: Rule, labels: Mapping[str, Mapping[str, str]]) -> str:
    if len(labels) == 1:
        ((name, own),) = labels.items()
        failing = next(m for m in rule.match if not parse(m).matches(own))
        label = parse(failing).name
        return f"{rule.name} does not look at {name}: match wants {failing}, its {label} is {own.get(label, '')!r}"
    return f"{rule.name} looks at none of the {len(labels)} targets: match wants {', '.join(rule.match)}"


def _of_target(replay: Replay, rule: Rule, name: str) -> list[str]:
    fold = replay.detection.fold(0)
    number = fold.memory.number.get(name)
    target = -1 if number is None else int(fold.memory.target_of[number])
    place = next((i for i, r in enumerate(fold.rules) if r.name == rule.name), None)
    if target < 0 or place is None:
        return [f"{rule.name} of {name}: no sample came"]
    conditions, tables = fold.conditions, fold.rules_table()
    lines = []
    for c in fold.schedules.conditions_of(place):
        row = int(fold.state.targets.row_of[target, conditions.metric[c]])
        value, count = (float(v) for v in judge.value_of(fold.state, tables, c, target, row))
        few = float(conditions.min_samples[c])
        # What is unknown leaves a rule as it was, and so does the kernel its truth.
        unknown = math.isnan(value) or (not math.isnan(conditions.window_s[c]) and count < few)
        truth = _UNKNOWN if unknown else _TRUTH[int(fold.state.targets.truth[target, c])]
        text = f"{rule.name} of {name}: {describe(conditions, c)} {truth}: {_value(int(conditions.kind[c]), value)}"
        if not math.isnan(conditions.window_s[c]):
            text += f", {count:g} sample{'' if count == 1 else 's'}"
            text += f" of the {few:g} that min_samples wants" if count < few else ""
        lines.append(text)
    return lines


def _value(kind: int, value: float) -> str:
    if math.isnan(value):
        return "no value"
    if kind in (kinds.STATUS, kinds.PREVIOUS) and value in (0.0, 1.0, 2.0, 3.0):
        return words.STATUS_NAMES[int(value)]
    if kind in _TIMES:
        return "never" if math.isinf(value) else human(value) if value else "0s"
    return f"{value:.6g}"


def _of_group(replay: Replay, rule: Rule, key: str) -> str:
    life = replay.alerting.lives.get(key)
    total = len(replay.alerting.terms.members.get(key, ())) if life is None or not life.total else life.total
    holding = [] if life is None else groups.holding(life)
    return f"{key}: holds for {len(holding)} of {total} targets, {groups.needed(rule, total)} are needed"


def _of_alerts(replay: Replay, rule: Rule) -> list[str]:
    latest = {(a.rule, a.target): a for a in replay.transitions}
    found = []
    for name in sorted(named_rules(rule.alerts)):
        there = [f"{a.target} {a.state}" for a in latest.values() if name in (a.rule, a.labels.get("alertname"))]
        found.append(f"{rule.name} looks at alerts of {name}: {', '.join(there[:_MOST_TARGETS]) or 'none yet'}")
    return found


def _waiting(rule: Rule, life: Life, start_ms: float) -> list[str]:
    if life.state == "pending" and rule.for_:
        since = clock((life.since - start_ms) / 1000.0)
        due = clock((life.since - start_ms) / 1000.0 + rule.for_)
        return [
            f"{life.rule} of {life.target}: holds since {since}; it fires when it has for {human(rule.for_)}, at {due}"
        ]
    return []
