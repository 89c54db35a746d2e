"""A partition's state read back under another configuration."""

from __future__ import annotations

import re

import pytest

from streams import blocks
from streams.admission import Declared
from streams.findings import ceased
from streams.kernel import state
from streams.rules import Rule
from streams.seeing import held, let_go
from tests.kit.folding import SETS, START, Log, fold, record, rule, tick, told
from tests.unit.streams.test_blocks import records_of

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
DOWN, HOT, ODD = (
    rule("down", value=2, severity="critical"),
    rule("hot", "cpu", ">", 90.0, recover=80.0),
    rule("odd", "latency", ">", 3.0, aggregate="robust"),
)
GROUPED = rule("web", value=1, match=["tier=web"])


def reloaded(before, after, more=(), **how):
    """A fold of target t, down and hot, written under the rules `before` and read under `after`."""
    one = fold(before)
    one.take([record(i, START + i, ("t", START + i, False, 500.0), metrics={"cpu": [95.0]}) for i in range(30)])
    again = fold(after, **how)
    blocks.load(again, dict(blocks.dump(one)))
    return one, again


def holding(one):
    return {one.conditions.names[c.rule] for c in held(one)}


def test_removed_rule_holds_no_more():
    """A rule that is gone is forgotten; those that stay go on holding, and the status is theirs."""
    one, again = reloaded([DOWN, HOT, ODD], [HOT])
    assert (holding(one), holding(again)) == ({"down", "hot"}, {"hot"})
    later = START + 100
    assert told(again, again.take([record(30, later, ("t", later, True, 1.0), metrics={"cpu": [70.0]})])) == [
        ("hot", "t", False, 30, float(later))
    ]
    assert again.state.targets.flag[0, state.STATUS] == state.HEALTHY


def test_added_rule_begins_with_the_next_sample():
    """A rule that is new begins as if it had always been there, over windows that were kept before it."""
    rate = rule("errors", "error_rate", ">", 0.9, window="5m", min_samples=20)
    _, again = reloaded([HOT], [rate, DOWN, HOT, ODD])
    assert holding(again) == {"hot"}
    later = START + 100
    found = told(again, again.take([record(30, later, ("t", later, False, 500.0))]))
    assert [f[:3] for f in found] == [("errors", "t", True), ("down", "t", True)]


def test_changed_rule_ends_where_it_no_longer_holds():
    """A rule with another threshold holds until its first sample says otherwise, and is told to end then."""
    _, again = reloaded([DOWN, HOT], [rule("down", value=50, severity="critical"), HOT])
    assert holding(again) == {"down", "hot"}
    later = START + 100
    assert told(again, again.take([record(30, later, ("t", later, False, 500.0))])) == [
        ("down", "t", False, 30, float(later))
    ]


def test_rule_with_other_conditions_is_judged_anew():
    """A rule of the same name that looks at something else takes no condition's memory for its own."""
    parts = [{"metric": "cpu", "operator": ">", "value": 90}, {"metric": "latency", "operator": ">", "value": 1}]
    hot = Rule.model_validate({"name": "hot", "all": parts})
    _, again = reloaded([DOWN, HOT], [hot])
    later = START + 100
    assert told(again, again.take([record(30, later, ("t", later, True, 5.0), metrics={"cpu": [85.0]})])) == [
        ("hot", "t", False, 30, float(later))
    ]


def test_rule_that_no_longer_matches_holds_no_more():
    """A rule that matches other targets now does not hold for those it has left."""
    _, again = reloaded([rule("web", value=1), HOT], [GROUPED, HOT])
    assert holding(again) == {"hot"}


def test_target_that_left_the_configuration_is_judged_no_more():
    """A target that is no longer known neither holds nor begins anything, by time either, and comes back as it was."""
    gone = rule("gone", "absent", ">", 60.0)
    _, again = reloaded([DOWN, gone], [DOWN, gone], known=lambda _: False)
    assert holding(again) == set()
    assert again.take([tick(30 + i, START + i * 10_000) for i in range(20)]).changes == []


def test_declared_baseline_is_the_configurations():
    """What is declared normal is what the configuration says now, not what it said when the state was written."""
    slow = rule("slow", "latency", ">=", 2.0, aggregate="ratio", window="1m")
    one = fold([slow], declared={"t": Declared(500.0, 0.1)})
    one.take([record(0, START, ("t", START, True, 100.0))])
    again = fold([slow], declared={"t": Declared(50.0, None)})
    blocks.load(again, dict(blocks.dump(one)))
    (change,) = again.take([record(1, START + 1, ("t", START + 1, True, 100.0))]).changes
    assert change.baseline == 50.0


def test_scores_are_kept_where_others_are_added():
    """A score that some rule looked at goes on from where it was, though the rules around it change."""
    robust = rule("robust", "latency", ">", 3.0, aggregate="robust")
    change, flat = (
        rule("change", "latency", ">", 3.0, aggregate="change"),
        rule("flat", "latency", ">", 30.0, aggregate="flat"),
    )
    log = [record(i, START + i * 1000, ("t", START + i * 1000, True, 100.0 + i % 7)) for i in range(200)]
    rest = [
        record(i, START + i * 1000, ("t", START + i * 1000, True, 120.0 if i == 210 else 100.0 + i % 7))
        for i in range(200, 250)
    ]
    whole, one = fold([robust]), fold([robust, flat])
    whole.take(log)
    one.take(log)
    again = fold([change, robust])
    blocks.load(again, dict(blocks.dump(one)))
    wanted = told(whole, whole.take(rest))
    assert len(wanted) == 2
    assert [f for f in told(again, again.take(rest)) if f[0] == "robust"] == wanted


def test_quantiles_switched_off_and_on_again_do_no_harm():
    """A state with sketches is read without them, and one without them is read with them."""
    rules = SETS["quantiles"]
    records = records_of(1, 60)
    one, off, on = fold(rules), fold(rules, quantiles=False), fold(rules)
    one.take(records[:20])
    blocks.load(off, dict(blocks.dump(one)))
    assert off.take(records[20:40]).changes == []
    blocks.load(on, dict(blocks.dump(off, everything=True)))
    on.take(records[40:])
    assert on.offset == 59


@pytest.mark.parametrize(
    ("edited", "goes_on"),
    [
        (rule("r", "latency", ">", 5000.0), True),  # judged by the next sample
        (rule("r", "cpu", ">", 50.0), True),
        (rule("r", "latency", ">", 90.0, aggregate="mean", window="1m", min_samples=1), True),
        (rule("r", "queue.depth", ">", 90.0), False),
        (Rule(name="r", any=["latency > 90", "queue.depth > 1"]), True),
        (Rule(name="r", all=["latency > 90", "queue.depth > 1"]), False),
        (Rule(name="r", alerts=["other"]), False),
    ],
)  # fmt: skip
def test_what_a_rule_does_not_look_at_any_more_does_not_keep_it_up(edited, goes_on):
    """Edited to look at what is not known of the target, a rule has ceased there, and that is told; else it goes on."""
    log, old = Log(), fold([rule("r", "latency", ">", 90.0, severity="critical")])
    log(("t", True, 100.0), metrics={"cpu": [80]})
    old.take(log.records)
    fresh = fold([edited])
    blocks.rebuild(old, fresh)
    assert [c.holds for c in ceased(old, fresh)] == ([] if goes_on else [False])
    assert len(held(fresh)) == goes_on
    assert fresh.state.targets.place[0, state.CRITICALS] == 0  # none of these is critical, and neither is any left
    assert fresh.state.dirty.names.all()  # all of it is stored anew


def test_only_what_has_ceased_is_looked_at(monkeypatch):
    """With all targets down, millions hold as before: an edit of one rule must not stand still for what they see."""
    one, again = reloaded([DOWN, HOT], [DOWN, HOT])
    assert holding(one) == holding(again) == {"down", "hot"}
    monkeypatch.delattr("streams.seeing.as_seen")
    monkeypatch.delattr("streams.findings.as_seen")
    assert ceased(one, again) == []


@pytest.mark.parametrize("verified", [0, 3])
def test_what_was_edited_while_nothing_ran_ends_as_if_it_had_run(verified):
    """Read under a rule that asks for what is not known, what held has ceased, once: what is stored next says so."""
    log = Log()
    wanted = {"resolve": {"samples": verified}} if verified else {}
    before = rule("r", "latency", ">", 90.0, severity="critical", **wanted)
    old = fold([before, rule("other", "latency", ">", 90.0)])
    log(("t", True, 100.0), ("u", True, 10.0), metrics={"cpu": [80, 80]})
    if verified:
        log(("t", True, 10.0))  # it is being verified that it has ceased
    old.take(log.records)
    stored = dict(blocks.dump(old))
    fresh = fold(
        [rule("r", "queue.depth", ">", 90.0, severity="critical", **wanted), rule("other", "latency", ">", 9.0)]
    )
    blocks.load(fresh, stored)
    assert [(fresh.name_of(c.target), fresh.rules[c.rule].name, c.holds) for c in let_go(fresh)] == [("t", "r", False)]
    assert "r" not in holding(fresh)
    assert fresh.state.targets.place[0, state.CRITICALS] == 0
    again = fold(fresh.rules)
    blocks.load(again, stored | dict(blocks.dump(fresh)))
    assert not let_go(again)
    assert holding(again) == holding(fresh)
    same = fold(old.rules)
    blocks.load(same, stored)
    assert not let_go(same)
    assert (holding(same), len(held(same, verifying=True))) == (holding(old), len(held(old, verifying=True)))


def test_what_an_earlier_program_stored_holds_on():
    """Entries that do not say what was asked are those of a program that did not write it: nothing of theirs ends."""
    one = fold([rule("r", "latency", ">", 90.0)])
    one.take([record(0, START, ("t", START, True, 100.0))])
    marked = dict(blocks.dump(one))
    entries = {key: re.sub(rb'"asks":\[\[0,\d+\]\],', _as_long, value) for key, value in marked.items()}
    assert entries != marked
    again = fold([rule("r", "queue.depth", ">", 90.0)])
    blocks.load(again, entries)
    assert holding(again) == {"r"}


def _as_long(found):
    """The place of `asks`, which is read by its length, with a word that nobody looks for."""
    return b'"x":"' + b"-" * (len(found[0]) - 7) + b'",'
