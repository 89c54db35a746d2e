"""A partition folded: replays, recovery, rules, status."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import SampleBatch, encode
from schemas.columnar import TargetLists, read
from streams import blocks
from streams.fold import Fold, _turns
from streams.rules import Rule
from streams.samples import columns_of
from streams.series import STATUS

RULES = (
    Rule(name="down", metric="consecutive_failures", operator=">=", value=2, severity="critical"),
    Rule(name="errors", metric="error_rate", window="1m", value=0.5, min_samples=4),
    Rule(name="slow", metric="latency", aggregate="ratio", window="1m", value=2),
    Rule(name="odd", metric="latency", aggregate="zscore", value=4, severity="info"),
    Rule(name="hot", metric="cpu", operator="greaterThan", value=90),
)
T0 = 1_700_000_000_000.0


def columns(batch: SampleBatch, most: int):
    """The batch as detect reads it from the wire."""
    return columns_of(read(encode(batch), TargetLists()), most)


def make(partition: int = 0, rules=RULES, declared=None) -> Fold:
    return Fold(partition, rules, lambda t: {"target": t}, declared or {}, 5000.0)


def batch(targets, ok=True, latency=10.0, at=T0, cpu=None, **more) -> SampleBatch:
    n = len(targets)
    metrics = [] if cpu is None else [{"name": "cpu", "value": cpu}]
    return SampleBatch(
        probe="p", target=list(targets), time=[at] * n, ok=[ok] * n if isinstance(ok, bool) else ok,
        latency_ms=[latency] * n if isinstance(latency, float) else latency, metrics=metrics, **more,
    )  # fmt: skip


def put(fold: Fold, one: SampleBatch, offset: int, at: float = T0):
    some = columns(one, 10_000)
    return fold.fold(some, np.ones(len(one.target), np.bool_), offset, at)


def same(a: Fold, b: Fold) -> None:
    """Assert that two states are equal to the last bit."""
    assert (a.offset, a.panes.head, a.series.names, a.series.text) == (
        b.offset,
        b.panes.head,
        b.series.names,
        b.series.text,
    )
    rows = len(a.series)
    for name, column in a.series.columns.items():
        assert column[:rows].tobytes() == b.series[name][:rows].tobytes(), name
    for name, ring in a.panes.columns.items():
        assert np.array_equal(ring[:, :rows], b.panes.columns[name][:, :rows], equal_nan=True), name
    for window, sums in a.panes._closed.items():
        for name, column in sums.items():
            assert column[:rows].tobytes() == b.panes._closed[window][name][:rows].tobytes(), (window, name)
    assert np.array_equal(a.rulebook.holds, b.rulebook.holds)


def test_rule_begins_and_ceases_once():
    """A rule that goes on holding is told once, and once more when it ceases."""
    fold = make(rules=RULES[:1])
    seen = []
    for i, ok in enumerate([True, False, False, False, True, True]):
        at = T0 + i * 1000
        seen.append([(c.rule.name, c.holds) for c in put(fold, batch(["a"], ok=ok, at=at), i, at).changes])
    assert seen == [[], [], [("down", True)], [], [("down", False)], []]


def test_too_few_samples_judge_nothing():
    """A rule with min_samples waits for them, and one failure of two is no 50 % outage."""
    fold = make()
    outcomes = [
        put(fold, batch(["a"], ok=ok), i).changes for i, ok in enumerate([False, True, True, False, False, True])
    ]
    assert [c.rule.name for c in outcomes[1]] == []
    assert [(c.rule.name, c.holds) for c in outcomes[4]] == [("down", True), ("errors", True)]
    assert outcomes[4][1].value == pytest.approx(0.6)


def test_declared_baseline_counts_at_once():
    """A declared baseline needs no grace period."""
    fold = make(declared={"a": 10.0})
    changes = put(fold, batch(["a", "b"], latency=25.0), 0).changes
    assert [(c.rule.name, fold.series.names[c.row][0], c.value) for c in changes] == [("slow", "a", 2.5)]


def test_metric_of_a_sample_is_a_series_of_its_own():
    """A rule on a metric that samples carry is judged on that metric, for the targets that have it."""
    fold = make()
    changes = put(fold, batch(["a", "b", "c"], cpu=[95.0, 20.0, float("nan")]), 0).changes
    assert [(c.rule.name, fold.series.names[c.row]) for c in changes] == [("hot", ("a", "cpu"))]
    assert fold.series.find("c", "cpu") is None
    assert STATUS[fold.series["status"][fold.series.find("a")]] == "degraded"


def test_status_follows_the_worst_rule():
    """A critical rule makes a target unhealthy, a warning or a failed check degraded, and success heals it."""
    fold, states = make(), []
    for i, ok in enumerate([True, False, False, True]):
        put(fold, batch(["a"], ok=ok, at=T0 + i), i)
        states.append(STATUS[fold.series["status"][0]])
    assert states == ["healthy", "degraded", "unhealthy", "healthy"]


def test_health_is_told_on_change_and_now_and_then():
    """Health is told at once when the status changes, else at most every health_every_ms."""
    fold = make()
    told = [put(fold, batch(["a"], ok=ok, at=at), i, at).health for i, (ok, at) in enumerate(
        [(True, T0), (True, T0 + 1000), (False, T0 + 2000), (False, T0 + 2500), (False, T0 + 3000), (False, T0 + 9000)]
    )]  # fmt: skip
    assert told == [[0], [], [0], [0], [], [0]]


def test_health_held_back_is_told_when_due():
    """The last of several quick samples is told too, once its time has come."""
    fold = make()
    put(fold, batch(["a", "b"], at=T0), 0, T0)
    put(fold, batch(["a"], at=T0 + 1000), 1, T0 + 1000)
    assert fold.status.overdue(T0 + 4999) == []
    assert fold.status.overdue(T0 + 5000) == [0]
    assert fold.status.overdue(T0 + 60_000) == []


def test_sample_older_than_the_latest_changes_no_latest_value():
    """A sample that comes out of order is counted in its pane and leaves the latest values alone."""
    fold = make()
    put(fold, batch(["a"], latency=10.0, at=T0), 0)
    put(fold, batch(["a"], ok=False, latency=99.0, at=T0 - 20_000), 1)
    assert fold.series["value"][0] == 10.0
    assert fold.series["failures"][0] == 0
    assert fold.panes.window(60.0, np.array([0])).count[0] == 2


def test_text_of_the_last_failure_goes_with_the_next_success():
    """The message of a failure is kept until a sample without one."""
    fold = make()
    put(fold, batch(["a"], ok=False, details=[{"row": 0, "status": "503", "message": "no"}]), 0)
    assert fold.series.text == {0: ("503", "no")}
    put(fold, batch(["a"]), 1)
    assert fold.series.text == {}


RECORD = st.tuples(
    st.integers(0, 40_000),
    st.lists(
        st.tuples(st.sampled_from("abcdefg"), st.booleans(), st.sampled_from([1.0, 9.5, 300.0, float("nan")])),
        max_size=6,
    ),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(RECORD, min_size=2, max_size=12), st.data())
def test_recovery_anywhere_leads_to_the_same_state(records, data):
    """A state written at any record, read back and fed the rest is equal to one that never stopped, and so are its findings."""
    ones, at = [], T0
    for forward, samples in records:
        at += forward
        one = SampleBatch(
            probe="p", target=[s[0] for s in samples], time=[at - 500.0 * i for i in range(len(samples))],
            ok=[s[1] for s in samples], latency_ms=[s[2] for s in samples],
            metrics=[{"name": "cpu", "value": [s[2] for s in samples]}],
            details=[{"row": i, "status": "", "message": "x"} for i, s in enumerate(samples) if not s[1]],
        )  # fmt: skip
        ones.append((one, at))
    whole, entries, changes = make(), {}, []
    cut = data.draw(st.integers(1, len(ones) - 1))
    early = data.draw(st.integers(1, cut))
    for i, (one, when) in enumerate(ones):
        if i in (early, cut):
            entries.update(blocks.dump(whole))
            whole.dirty = type(whole.dirty)()
        if i == cut:
            changes.clear()
        changes += [(c.rule.name, c.row, c.holds, repr(c.value)) for c in put(whole, one, i, when).changes]
    again = make()
    blocks.load(again, dict(entries.items()))
    assert again.offset == cut - 1
    replayed = [
        (c.rule.name, c.row, c.holds, repr(c.value)) for i, (one, when) in enumerate(ones) if i > again.offset
        for c in put(again, one, i, when).changes
    ]  # fmt: skip
    same(whole, again)
    assert replayed == changes


def test_entries_of_other_partitions_are_passed_over():
    """One table holds several partitions; each reads its own entries."""
    one, two = make(0), make(1)
    put(one, batch(["a"]), 4)
    put(two, batch(["b", "c"]), 9)
    table = {**dict(blocks.dump(one)), **dict(blocks.dump(two))}
    again = make(1)
    blocks.load(again, table)
    same(two, again)


def test_entries_of_two_commits_are_refused():
    """A table whose entries disagree on how far they go is an error, never a guess."""
    fold = make()
    put(fold, batch(["a"]), 0)
    old = dict(blocks.dump(fold))
    put(fold, batch(["a"]), 1)
    new = dict(blocks.dump(fold))
    meta = max(old, key=lambda k: k[0] == blocks.META)
    with pytest.raises(blocks.StateError, match="record 1"):
        blocks.load(make(), {**new, meta: old[meta]})


def test_rule_that_is_gone_leaves_nothing_behind():
    """After a rule is taken out or narrowed, what it held is forgotten; the others keep theirs."""
    fold = make()
    for i in range(3):
        put(fold, batch(["a"], ok=False, at=T0 + i), i)
    table = dict(blocks.dump(fold))
    fewer = make(rules=(RULES[1], Rule(name="down", match=["target=b"], metric="consecutive_failures", value=1)))
    blocks.load(fewer, table)
    assert not fewer.rulebook.holds.any()
    again = make()
    blocks.load(again, table)
    assert again.rulebook.holds[0, 0]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_turns_keep_the_order_of_each_row(rows):
    """No turn has a row twice, every sample is in one turn, and a row's samples keep their order."""
    turns = _turns(np.array(rows, np.int64))
    assert sorted(i for t in turns for i in t.tolist()) == list(range(len(rows)))
    last: dict[int, int] = {}
    for turn in turns:
        picked = [rows[i] for i in turn.tolist()]
        assert len(picked) == len(set(picked))
        for i in turn.tolist():
            assert last.get(rows[i], -1) < i
            last[rows[i]] = i
