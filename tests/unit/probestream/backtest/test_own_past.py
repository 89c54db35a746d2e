"""Since when the rules of a file have been in force as they are."""

from __future__ import annotations

import math

from probestream.backtest.own_past import in_force_since
from streams.changes import Changes
from streams.control import FILE_UNKNOWN
from streams.rules import Rule, expand
from tests.kit.changes import change, written

SLOW = {"name": "slow", "metric": "latency", "value": 100.0}
FAST = SLOW | {"value": 50.0}


def since(rule: dict, *changes) -> dict[str, float]:
    return in_force_since(expand([Rule.model_validate(rule)]), Changes(written(*changes)))


def test_a_rule_that_nobody_changed_has_always_been():
    """It is left out; one that was set as the file has it now may have been another before."""
    assert since(SLOW) == {}
    assert since(SLOW, change(1, 10.0, FAST | {"name": "other"}, id="other")) == {}
    assert since(SLOW, change(1, 10.0, SLOW)) == {"slow": 10.0}
    assert since(SLOW, change(1, 10.0, SLOW, SLOW)) == {}


def test_a_rule_is_as_it_is_from_its_last_change_on():
    """Not from one that changed nothing; and not at all where something else is in force."""
    there = [change(1, 10.0, FAST), change(2, 20.0, SLOW, FAST), change(3, 30.0, SLOW, SLOW)]
    assert since(SLOW, *there) == {"slow": 20.0}
    assert since(FAST, *there) == {"slow": math.inf}
    assert since(SLOW, *there, change(4, 40.0, None, SLOW)) == {"slow": math.inf}


def test_a_threshold_is_a_change_of_the_rule():
    """Of a pair, for the two."""
    pair = {"name": "slow", "metric": "latency", "warning": 100.0, "critical": 500.0}
    other = change(1, 10.0, {"critical": 900.0}, kind="threshold")
    assert since(pair, other) == {"slow:critical": math.inf}
    back = change(2, 20.0, None, {"critical": 900.0}, kind="threshold")
    assert since(pair, other, back) == {"slow:critical": 20.0}


def test_what_is_not_known_does_not_count_as_its_own():
    """Before the first change of the file that somebody has seen, it may have been anything."""
    edited = change(1, 20.0, SLOW, actor="file", message=FILE_UNKNOWN)
    assert since(SLOW, edited) == {"slow": 20.0}
