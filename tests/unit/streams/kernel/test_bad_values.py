"""What no score may be led astray by: values and times that cannot be, or that hardly ever are."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from streams import blocks
from streams.kernel import state
from tests.kit.folding import START, fold, record, refused, rule, told

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
HOUR, DAY = 3_600_000, 86_400_000
LEVELS = {"zscore": 4.0, "robust": 5.0, "change": 8.5, "seasonal_change": 8.5, "flat": 0.0}
RULES = [
    *(rule(f"{score} of {m}", m, ">", level, aggregate=score) for score, level in LEVELS.items() for m in ("latency", "m")),
    rule("soon", "m", "<", 600.0, aggregate="forecast", limit=200.0),
    rule("ratio", "latency", ">", 2.0, aggregate="ratio", window="5m"),
    rule("surprise", "error_rate", ">", 5.0, aggregate="surprise", window="5m"),
]  # fmt: skip


def good(dice, i):
    """An ordinary latency, a value of a metric, and now and then a failure; a disturbance at the end."""
    odd = 3.0 if i > 260 else 1.0
    return (
        dice.random() < (0.98 if i < 280 else 0.3),
        round(odd * dice.gauss(100, 5), 2),
        round(odd * dice.gauss(50, 2), 2),
    )


BAD = {
    "an infinite latency": lambda now: ((now, True, math.inf), 50.0),
    "a negative latency": lambda now: ((now, True, -5.0), 50.0),
    "minus infinity": lambda now: ((now, True, -math.inf), 50.0),
    "a latency beyond reason": lambda now: ((now, True, 1e300), 50.0),
    "a value beyond reason": lambda now: ((now, True, 100.0), 1e300),
    "a negative value beyond reason": lambda now: ((now, True, 100.0), -1e300),
    "an infinite value": lambda now: ((now, True, 100.0), math.inf),
    "a clock two hours ahead": lambda now: ((now + 2 * HOUR, True, 100.0), 50.0),
    "a clock two hours behind": lambda now: ((now - 2 * HOUR, True, 100.0), 50.0),
    "no time": lambda now: ((math.nan, True, 100.0), 50.0),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused_and_leaves_every_score_as_it_was(bad):
    """With such samples between them, good samples lead to the same findings and, but for the offset, the same state."""
    dice, other = random.Random(1), random.Random(1)
    clean, dirty = fold(RULES), fold(RULES)
    found, wanted = [], []
    for i in range(300):
        now = START + i * 30_000
        ok, latency, value = good(dice, i)
        assert good(other, i) == (ok, latency, value)
        rows, values = [("t", now, ok, latency)], [value]
        wanted += told(clean, clean.take([record(i, now, *rows, metrics={"m": values})]))
        if i % 7 == 3 or i > 250:
            row, metric = bad(now)
            at = i % 2
            rows.insert(at, ("t", *row))
            values.insert(at, metric)
        outcome = dirty.take([record(i, now, *rows, metrics={"m": values})])
        assert len(refused(outcome)) == len(rows) - 1
        found += told(dirty, outcome)
    assert found == wanted
    assert {f[0] for f in found if f[2]} >= {"zscore of latency", "change of m", "robust of m", "ratio", "surprise"}
    assert dict(blocks.dump(clean, everything=True)) == dict(blocks.dump(dirty, everything=True))


def test_nothing_measured_is_no_value():
    """A latency or a value that is not a number counts as a sample; no score learns from it or is told of it."""
    dice, clean, dirty = random.Random(2), fold(RULES), fold(RULES)
    for i in range(300):
        now = START + i * 30_000
        ok, latency, value = good(dice, i)
        clean.take([record(2 * i, now, ("t", now, ok, latency), metrics={"m": [value]})])
        dirty.take([record(2 * i, now, ("t", now, ok, latency), metrics={"m": [value]})])
        dirty.take([record(2 * i + 1, now, ("t", now, True, math.nan), metrics={"m": [math.nan]})])
    for at in range(2):
        learnt, other = clean.state.series.num[at, state.ALWAYS :], dirty.state.series.num[at, state.ALWAYS :]
        latest = [cell - state.ALWAYS for cell, _ in _latest(clean)]
        np.testing.assert_array_equal(np.delete(learnt, latest), np.delete(other, latest))


def _latest(one):
    """Columns that hold the latest score, with the score's number."""
    return [(int(one.state.layout[entry]), entry) for entry, _ in state.SCORE_SIZES if entry != state.FORECAST]


@pytest.mark.parametrize("huge", [9.9e29, -9.9e29])
def test_the_greatest_that_is_taken_leaves_every_score_a_number(huge):
    """Values as large as are accepted, once or always, overflow nothing; ordinary ones are learnt again after them."""
    one, dice = fold(RULES), random.Random(3)
    for i in range(700):
        now = START + i * 30_000
        wild = i < 3 or 200 < i < 205 or 300 < i < 400
        value = huge if wild else dice.gauss(50, 2)
        one.take([record(i, now, ("t", now, True, 1e9 if wild else dice.gauss(100, 5)), metrics={"m": [value]})])
        held = one.state.series.num[:2, state.ALWAYS :]
        assert not np.isinf(held).any(), i
    holding = {RULES[r].name for r in np.flatnonzero(one.state.targets.holds[0])}
    assert not {name for name in holding if not name.startswith("flat")}


@pytest.mark.parametrize("value", [0.0, 1e-30, 5.0, 1e9])
def test_a_constant_is_never_an_anomaly(value):
    """A value that does not move, for weeks, leads to no finding, whatever it is."""
    one, found = fold(RULES), []
    for i in range(4 * 7 * 24):
        now = START + i * HOUR
        found += told(one, one.take([record(i, now, ("t", now, True, value), metrics={"m": [value]})]))
    assert found == []


def test_one_sample_a_day_is_enough_to_notice_a_change():
    """A job that runs once a day has its scores too, after twenty days and forty; one twice as slow is found at once."""
    one, dice, found = fold(RULES), random.Random(4), []
    for i in range(120):
        now, odd = START + i * DAY, 2.0 if i >= 110 else 1.0
        found += told(
            one, one.take([record(i, now, ("t", now, True, odd * dice.gauss(100, 5)), metrics={"m": [50.0 + i % 3]})])
        )
    begun = {f[0]: f[3] for f in found if f[2]}
    assert begun.keys() == {
        "zscore of latency",
        "robust of latency",
        "change of latency",
        "seasonal_change of latency",
        "ratio",
    }
    assert set(begun.values()) <= {110, 111, 112}


def test_probes_whose_clocks_differ_within_reason_are_all_counted():
    """Samples up to an hour late or a minute early change no score of what came after them, nor lead to findings."""
    one, dice, found = fold(RULES), random.Random(5), []
    for i in range(600):
        now = START + i * 30_000
        at = now + dice.choice([0, 0, 0, 59_000, -600_000, -3_500_000])
        found += told(
            one, one.take([record(i, now, ("t", at, True, dice.gauss(100, 5)), metrics={"m": [dice.gauss(50, 2)]})])
        )
    assert [f for f in found if not f[0].startswith(("zscore", "soon"))] == []


@pytest.mark.parametrize("number", [math.inf, 1e300, 2.0**64])
def test_sequence_beyond_any_number_makes_no_duplicate(number):
    """A probe whose numbers are beyond 64 bits has none: each of its samples counts."""
    one = fold()
    one.take([record(i, START + i, ("a", START + i, True, 1.0, number)) for i in range(3)])
    assert one.state.clock[state.DUPLICATES] == 0
    one.take([record(i, START + i, ("a", START + i, True, 1.0, 7.0)) for i in range(3, 5)])
    assert one.state.clock[state.DUPLICATES] == 1
