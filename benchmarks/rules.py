"""A tick of rules: 1,000 rules judged on each of 10,000 targets, and the same in plain Python beside it.

    python benchmarks/rules.py [--quick] [--json]

Ours is the fold that detection runs: a sample of every target, each judged by every rule: four measures over windows of
1 min, 5 min and 1 h and two that have none, each with thresholds of its own; what holds stays, as it does at most
ticks. What several rules look at is reckoned once; `distinct` is the tick of as many rules over 43 windows, 174 looks
in all. The peer is what one writes without a compiler: the same sums in lists, a loop over the rules, on a hundredth of
the targets. Both must find the same rules holding.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, options
from schemas import SampleBatch, encode
from streams.admission import Admission
from streams.fold import Fold
from streams.records import Record
from streams.rules import Rule, expand
from streams.rules.compile import compile_rules
from streams.seeing import held
from streams.warm import warm

START = 1_700_000_000_000
BATCH = 500


# Metric, aggregate, least and greatest threshold.
WINDOWED = (
    ("error_rate", None, 0.05, 0.5),
    ("latency", "mean", 130.0, 160.0),
    ("latency", "min", 130.0, 160.0),
    ("latency", "max", 130.0, 160.0),
)
PLAIN = (("latency", None, 130.0, 160.0), ("consecutive_failures", None, 1.0, 9.0))


def rules_of(count: int, windows: tuple[int, ...]) -> tuple[Rule, ...]:
    """So many rules, no two alike: over the measures in turn."""
    looks: list[tuple[Any, int | None]] = [(w, s) for s in windows for w in WINDOWED] + [(p, None) for p in PLAIN]
    out = []
    for i in range(count):
        (metric, aggregate, least, most), window = looks[i % len(looks)]
        more = {k: v for k, v in (("aggregate", aggregate), ("window", window)) if v is not None}
        value = least + (most - least) * i / count
        out.append(Rule(name=f"rule-{i}", metric=metric, operator=">", value=value, **more))
    return expand(tuple(out))


def records(targets: int, tick: int) -> list[Record]:
    """One sample of each target, 500 a record."""
    at, out = START + tick * 1000, []
    for first in range(0, targets, BATCH):
        some = range(first, min(first + BATCH, targets))
        batch = SampleBatch(
            probe="bench",
            target=[f"target-{i:05d}" for i in some],
            time=[float(at)] * len(some),
            ok=[i % 7 != 0 for i in some],
            latency_ms=[50.0 + i % 100 for i in some],
        )
        out.append(Record(len(out) + tick * (targets // BATCH + 1), at, encode(batch)))
    return out


def ours(rules: tuple[Rule, ...], targets: int, ticks: int) -> tuple[float, int]:
    """Milliseconds a tick, the best of several, and how many rules hold in the end."""
    everybody = Admission(labels_of=lambda name: {"target": name}, known=lambda _: True)
    fold = Fold(0, rules, compile_rules(rules), everybody, quantiles=False)
    best = float("inf")
    for tick in range(ticks):
        some = records(targets, tick)
        began = time.perf_counter()
        fold.take(some)
        if tick:  # the first one makes the targets known
            best = min(best, time.perf_counter() - began)
    return best * 1000, len(held(fold))


def peer(rules: tuple[Rule, ...], targets: int, ticks: int) -> tuple[float, int]:
    """As `ours`, in plain Python; all ticks lie in one window."""
    sums = [[0, 0, 0.0, float("inf"), 0.0, 0] for _ in range(targets)]
    holds: set[tuple[int, str]] = set()
    best = float("inf")
    for _ in range(ticks):
        began = time.perf_counter()
        for i, state in enumerate(sums):
            bad, value = i % 7 == 0, 50.0 + i % 100
            state[0] += 1
            state[1] += bad
            state[2] += value
            state[3], state[4] = min(state[3], value), max(state[4], value)
            state[5] = state[5] + 1 if bad else 0
            seen = {
                ("error_rate", "last"): state[1] / state[0],
                ("latency", "mean"): state[2] / state[0],
                ("latency", "min"): state[3],
                ("latency", "max"): state[4],
                ("latency", "last"): value,
                ("consecutive_failures", "last"): state[5],
            }
            for rule in rules:
                (holds.add if seen[rule.metric, rule.aggregate or "last"] > rule.value else holds.discard)(
                    (i, rule.name)
                )
        best = min(best, time.perf_counter() - began)
    return best * 1000, len(holds)


def main() -> None:
    args = options(str(__doc__).split("\n", 1)[0]).parse_args()
    count, targets, ticks = (200, 2_000, 4) if args.quick else (1_000, 10_000, 8)
    warm()
    rules = rules_of(count, (60, 300, 3600))
    mine, held = ours(rules, targets, ticks)
    every = (
        tuple(10 * n for n in range(1, 31)) + tuple(300 * n for n in range(2, 13)) + tuple(3600 * n for n in (2, 24))
    )
    distinct, _ = ours(rules_of(count, every), targets, ticks)
    few = targets // 100
    theirs, held_there = peer(rules, few, ticks)
    check = ours(rules, few, ticks)[1]
    if check != held_there:
        sys.exit(f"ours holds {check} rules where plain Python holds {held_there}")
    theirs *= targets / few
    print(f"{count} rules on {targets:,} targets: {mine:.0f} ms a tick, {held:,} hold; plain Python {theirs:,.0f} ms")
    print(f"with {len(every)} windows, where few rules look at the same: {distinct:.0f} ms")
    result: dict[str, Any] = {
        "benchmark": "rules",
        "unit": "ms a tick",
        "rules": count,
        "targets": targets,
        "ours": round(mine, 1),
        "distinct": round(distinct, 1),
        "plain_python": round(theirs, 1),
        "ratio": round(theirs / mine, 1),
    }
    finish(result, as_json=args.json)


if __name__ == "__main__":
    main()
