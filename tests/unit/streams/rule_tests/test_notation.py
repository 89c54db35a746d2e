"""Series as promtool writes them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.rule_tests.notation import MOST_STEPS, NotationError, values

NUMBERS = st.integers(-10_000, 10_000).map(float) | st.floats(-1e9, 1e9, allow_nan=False)
COUNTS = st.integers(0, 30)


def number(value):
    return repr(value) if value != int(value) else str(int(value))


@st.composite
def items(draw):
    """A piece of a series, and what it stands for, counted out one by one."""
    kind = draw(st.sampled_from(["one", "same", "steps", "missing", "many missing", "stale"]))
    start, count = draw(NUMBERS), draw(COUNTS)
    if kind == "one":
        return number(start), [start]
    if kind == "same":
        return f"{number(start)}x{count}", [start] + [start for _ in range(count)]
    if kind == "steps":
        step = abs(draw(NUMBERS))
        sign = draw(st.sampled_from("+-"))
        out = [start]
        for i in range(1, count + 1):
            out.append(start + i * step if sign == "+" else start - i * step)
        return f"{number(start)}{sign}{number(step)}x{count}", out
    if kind == "many missing":
        return f"_x{count}", [None] * count
    return {"missing": "_", "stale": "stale"}[kind], [None]


@given(st.lists(items(), min_size=1, max_size=8), st.sampled_from([" ", "  ", "\n", " \t "]))
def test_a_series_is_its_pieces_one_after_the_other(pieces, blank):
    """Whatever the pieces and the blanks between them."""
    wanted = [v for _, expanded in pieces for v in expanded]
    text = blank + blank.join(t for t, _ in pieces) + blank
    if wanted:
        assert values(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-2+4x3", [-2, 2, 6, 10]),
        (" 1-2x4", [1, -1, -3, -5, -7]),
        (" 1x4", [1, 1, 1, 1, 1]),
        (" 1 _x3 stale", [1, None, None, None, None]),
        ("0x3", [0, 0, 0, 0]),
        ("1.5e3 .5 -1e-3", [1500, 0.5, -0.001]),
        ("1+1e-1x2", [1, 1.1, 1.2]),
    ],
)
def test_the_examples_of_promtool(text, wanted):
    """Those of its documentation, and numbers as they may be written."""
    assert values(text) == wanted


def test_a_value_that_is_no_number_is_a_sample_without_it():
    """NaN is not the same as a step at which nothing comes."""
    found = values("1 NaN _")
    assert found[0] == 1
    assert math.isnan(found[1])
    assert found[2] is None


@pytest.mark.parametrize(
    ("text", "offset", "said"),
    [
        ("1+2", 1, "write 1+2x10"),
        ("1 1+x3", 3, "after + comes a step"),
        ("1x", 1, "after x comes how often"),
        ("1x1.5", 3, "'.5' is too much"),
        ("1 2 foo", 4, "'foo' is no value"),
        ("1,2", 1, "separated by spaces"),
        ("1 stalex3", 7, "write stale _x3"),
        ("1 inf", 2, "finite"),
        ("1+infx3", 1, "a step is a finite number"),
        ("1+1e308x999", 0, "grows beyond"),
        ("5 _x99999999999", 2, "more than 1,000,000 steps"),
        ("", 0, "no values"),
        ("{{schema:1 sum:1}}", 0, "is no value"),
    ],
)
def test_what_is_wrong_is_told_with_its_column(text, offset, said):
    """And with what would be right."""
    with pytest.raises(NotationError) as error:
        values(text)
    assert said in str(error.value)
    assert error.value.offset == offset


@given(st.text(alphabet="0123456789+-x_ .einfstaN,", max_size=30))
def test_any_text_is_a_series_or_an_error_within_it(text):
    """No other exception, and never more steps than a test may have."""
    try:
        found = values(text)
    except NotationError as error:
        found, offset = [0.0], error.offset
    else:
        offset = 0
    assert 0 <= offset <= len(text)
    assert 0 < len(found) <= MOST_STEPS


def test_many_pieces_together_are_bounded_as_well():
    """The limit is the whole series', not each piece's."""
    assert len(values(f"1x{MOST_STEPS - 1}")) == MOST_STEPS
    with pytest.raises(NotationError) as error:
        values(f"1x{MOST_STEPS - 2} 1 1")
    assert error.value.offset == len(f"1x{MOST_STEPS - 2} 1 ")
