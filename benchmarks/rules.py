"""A tick of rules: 1,000 rules judged on each of 10,000 targets, and the same in plain Python beside it.

    python benchmarks/rules.py [--quick] [--json]

Ours is the fold that detection runs: a sample of every target, each judged by every rule over its windows of 1 min and
5 min; what holds stays, as it does at most ticks. The peer is what one writes without a compiler: the same sums in
dictionaries, a loop over the rules, on a hundredth of the targets. Both must find the same rules holding.
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


def rules_of(count: int) -> tuple[Rule, ...]:
    """Half of them look at the error rate over 5 min, half at the mean latency over 1 min; no two alike."""
    return expand(
        tuple(
            Rule(name=f"errors-{i}", metric="error_rate", window=300, operator=">", value=0.05 + i / (2 * count))
            if i % 2
            else Rule(name=f"slow-{i}", metric="latency", aggregate="mean", window=60, operator=">", value=20.0 + i)
            for i in range(count)
        )
    )


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
    sums = {i: [0, 0, 0.0] for i in range(targets)}
    holds: set[tuple[int, str]] = set()
    best = float("inf")
    for _ in range(ticks):
        began = time.perf_counter()
        for i, state in sums.items():
            state[0] += 1
            state[1] += i % 7 == 0
            state[2] += 50.0 + i % 100
            for rule in rules:
                value = state[1] / state[0] if rule.metric == "error_rate" else state[2] / state[0]
                (holds.add if value > rule.value else holds.discard)((i, rule.name))
        best = min(best, time.perf_counter() - began)
    return best * 1000, len(holds)


def main() -> None:
    args = options(str(__doc__).split("\n", 1)[0]).parse_args()
    count, targets, ticks = (200, 2_000, 4) if args.quick else (1_000, 10_000, 8)
    warm()
    rules = rules_of(count)
    mine, held = ours(rules, targets, ticks)
    few = targets // 100
    theirs, held_there = peer(rules, few, ticks)
    check = ours(rules, few, ticks)[1]
    if check != held_there:
        sys.exit(f"ours holds {check} rules where plain Python holds {held_there}")
    theirs *= targets / few
    print(f"{count} rules on {targets:,} targets: {mine:.0f} ms a tick, {held:,} hold; plain Python {theirs:,.0f} ms")
    result: dict[str, Any] = {
        "benchmark": "rules",
        "unit": "ms a tick",
        "rules": count,
        "targets": targets,
        "ours": round(mine, 1),
        "plain_python": round(theirs, 1),
        "ratio": round(theirs / mine, 1),
    }
    finish(result, as_json=args.json)


if __name__ == "__main__":
    main()
