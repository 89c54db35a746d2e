"""Rules against targets: the compiled judge beside one that keeps every sample and judges in words."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import blocks
from streams.kernel import judge, kinds
from streams.kernel.state import FALSE, TRUE, UNSURE
from tests.kit.folding import START, Log, fold, named, record, rule, table, told
from tests.kit.slow_fold import SlowFold
from tests.unit.streams.rules import reference

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]

# What a condition of each kind is compared with, about where it makes a difference.
LEVELS = {
    kinds.UP: (0, 1), kinds.FAILURES: (1, 2, 3), kinds.LAST: (90, 100, 140), kinds.MEAN: (90, 100, 120), kinds.MIN: (50, 90),
    kinds.MAX: (110, 200, 900), kinds.RATIO: (0.9, 1, 1.3, 2), kinds.ZSCORE: (-1, 1, 4), kinds.ERROR_RATE: (0.05, 0.3, 0.5),
    kinds.ERRORS: (1, 3, 6), kinds.COUNT: (0, 2, 5), kinds.RATE: (0, 0.02, 0.2), kinds.SUCCESS_RATE: (0.5, 0.7, 0.95),
    kinds.QUANTILE: (90, 105, 200), kinds.ROBUST: (-1, 1, 4), kinds.SURPRISE: (0.3, 1, 3), kinds.ERROR_RATIO: (0.7, 1, 2),
    kinds.CHANGE: (0, 1, 3), kinds.FLAT: (0, 10, 60), kinds.FORECAST: (0, 30, 1000), kinds.ABSENT: (0, 9, 60, 600),
    kinds.SINCE_OK: (0, 9, 60, 600), kinds.STATUS: (0, 1, 2, 3), kinds.SUM: (0, 200, 1000), kinds.MISSED: (0, 20, 200),
    kinds.PREVIOUS: (0, 1, 2, 3), kinds.SEASONAL_CHANGE: (-6, 0, 3, 8.5),
}  # fmt: skip
OF_TARGET = {kinds.UP, kinds.FAILURES, kinds.STATUS, kinds.PREVIOUS, kinds.MISSED}
ALL = sorted(LEVELS)


def condition(dice, kind):
    threshold = float(dice.choice(LEVELS[kind]))
    out = {
        "kind": kind,
        "metric": 0 if kind in OF_TARGET else dice.choice([0, 0, 1]),
        "operator": dice.choice([kinds.GT, kinds.GE, kinds.LT, kinds.LE, kinds.EQ, kinds.NE]),
        "threshold": threshold,
    }
    if dice.random() < 0.4:  # ends later than it begins
        lower = out["operator"] in (kinds.GT, kinds.GE)
        levels = [x for x in LEVELS[kind] if (x < threshold if lower else x > threshold)]
        out["recovery"] = float(dice.choice(levels)) if levels else threshold
    if kind in kinds.WINDOWED:
        out["window_s"] = dice.choice([10.0, 60.0, 300.0, 3600.0, 86_400.0])
        out["min_samples"] = 0.0 if kind in (kinds.COUNT, kinds.RATE, kinds.SUM) else float(dice.choice([0, 0, 1, 4]))
    if kind == kinds.QUANTILE or (kind == kinds.RATIO and dice.random() < 0.5):
        out["param"] = dice.choice([0.5, 0.95])
    if kind == kinds.FORECAST:
        out["param"] = dice.choice([-5.0, 120.0, 1000.0])
    if kind == kinds.PREVIOUS:
        out["param"] = dice.choice([0.0, 1.0, 6.0, 12.0])
    if kind == kinds.MISSED:
        out["cron"] = ("*/5 * * * *", "UTC", 30.0)
    return out


def expression(dice, count, depth=0):
    """A random postfix expression over conditions below `count`."""
    if depth > 3 or dice.random() < 0.5:
        return [dice.randrange(count)]
    if dice.random() < 0.3:
        return [*expression(dice, count, depth + 1), kinds.NOT]
    return [
        *expression(dice, count, depth + 1),
        *expression(dice, count, depth + 1),
        dice.choice([kinds.AND, kinds.OR]),
    ]


def rule_book(dice):
    """One rule of each kind alone, and some that join them."""
    some = [condition(dice, kind) for kind in ALL]
    rules = [(f"r{i}", [i], dice.choice([0, 0, 0, 1, 2])) for i in range(len(some))]
    for k in range(12):
        tokens = expression(dice, len(some))
        rules.append((f"x{k}", tokens, dice.choice([0, 0, 1, 2])))
    return table(rules, some, metrics=("", "cpu"))


def stream(dice, count):
    """Records of a few targets: (offset, now, samples, metrics); whole numbers, so that sums are exact."""
    now, out = START, []
    for offset in range(count):
        now += dice.choice(
            [0, 100, 1000, 5000, 10_000, 10_000, 31_000, 60_000, 330_000, 3_700_000 if dice.random() < 0.3 else 0]
        )
        bad = dice.random() < 0.3
        samples, cpu = [], []
        for _ in range(dice.choice([0, 1, 1, 2, 5])):
            late = dice.choice([0, 0, 0, 0, 400, 9_000, 70_000, 1_000_000, 3_599_000, -20_000, -60_000])
            value = float(dice.choice([95, 100, 100, 101, 103, 110, 130, 400, 0]) if dice.random() < 0.9 else 1000)
            ok = dice.random() < (0.2 if bad else 0.95)
            samples.append((dice.choice("aabc"), float(now - late), ok, math.nan if dice.random() < 0.1 else value))
            cpu.append(float(dice.choice([50, 51, 90, 99])) if dice.random() < 0.7 else math.nan)
        out.append((offset, now, samples, {"cpu": cpu} if dice.random() < 0.7 and samples else {}))
    return out


def in_pieces(dice, items):
    at = 0
    while at < len(items):
        size = dice.choice([1, 1, 2, 5, 40])
        yield items[at : at + size]
        at += size


@pytest.mark.parametrize("seed", range(40))
def test_every_kind_is_judged_as_by_the_book(seed):
    """Every kind of condition, alone and joined, with and without hysteresis: each finding at its very sample."""
    dice = random.Random(seed)
    conditions = rule_book(dice)
    log = stream(dice, 120)
    slow = SlowFold(conditions)
    wanted = [found for entry in log for found in slow.take(*entry)]
    fast, found = fold(named(conditions), conditions), []
    for piece in in_pieces(dice, log):
        outcome = fast.take([record(o, now, *samples, metrics=metrics) for o, now, samples, metrics in piece])
        assert not outcome.refused
        found += told(fast, outcome)
    by_record = lambda some: sorted(some, key=lambda f: f[3])  # noqa: E731 - ticks come target by target
    assert by_record(found) == by_record(wanted)
    assert len({f[0] for f in found}) > 15


@pytest.mark.parametrize("seed", range(3))
def test_hours_of_the_week_are_judged_as_by_the_book(seed):
    """Weeks of values with their hours, some late, some failed, some missing: what is usual for the hour, the ratio to
    it and its change give each finding at its very sample."""
    dice = random.Random(seed)
    some = [condition(dice, kind) for kind in (kinds.RATIO, kinds.SEASONAL_CHANGE) for _ in range(6)]
    some = [{**c, "window_s": 3600.0} if "window_s" in c else c for c in some]
    conditions = table([(f"r{i}", [i], 0) for i in range(len(some))], some, metrics=("", "cpu"))
    log, now = [], START
    for offset in range(4 * 7 * 24):
        now += dice.choice([1_200_000, 2_400_000, 3_600_000, 3_600_000, 7_200_000])
        at = [now - dice.choice([0, 0, 0, 900_000, 3_000_000]) for _ in range(2)]
        level = [round(100 * (1.5 + math.sin(t / 86_400_000 * 2 * math.pi)) * dice.uniform(0.9, 1.1)) for t in at]
        level = [v * (3 if offset % 97 > 92 else 1) for v in level]
        samples = [("a", float(t), dice.random() < 0.95, float(v)) for t, v in zip(at, level, strict=True)]
        log.append((offset, now, samples, {"cpu": [math.nan if dice.random() < 0.1 else v / 4 for v in level]}))
    slow, fast = SlowFold(conditions), fold(named(conditions), conditions)
    wanted = [found for entry in log for found in slow.take(*entry)]
    outcome = fast.take([record(o, now, *samples, metrics=metrics) for o, now, samples, metrics in log])
    assert told(fast, outcome) == wanted
    scores = [abs(s) for c in outcome.changes if some[c.rule]["kind"] == kinds.SEASONAL_CHANGE for s, *_ in c.seen]
    assert max(scores) > 3


@pytest.mark.parametrize("seed", range(40, 50))
def test_good_samples_are_counted_as_by_the_book(seed):
    """After it ceased, a rule is told of with each sample with which it does not hold, up to as many as it wants."""
    dice = random.Random(seed)
    conditions = rule_book(dice)
    conditions.wanted = np.array([dice.choice([0, 1, 2, 3, 20]) for _ in conditions.names], np.int64)
    log = stream(dice, 120)
    slow = SlowFold(conditions)
    wanted = [found for entry in log for found in slow.take(*entry)]
    fast, found, good = fold(named(conditions), conditions), [], []
    for piece in in_pieces(dice, log):
        outcome = fast.take([record(o, now, *samples, metrics=metrics) for o, now, samples, metrics in piece])
        found += told(fast, outcome)
        good += [(c.good, c.wanted) for c in outcome.changes]
        if dice.random() < 0.1:  # a restart, at any point
            stored, fast = dict(blocks.dump(fast, everything=True)), fold(named(conditions), conditions)
            blocks.load(fast, stored)
    by_record = lambda some: sorted(some, key=lambda f: f[3])  # noqa: E731 - ticks come target by target
    theirs = [(*f, g) for f, g in zip(wanted, slow.good, strict=True)]
    assert by_record([(*f, g) for f, g in zip(found, good, strict=True)]) == by_record(theirs)
    assert len({g for g in good if g[0] > 1}) > 1


def test_every_kind_is_among_them():
    """No kind of kinds.py goes without the test above."""
    numbers = {
        v
        for k, v in vars(kinds).items()
        if isinstance(v, int) and v >= 0 and k not in ("GT", "GE", "LT", "LE", "EQ", "NE")
    }
    assert numbers == set(ALL)


tree = st.recursive(
    st.integers(0, 5).map(lambda c: [c]),
    lambda inner: st.one_of(
        inner.map(lambda a: [*a, kinds.NOT]),
        st.tuples(inner, inner, st.sampled_from([kinds.AND, kinds.OR])).map(lambda t: [*t[0], *t[1], t[2]]),
    ),
    max_leaves=20,
)


@given(tree, st.lists(st.sampled_from([FALSE, TRUE, UNSURE]), min_size=6, max_size=6))
@settings(deadline=None, max_examples=300)
def test_expressions_have_three_values(tokens, truths):
    """And, or, not over what is true, false or unsure: by Kleene's tables, unsure only where it matters."""
    conditions = table([("before", [0], 0), ("r", tokens, 0)], [{"kind": kinds.UP}] * 6)
    names = {FALSE: False, TRUE: True, UNSURE: None}
    stack = []
    for token in tokens:
        if token == kinds.NOT:
            last = stack.pop()
            stack.append(None if last is None else not last)
        elif token >= 0:
            stack.append(names[truths[token]])
        else:
            pair = [stack.pop(), stack.pop()]
            stack.append((reference.both if token == kinds.AND else reference.either)(pair))
    tables = fold(named(conditions), conditions).rules_table()
    found = judge._outcome(tables, 1, np.array(truths, np.uint8), np.zeros(judge.MOST_TOKENS, np.uint8))
    assert [names[int(found)]] == stack


def test_ends_only_beyond_its_recovery():
    """What begins above 90 and recovers at 80 goes on holding between the two."""
    log, one = Log(), fold([rule("hot", "latency", ">", 90.0, recover=80.0)])
    for value in (85, 95, 85, 81, 80, 85, 91):
        log(("t", True, value), after=1000)
    assert [(holds, offset) for _, _, holds, offset, _ in told(one, one.take(log.records))] == [
        (True, 1),
        (False, 4),
        (True, 6),
    ]


def test_waits_for_enough_samples():
    """An error rate over fewer samples than the rule wants neither begins nor ends anything."""
    log, one = Log(), fold([rule("errors", "error_rate", ">", 0.5, window="1m", min_samples=3)])
    for ok in (False, False, False, True, True, True):
        log(("t", ok), after=100)
    log(("t", True), after=120_000)  # alone in its window
    log(("t", True), after=100)
    log(("t", True), after=100)
    assert [(holds, offset) for _, _, holds, offset, _ in told(one, one.take(log.records))] == [(True, 2), (False, 5)]
    log, one = Log(), fold([rule("errors", "error_rate", ">", 0.5, window="1m", min_samples=3)])
    for ok in (False, False, False):
        log(("t", ok), after=100)
    for _ in range(3):
        log(("t", True), after=120_000 if _ == 0 else 100)
    assert [(holds, offset) for _, _, holds, offset, _ in told(one, one.take(log.records))] == [(True, 2), (False, 5)]


def test_without_quantiles_a_quantile_is_unknown():
    """Where no sketches are kept, a rule on one holds for nobody, however many targets there are."""
    one = fold([rule("p95", "latency", ">", 1.0, aggregate="p95", window="5m")], quantiles=False)
    names = [f"t{i}" for i in range(2000)]
    outcome = one.take([record(0, START, *((n, START, True, 50.0) for n in names))] * 2)
    assert (outcome.changes, one.targets) == ([], 2000)


def test_finding_says_what_was_seen():
    """A finding has value, samples and truth of each condition, in the order of the expression."""
    log = Log()
    conditions = table(
        [("both", [1, 0, kinds.AND], 2)],
        [
            {"kind": kinds.FAILURES, "operator": kinds.GE, "threshold": 2.0},
            {"kind": kinds.MEAN, "window_s": 60.0, "threshold": 10.0},
        ],
    )
    one = fold(named(conditions), conditions)
    log(("t", False, 30.0), after=1)
    log(("t", False, 50.0), after=1)
    (change,) = one.take(log.records).changes
    assert change.seen == [(40.0, 2.0, TRUE), (2.0, 1.0, TRUE)]
    assert (change.offset, change.time, math.isnan(change.baseline)) == (1, float(log.now), True)


def test_many_rules_that_change_at_once_all_are_told():
    """Thousands of rules that begin to hold at one sample, each of many conditions, are each told once."""
    tokens = [0] + [t for _ in range(60) for t in (0, kinds.AND)]
    conditions = table(
        [(f"r{i}", tokens, 0) for i in range(3000)], [{"kind": kinds.FAILURES, "operator": kinds.GE, "threshold": 1.0}]
    )
    one = fold(named(conditions), conditions)
    outcome = one.take(
        [record(i, START + i, ("t", START + i, bool(i % 2), 1.0), ("u", START + i, bool(i % 2), 1.0)) for i in range(4)]
    )
    assert len(outcome.changes) == 3000 * 2 * 4
    assert {len(c.seen) for c in outcome.changes} == {61}
