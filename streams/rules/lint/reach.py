"""Rules that can never hold, always do, or are about nothing that is watched."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

from streams.kernel import kinds
from streams.labels import unpassed
from streams.rules import words
from streams.rules.lint.logic import Not, can_hold, formula
from streams.rules.lint.watch import Remark, Watch, remark
from streams.units import human

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.rules.condition import Condition
    from streams.rules.model import Rule


def never(watch: Watch) -> Iterator[Remark]:
    """Conditions that contradict each other, and thresholds that a percentage cannot reach."""
    for rule in watch.rules:
        if can_hold(formula(rule)) is False:
            yield remark("error", "never-holds", rule, _form(rule), "can never hold: its conditions exclude each other")
        elif can_hold(formula(rule, percent=True)) is False:
            text = "can hardly ever hold: by its name, the metric is in per cent and ends at 100"
            yield remark("warning", "never-holds", rule, _form(rule), text)


def always(watch: Watch) -> Iterator[Remark]:
    """Conditions of which one always holds."""
    for rule in watch.rules:
        if can_hold(Not(formula(rule))) is False:
            yield remark(
                "error", "always-holds", rule, _form(rule), "holds whatever is seen: it would fire and never end"
            )


def _form(rule: Rule) -> str:
    if rule.alerts is not None:
        return "alerts"
    return "all" if rule.all_ else "any" if rule.any_ else "not" if rule.not_ else "value"


def unselected(watch: Watch) -> Iterator[Remark]:
    """Matchers that no configured target passes."""
    for rule in watch.rules:
        if watch.bits[rule.match] or rule.alerts is not None or not watch.targets:
            continue  # a file without targets has them elsewhere
        text = f"no configured target passes {_which(rule, watch)}"
        more = "" if watch.complete else "; only targets that applications bring along could"
        yield remark("error" if watch.complete else "warning", "selects-nothing", rule, "match", text + more)


def _which(rule: Rule, watch: Watch) -> str:
    """The matcher that is to blame alone, with what there is; else all of them."""
    return unpassed(rule.match, [t.all_labels for t in watch.targets]) or " and ".join(rule.match)


def unmeasured(watch: Watch) -> Iterator[Remark]:
    """Metrics that no target the rule selects can have, as none of them is pushed."""
    for rule in watch.rules:
        kinds_there = {t.kind for t in watch.targets_of(rule)}
        if not kinds_there or "push" in kinds_there or not watch.complete:
            continue
        known = {m for kind in kinds_there for m in words.PROBE_METRICS.get(kind, ())}
        for c in rule.leaves():
            if c.metric in words.OWN or not c.metric or _measured(c.metric, kinds_there, known):
                continue
            close = difflib.get_close_matches(c.metric, known, n=1, cutoff=0.7)
            meant = f"; did you mean {close[0]}?" if close else ""
            text = f"none of the targets it selects ({', '.join(sorted(kinds_there))}) measures {c.metric}{meant}"
            yield remark("warning", "unmeasured", rule, "metric", text)


def _measured(metric: str, kinds_there: set[str], known: set[str]) -> bool:
    if metric == "latency":
        return kinds_there != {"host"}
    return metric in known or any(k.endswith(":") and metric.startswith(k) for k in known)


def too_few_samples(watch: Watch) -> Iterator[Remark]:
    """Windows that never hold the samples that a rule waits for, and absences that are none."""
    for rule in watch.rules:
        targets = watch.targets_of(rule)
        probed = [t.every for t in targets if t.kind != "push"]
        for c in rule.leaves() if probed else ():
            look = words.look(c.metric, c.aggregate)
            if look is None or c.transition is not None:
                continue
            if look.windowed and len(probed) == len(targets):
                yield from _samples(rule, c, min(probed))
            elif look.kind in (kinds.ABSENT, kinds.SINCE_OK) and c.operator in (">", ">=") and c.value <= max(probed):
                often = f"samples of some come each {human(max(probed))}"
                text = f"{often}: after {human(c.value)}, it would fire between any two of them"
                field = "absent" if look.kind == kinds.ABSENT else "value"
                yield remark("error", "fires-always", rule, field, text)


def _samples(rule: Rule, c: Condition, every_s: float) -> Iterator[Remark]:
    most = math.floor(c.window / every_s) + 1
    wanted = max(c.min_samples, rule.min_samples if rule.compound else 0)
    if wanted > most:
        text = f"{human(c.window)} hold {most} samples, one each {human(every_s)}: it waits for {wanted} in vain"
        yield remark("error", "too-few-samples", rule, "min_samples", text)
    elif c.window < every_s and c.min_samples > 0:
        text = f"is shorter than the {human(every_s)} from one sample to the next: mostly there is nothing to judge"
        yield remark("warning", "too-few-samples", rule, "window", text)
