"""Transitions that came, beside those that were wanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas import Alert
from streams.rule_tests.judge import in_order
from streams.rule_tests.model import Step
from streams.rule_tests.result import clock
from streams.units import seconds

STATES = ("pending", "firing", "resolved")
COMING = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(STATES)), max_size=7)


def came(at, state):
    return Alert(
        id="a", number=1, state=state, previous="", reason="x", notify=False, rule="r", target="t", severity="info",
        at=at * 1000.0, began=0.0,
    )  # fmt: skip


def wanted(at, state):
    return Step(at=at, rule="r", state=state)


def longest(one, other):
    """Length of the longest sequence that both have, by trying."""
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + longest(one[1:], other[1:])
    return max(longest(one[1:], other), longest(one, other[1:]))


@given(COMING, COMING)
def test_a_difference_keeps_all_that_both_have(want, got):
    """Every wanted and every got one is in it once, in order; the most that can be are in both; none if all is equal."""
    lines, met = in_order([wanted(*w) for w in want], [came(*g) for g in got], 0.0, 1.0)
    assert len(met) == longest(want, got)
    assert (lines == []) == (want == got)
    if lines:
        said = [(line[0], tuple(line[1:].split()[:2])) for line in lines]
        assert [s for sign, s in said if sign != "+"] == [(clock(at), state) for at, state in want]
        assert [s for sign, s in said if sign != "-"] == [(clock(at), state) for at, state in got]


def test_times_are_compared_to_the_tick():
    """What is due between two ticks happens at the later."""
    late = came(5.25, "firing")
    assert in_order([wanted(5, "firing")], [late], 0.0, 250.0) == ([], [late])
    assert in_order([wanted(5, "firing")], [late], 0.0, 249.0)[1] == []


@given(st.integers(0, 10**8))
def test_a_time_reads_back(hundredths):
    """As a duration, to a hundredth of a second."""
    assert round(seconds(clock(hundredths / 100.0)) * 100) == hundredths
