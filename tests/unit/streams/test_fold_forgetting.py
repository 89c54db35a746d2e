"""Targets that fell silent."""

from __future__ import annotations

import psutil
import pytest

from streams.kernel import state
from streams.partition_state import Limits
from streams.seeing import held
from tests.kit.folding import START, fold, record, refused, rule, tick, told

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
HOUR = 3_600_000


def silent_for(ms, **more):
    return Limits(forget_ms=float(ms), **more)


def test_silent_target_is_forgotten_and_what_held_is_told():
    """At a full hour, targets silent for long are given up: their rules are told to hold no more, by their own names."""
    one = fold([rule("down", value=1)], limits=silent_for(2 * HOUR))
    one.take([record(0, START, *((n, START, False, 1.0) for n in "abc"), details=[(0, "500", "no")])])
    assert one.text
    found = [
        f
        for i in range(1, 40)
        for f in told(one, one.take([record(i, START + i * HOUR // 10, ("b", START + i * HOUR // 10, False, 1.0))]))
    ]
    gone = (START // HOUR + 3) * HOUR
    assert [(r, t, holds) for r, t, holds, _, _ in found] == [("down", "a", False), ("down", "c", False)]
    assert {gone <= t < gone + HOUR // 10 for *_, t in found} == {True}
    assert (one.targets, one.text) == (1, {})
    assert one.memory.names == ["b"]
    assert [one.name_of(c.target) for c in held(one)] == ["b"]


def test_forgotten_target_that_comes_again_is_a_new_one():
    """Nothing of what a target was is left in what it, or another that takes its place, becomes."""
    log = [
        record(
            i,
            START + i * 60_000,
            ("old", START + i * 60_000, False, 900.0, i),
            metrics={"cpu": [99.0]},
            details=[(0, "500", "no")],
        )
        for i in range(30)
    ]
    rules = [
        rule("down", value=2),
        rule("p95", "latency", ">", 500.0, aggregate="p95", window="5m"),
        rule("hot", "cpu", ">", 90.0),
        rule("gone", "absent", ">", 1e9),
    ]
    later = START + 30 * HOUR
    for name in ("old", "new"):
        one, other = fold(rules, limits=silent_for(24 * HOUR)), fold(rules, limits=silent_for(24 * HOUR))
        one.take(log)
        again = [
            record(30 + i, later + i * 1000, (name, later + i * 1000, i % 3 > 0, 10.0, i), metrics={"cpu": [20.0]})
            for i in range(200)
        ]
        found = told(one, one.take(again))
        assert [f[:3] for f in found[:3]] == [("down", "old", False), ("p95", "old", False), ("hot", "old", False)]
        assert found[3:] == told(other, other.take(again))
        places = [
            int(f.state.targets.place[f.memory.target_of[f.memory.number[name]], state.MAIN]) for f in (one, other)
        ]
        for kept in ("num",):
            assert (
                getattr(one.state.series, kept)[places[0]].tobytes()
                == getattr(other.state.series, kept)[places[1]].tobytes()
            )
        ring = [f.state.ring for f in (one, other)]
        assert ring[0].part[:, places[0]].tobytes() == ring[1].part[:, places[1]].tobytes()
        assert ring[0].total[:, places[0]].tobytes() == ring[1].total[:, places[1]].tobytes()


def test_configured_target_is_not_forgotten():
    """A target that the configuration names stays absent for as long as it is; it does not become well by being forgotten."""
    one = fold([rule("gone", "absent", ">", 60.0)], limits=silent_for(2 * HOUR))
    one.expect(["t"])
    found = [f for i in range(100) for f in told(one, one.take([tick(i, START + i * HOUR // 10)]))]
    assert [f[2] for f in found] == [True]
    assert one.targets == 1


def test_names_that_come_and_go_take_the_room_of_those_that_are_there():
    """Two hundred thousand names, each seen once, with a clock that moves: rows are used again and memory does not grow with names."""
    one = fold([rule("down", value=1)], limits=silent_for(2 * HOUR), most=100_000)
    cpu, batches, per = {"cpu": [1.0] * 500}, 400, 500
    before, told_ceased, began = 0, 0, 0
    for k in range(batches):
        now = START + k * HOUR // 10
        rows = [(f"pod-{k}-{i}", now, i > 0, 1.0) for i in range(per)]
        outcome = one.take([record(k, now, *rows, metrics=cpu if k % 100 == 0 else {})])
        assert not outcome.refused
        began += sum(c.holds for c in outcome.changes)
        told_ceased += sum(not c.holds for c in outcome.changes)
        if k == 160:
            before = psutil.Process().memory_info().rss
    assert len(one.memory.names) == one.targets < 17_500
    assert len(one.state.series.num) < 25_000
    assert began == batches
    assert told_ceased == batches - len(held(one))
    assert psutil.Process().memory_info().rss - before < 10e6


def test_names_that_never_were_targets_are_forgotten_too():
    """Names whose every sample is refused fill the partition for an hour, not for ever."""
    one = fold(most=100, limits=silent_for(24 * HOUR))
    one.take([record(0, START, *((f"t{i}", START - 2 * HOUR, True, 1.0) for i in range(100)))])
    assert [r for _, r, _ in refused(one.take([record(1, START + 1, ("good", START, True, 1.0))]))] == [
        "too_many_targets"
    ]
    assert one.take([record(2, START + HOUR, ("good", START + HOUR, True, 1.0))]).refused == []
