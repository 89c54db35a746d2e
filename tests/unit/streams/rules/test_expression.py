"""Conditions as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.rules.expression import MOST_CHARACTERS, ExpressionError, parse

COMPARISONS = st.sampled_from(
    ["up == 0", "count[1m]>=3", "latency.p95[5m] > 2 * baseline", "a.b<-1.5e3", "'x y' != 5 %"]
)


@st.composite
def texts(draw, depth=3):
    """A text and what it means, brackets where they are needed and some where they are not."""
    kind = draw(st.sampled_from(["one", "one", "not", "and", "or"])) if depth else "one"
    if kind == "one":
        text = draw(COMPARISONS)
        return text, parse(text).fields
    if kind == "not":
        text, fields = draw(texts(depth - 1))
        return f"{draw(st.sampled_from(['not ', '! ']))}({text})", {"not": fields}
    parts = draw(st.lists(texts(depth - 1), min_size=2, max_size=3))
    joined = draw(st.sampled_from([f" {kind} ", "&&" if kind == "and" else " || "])).join(f"( {t})" for t, _ in parts)
    return joined, {"all" if kind == "and" else "any": [f for _, f in parts]}


@given(texts())
def test_a_text_is_read_as_it_was_written(case):
    """Any nesting of and, or, not comes back, with a column for each comparison."""
    text, fields = case
    found = parse(text)
    assert found.fields == fields
    for path, column in found.columns.items():
        at = fields
        for step in path:
            at = at[step]
        assert text[column:].startswith(("'x y'", at["metric"]))


@given(st.text(alphabet="abup()[]<>=!&|*%.5m '\"notr", max_size=40))
def test_no_text_breaks_the_reader(text):
    """Whatever is typed is a condition, or an error with a column in the text."""
    try:
        parse(text)
    except ExpressionError as error:
        assert 0 <= error.column <= len(text)  # noqa: PT017 - most texts are errors, some are none


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("", 0, "ends where a metric is wanted"),
        ("up", 2, "ends where a comparison"),
        ("up >", 4, "ends where a value is wanted"),
        ("up > and", 5, "a value is wanted, not 'and'"),
        ("up == 0 count > 1", 8, "'count' is too much here"),
        ("(up == 0", 8, r"ends where '\)' is wanted"),
        ("up == 0)", 7, "too much here"),
        ("error_rate[5x] > 1", 11, "'5x.*' is nothing that a condition is made of"),
        ("error_rate[] > 1", 11, "a duration such as 5m is wanted, not ']'"),
        ("latency > 2 * 3", 14, "baseline is wanted, not '3'"),
        ("up == 0 and #", 12, "'#' is nothing"),
        ("5 > up", 0, "a metric is wanted, not '5'"),
        ("not " * 30 + "up == 0", 84, "nested too deeply"),
        ("(" * 30 + "up == 0", 21, "nested too deeply"),
        ("x" * (MOST_CHARACTERS + 1), 0, "longer than"),
    ],
)
def test_an_error_has_its_column(text, column, why):
    """Where the reader stopped, and what it wanted there."""
    with pytest.raises(ExpressionError, match=why) as caught:
        parse(text)
    assert caught.value.column == column
