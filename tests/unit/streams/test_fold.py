"""A partition folded: the reference work, status, rules, findings, room."""

from __future__ import annotations

import random

import numpy as np
import pytest

from benchmarks.reference import work
from streams.admission import Declared
from streams.kernel import state
from streams.rules import Rule
from streams.seeing import held
from tests.kit.folding import START, Log, counts, fold, record, refused, rule, take, told

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
REFERENCE = (
    rule("errors", "error_rate", ">", 0.05, window="5m"),
    rule("slow", "latency", ">", 2.0, aggregate="ratio", window="1m"),
    rule("odd", "latency", ">", 4.0, aggregate="zscore"),
)


@pytest.mark.parametrize("seed", range(6))
def test_finds_what_the_reference_work_finds(seed):
    """Beside an independent implementation of the reference work: the same findings at the same samples, in any grouping."""
    dice, log = random.Random(seed), Log()
    for _ in range(1500):
        outage = dice.random() < 0.3
        log(
            *(
                (
                    target,
                    dice.random() > (0.4 if outage else 0.01),
                    dice.choice([100.0, 101.0, 99.0, 104.0, 96.0, 400.0 if dice.random() < 0.2 else 100.0]),
                    late,
                )
                for _ in range(dice.randrange(6))
                for target in [f"t{dice.randrange(12)}"]
                # The reference wants a sample in each window, so what is very late comes after one that is not.
                for late in dice.choice([[0], [0], [3_000], [0, 200_000], [15_000, 900_000], [0, 3_599_999]])
            ),
            after=dice.choice([100, 2000, 2000, 9_000, 30_000 if dice.random() < 0.2 else 0]),
        )
    wanted, states = [], {}
    for r in log.records:
        for target, time, ok, latency in work.samples(r.value):
            held = states.setdefault(target, work.fresh())
            for number, _ in work.fold(held, time, ok, latency, r.time // 10_000):
                wanted.append((work.RULES[number], target, held["holds"][number], r.offset, time))
    assert take(fold(REFERENCE), log.records) == wanted
    assert take(fold(REFERENCE), log.records, dice) == wanted
    assert len(wanted) > 50


def test_status_follows_rules_and_the_one_before_is_known():
    """Unhealthy by a critical rule, degraded by a warning or a failed check, healthy otherwise; rules may look at it."""
    rules = [
        rule("down", value=2, severity="critical"),
        rule("slow", "latency", ">", 100.0, severity="warning"),
        rule("sick", "status", "==", "unhealthy", severity="critical"),
        Rule.model_validate({"name": "back", "transition": {"from": "unhealthy", "to": "healthy"}}),
        Rule.model_validate({"name": "worse", "transition": {"from": ["healthy", "degraded"], "to": "unhealthy"}}),
    ]
    one, log, seen = fold(rules), Log(), []
    for ok, latency in (
        (True, 1),
        (True, 200),
        (False, 1),
        (False, 1),
        (False, 1),
        (True, 1),
        (True, 1),
        (False, 1),
        (True, 1),
    ):
        outcome = one.take([log(("t", ok, latency), after=1)])
        flag = one.state.targets.flag[0]
        seen.append(
            (int(flag[state.STATUS]), int(flag[state.PREVIOUS]), [(r, h) for r, _, h, _, _ in told(one, outcome)])
        )
    healthy, degraded, unhealthy, unknown = range(4)
    assert seen == [
        (healthy, unknown, []),
        (degraded, healthy, [("slow", True)]),
        (degraded, healthy, [("slow", False)]),
        (unhealthy, degraded, [("down", True), ("sick", True), ("worse", True)]),
        (unhealthy, degraded, []),
        (healthy, unhealthy, [("down", False), ("sick", False), ("back", True), ("worse", False)]),
        (healthy, unhealthy, []),
        (degraded, healthy, [("back", False)]),
        (healthy, degraded, []),
    ]
    assert one.state.targets.num[0, state.SINCE] == float(log.now)


def test_rules_look_at_whom_they_match():
    """A rule is judged for the targets whose labels it matches, and for no other."""
    rules = [rule("web", value=1, match=["tier=web"]), rule("all", value=1)]
    one = fold(rules, labels_of=lambda t: {"target": t, "tier": t[:3]})
    found = told(one, one.take([record(0, START, ("web1", START, False, 1.0), ("db1", START, False, 1.0))]))
    assert [f[:2] for f in found] == [("web", "web1"), ("all", "web1"), ("all", "db1")]


def test_text_of_a_failure_comes_with_its_finding_and_goes_with_the_next_good_one():
    """The status and message of the sample that decided are the finding's; a later sample without any drops the target's."""
    one = fold([rule("down", value=1)])
    outcome = one.take(
        [record(0, START, ("t", START, False, 1.0), ("u", START, True, 1.0), details=[(0, "503", "é" * 3000)])]
    )
    (change,) = outcome.changes
    assert change.text == ("503", "é" * 2000)
    assert one.text == {0: ("503", "é" * 2000)}
    assert held(one)[0].text == change.text
    one.take([record(1, START, ("t", START + 1, True, 1.0))])
    assert one.text == {}


def test_declared_baseline_counts_before_the_learnt_one():
    """A ratio is to what the configuration declares, from the first sample on."""
    rules = [rule("slow", "latency", ">=", 2.0, aggregate="ratio", window="1m")]
    one = fold(rules, declared={"t": Declared(50.0, None)})
    (change,) = one.take([record(0, START, ("t", START, True, 100.0), ("u", START, True, 100.0))]).changes
    assert (one.name_of(change.target), change.baseline) == ("t", 50.0)


def test_grows_in_the_middle_of_a_record_as_if_it_had_always_been_large():
    """Thousands of new targets with metrics in one record, and many records: nothing is counted twice or lost in growing."""
    rules = [rule("down", value=1), rule("hot", "m7", ">", 5.0)]
    names, metrics = [f"t{i}" for i in range(3000)], {f"m{k}": [float(k)] * 3000 for k in range(10)}
    rows = [(n, START, i % 2 == 0, 10.0, 1) for i, n in enumerate(names)]
    one, roomy = fold(rules), fold(rules)
    roomy.reserve(50_000, 5_000)
    records = [record(i, START + i, *[(*r[:4], i) for r in rows], metrics=metrics) for i in range(3)]
    found = take(one, records)
    assert found == take(roomy, records)
    assert len(found) == 1500 + 3000
    assert [counts(one, n) for n in names[::500]] == [counts(roomy, n) for n in names[::500]] == [(3, 0)] * 6
    rows = int(one.state.clock[state.ROWS])
    assert rows == 33_000
    assert np.array_equal(one.state.ring.part[:, :rows], roomy.state.ring.part[:, :rows], equal_nan=True)


def test_metrics_beyond_reason_are_refused():
    """No more than 500 metrics in a batch; a partition that knows 50,000 names refuses further ones and goes on with those."""
    one = fold()
    many = {f"m{i}": [1.0] for i in range(501)}
    assert refused(one.take([record(0, START, ("t", START, True, 1.0), metrics=many)])) == [
        (0, "oversized_batch", None)
    ]
    for k in range(99):
        some = {f"k{k}-{i}": [] for i in range(500)}
        assert not one.take([record(k + 1, START, metrics=some)]).refused
    last = {f"k99-{i}": [] for i in range(500)}
    assert [r for _, r, _ in refused(one.take([record(200, START, metrics=last)]))] in (["too_many_metrics"], [])
    assert len(one.metric_names) <= 50_000
    assert not one.take([record(201, START, ("t", START, True, 1.0), metrics={"k0-0": [5.0]})]).refused
    assert counts(one, "t")[0] == 1
