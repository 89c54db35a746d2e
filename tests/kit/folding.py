"""A partition's fold in tests: records by hand, rules as tables by hand, findings as plain tuples."""

from __future__ import annotations

import numpy as np

from schemas import SampleBatch, encode
from streams.admission import Admission
from streams.compiled import Conditions
from streams.fold import Fold
from streams.kernel import kinds, panes, state
from streams.partition_state import Limits
from streams.records import Record
from streams.rules import Rule
from streams.rules.compile import compile_rules

START = 1_700_000_000_000  # ms; a full pane of 10 s, and no full hour


def admission(**how):
    return Admission(**{"labels_of": lambda t: {"target": t}, "known": lambda _: True, **how})


def fold(rules=(), conditions=None, limits=None, *, partition=0, quantiles=True, **how):
    """An empty fold; `conditions` where the rules' own are not meant."""
    return Fold(
        partition, tuple(rules), compile_rules(rules) if conditions is None else conditions, admission(**how),
        limits or Limits(), quantiles=quantiles,
    )  # fmt: skip


def rule(name="down", metric="consecutive_failures", operator=">=", value=2.0, **more):
    return Rule(name=name, metric=metric, operator=operator, value=value, **more)


def batch(*samples, probe="p", metrics=None, details=()):
    """Samples as (target, time, ok, latency[, sequence])."""
    return SampleBatch(
        probe=probe,
        target=[s[0] for s in samples],
        time=[float(s[1]) for s in samples],
        ok=[s[2] for s in samples],
        latency_ms=[float(s[3]) for s in samples],
        sequence=[float(s[4]) for s in samples] if samples and len(samples[0]) > 4 else [],
        metrics=[{"name": n, "value": [float(v) for v in values]} for n, values in (metrics or {}).items()],
        details=[{"row": r, "status": s, "message": m} for r, s, m in details],
    )


def record(offset, time, *samples, **more):
    return Record(offset, time, encode(batch(*samples, **more)))


def tick(offset, time):
    """A record that brings nothing but its time."""
    return record(offset, time, probe="tick")


class Log:
    """Records one after the other, as the broker takes them."""

    def __init__(self, start=START):
        self.records, self.now = [], start

    def __call__(self, *samples, after=0, **more):
        """A record `after` ms; samples are (target, ok, latency, ms before now, ...) with defaults."""
        self.now += int(after)
        full = [
            (s[0], self.now - (s[3] if len(s) > 3 else 0), s[1], s[2] if len(s) > 2 else 1.0, *s[4:]) for s in samples
        ]
        self.records.append(record(len(self.records), self.now, *full, **more))
        return self.records[-1]


def told(fold, outcome):
    """Findings as (rule, target, holds, offset, time)."""
    return [
        (fold.conditions.names[c.rule], c.name or fold.name_of(c.target), c.holds, c.offset, c.time)
        for c in outcome.changes
    ]


def refused(outcome):
    return [(r.record.offset, r.refusal.reason, r.rows) for r in outcome.refused]


def table(rules, conditions, metrics=("",)):
    """Conditions by hand: `rules` are (name, tokens, severity), `conditions` dicts of the table's columns."""

    def column(name, default, kind=np.float64):
        return np.array([c.get(name, default) for c in conditions], kind)

    threshold = column("threshold", 0.0)
    return Conditions(
        names=[name for name, _, _ in rules],
        metrics=list(metrics),
        kind=column("kind", 0, np.int64),
        metric=column("metric", 0, np.int64),
        window_s=column("window_s", np.nan),
        param=column("param", np.nan),
        operator=column("operator", kinds.GT, np.int64),
        threshold=threshold,
        recovery=np.array([c.get("recovery", c.get("threshold", 0.0)) for c in conditions], np.float64),
        min_samples=column("min_samples", 0.0),
        start=np.cumsum([0, *(len(tokens) for _, tokens, _ in rules)]),
        tokens=np.array([t for _, tokens, _ in rules for t in tokens], np.int64),
        severity=np.array([s for _, _, s in rules], np.int64),
        cron={i: c["cron"] for i, c in enumerate(conditions) if "cron" in c},
    )


def named(conditions):
    """Rules for a table by hand: names, whom they are about, and nothing else that counts."""
    return tuple(rule(name) for name in conditions.names)


def counts(one, name):
    """Count and errors of a target in its panes of an hour, all that there are."""
    head, number = int(one.state.clock[state.HEAD]), one.memory.number[name]
    row = one.state.targets.place[one.memory.target_of[number], state.MAIN]
    total = panes.sums(one.state.ring, row, 2, 24, head)
    return int(total[0]), int(total[1])


def take(one, records, dice=None):
    """Findings, with the records in one call, or in pieces."""
    if dice is None:
        return told(one, one.take(records))
    found, at = [], 0
    while at < len(records):
        size = dice.choice([1, 2, 7, 50, 400])
        found += told(one, one.take(records[at : at + size]))
        at += size
    return found


# Rules of every kind, by what they look at.
SETS = {
    "reference": [
        rule("errors", "error_rate", ">", 0.05, window="5m"),
        rule("slow", "latency", ">", 2.0, aggregate="ratio", window="1m"),
        rule("odd", "latency", ">", 4.0, aggregate="zscore"),
    ],
    "quantiles": [
        rule("p95", "latency", ">", 105.0, aggregate="p95", window="5m"),
        rule("p50", "cpu", ">", 60.0, aggregate="p50", window="24h"),
    ],
    "scores": [
        rule("change", "latency", ">", 3.0, aggregate="change"),
        rule("robust", "latency", ">", 3.0, aggregate="robust"),
        rule("flat", "cpu", ">", 30.0, aggregate="flat"),
        rule("surprise", "error_rate", ">", 2.0, aggregate="surprise", window="5m"),
        rule("full", "cpu", "<", 600.0, aggregate="forecast", limit=100.0),
    ],
    "metrics and time": [
        rule("hot", "cpu", ">", 80.0, recover=60.0),
        rule("gone", "absent", ">", 60.0),
        rule("quiet", "count", "<", 2.0, window="1m"),
        rule("down", value=2, severity="critical"),
        rule("sick", "status", "==", "unhealthy"),
    ],
    "none": [],
}  # fmt: skip
