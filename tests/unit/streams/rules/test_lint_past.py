"""What rules did lately, as `probestream lint --history` judges it."""

from __future__ import annotations

import itertools
import math

from schemas import Alert
from streams.rules import Rule, expand
from streams.rules.lint import Episode, Past, lint

_IDS = itertools.count()
DAY_MS = 86_400_000.0


def told(past, rule, target, lasted_s, *, began=0.0, state="resolved"):
    """An alert that fired, and was over after so many seconds; None: it is not over."""
    common = {
        "id": f"a{next(_IDS)}", "rule": rule, "target": target, "previous": "", "reason": "x", "notify": True,
        "severity": "warning", "began": began,
    }  # fmt: skip
    past.take(Alert(**common, number=1, state="pending", at=began))
    past.take(Alert(**common, number=2, state="firing" if state == "resolved" else state, at=began, fired=began))
    if lasted_s is not None:
        end = began + lasted_s * 1000.0
        past.take(Alert(**common, number=3, state="resolved", at=end, fired=began, resolved=end))


def remarks(past, *rules):
    made = [Rule.model_validate({"metric": "latency", "window": "5m", "value": 1, **r}) for r in rules]
    found = lint(expand(made), (), complete=False, history=past)
    return [(r.level, r.code, r.rule, r.message) for r in found if r.code in ("flapped", "never-fired")]


def test_many_short_episodes_of_one_target_are_flapping():
    """With the worst target, how many others there are, and what the rule does not have yet."""
    past = Past(7 * 86_400.0)
    for target, count in (("shop", 12), ("db", 5), ("api", 6), ("box", 4)):
        for _ in range(count):
            told(past, "slow", target, 60)
    cure = "write for: 1m, or a recover threshold, or keep_firing_for: 5m"
    assert remarks(past, {"name": "slow"}) == [
        (
            "warning",
            "flapped",
            "slow",
            f"12 episodes of less than 5m on shop, and on 2 other targets, in 7d: {cure}",
        )
    ]
    assert remarks(past, {"name": "slow", "for": "2m", "recover": 0.5, "keep_firing_for": "1m"})[0][3].endswith(
        ": write for: 4m"
    )


def test_long_ones_and_few_ones_are_none():
    """Neither are those that go on, nor those that never fired."""
    past = Past(86_400.0)
    for _ in range(20):
        told(past, "slow", "shop", 300)
        told(past, "slow", "db", None)
        past.take(
            Alert(id=f"c{next(_IDS)}", number=1, state="cancelled", previous="pending", reason="x", notify=False,
                  rule="slow", target="api", severity="warning", at=1.0, began=0.0)
        )  # fmt: skip
    for _ in range(4):
        told(past, "slow", "x", 1)
    assert remarks(past, {"name": "slow"}) == []


def test_an_alert_that_was_told_as_flapping_is_one():
    """The damping made one alert of many episodes."""
    past = Past(86_400.0)
    told(past, "slow", "shop", 7200, state="flapping")
    assert remarks(past, {"name": "slow"})[0][3].startswith("was told as flapping on shop, in 1d: write ")


def test_a_rule_that_never_fired_is_a_note():
    """It may be as it should: a note is no warning."""
    past = Past(7 * 86_400.0)
    told(past, "slow", "shop", 3600)
    assert [r[:3] for r in remarks(past, {"name": "slow"}, {"name": "never", "value": 9})] == [
        ("note", "never-fired", "never")
    ]


def test_without_a_history_nothing_is_said_of_it():
    """Nor asked."""
    assert remarks(None, {"name": "slow"}) == []


def test_what_a_rule_did_before_it_was_changed_is_not_its_own():
    """Episodes of the former version are left out, and the time is that since the change."""
    past = Past(7 * 86_400.0, DAY_MS, {"slow": DAY_MS / 2, "next": DAY_MS * 2})
    for _ in range(6):
        told(past, "slow", "shop", 60)
        told(past, "next", "shop", 60)
    assert [(r[1], r[3].split(":")[0]) for r in remarks(past, {"name": "slow"}, {"name": "next"})] == [
        ("never-fired", "has not fired in 12h since it was changed"),
        ("never-fired", "is not in force as it is here, and there are no samples to try it on"),
    ]
    for _ in range(6):
        told(past, "slow", "shop", 60, began=DAY_MS * 0.6)
    assert remarks(past, {"name": "slow"})[0][3].startswith("6 episodes of less than 5m on shop, in 12h since it was ")


def test_a_changed_rule_answers_for_what_it_would_have_done():
    """Its episodes are those of a replay of the samples; of a rule without any, that it would not have fired."""
    short = [Episode("slow", "shop", 1.0, 2.0)] * 5
    there = {"slow": {"shop": short}, "next": {}, "damped": {"db": [Episode("damped", "db", 1.0, None, flapped=True)]}}
    past = Past(7 * 86_400.0, DAY_MS, dict.fromkeys(there, math.inf), there, 86_400.0)
    assert [(r[1], r[3].split(":")[0]) for r in remarks(past, *({"name": n} for n in there))] == [
        ("flapped", "as it is now, it would have had 5 episodes of less than 5m on shop, in 1d of samples"),
        ("never-fired", "as it is now, it would not have fired in 1d of samples"),
        ("flapped", "as it is now, it would have been told as flapping on db, in 1d of samples"),
    ]
