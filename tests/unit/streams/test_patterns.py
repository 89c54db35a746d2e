"""Patterns that may hold up a worker are refused; those that people write are not."""

from __future__ import annotations

import pytest

from streams.labels import parse
from streams.patterns import refuse_costly


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+b", r"(a*)*", r"((ab)*|c+)*", r"(?:x{0,40})+", r"(\w+\s?)+$", r"(?=(a+)+)", r"(a|ab|b)*c", r"(a|a)*b", r".*.*.*.*.*.*b", "a" * 3000],
)  # fmt: skip
def test_costly_patterns_are_refused(pattern):
    """A repeat within a repeat, a long row of them, and a very long pattern."""
    with pytest.raises(ValueError):
        refuse_costly(pattern)
    with pytest.raises(ValueError):
        parse(f'host=~"{pattern}"'.replace("\\", "\\\\"))


@pytest.mark.parametrize(
    "pattern",
    [r"web-.*", r"warning|info", r"(eu|us)-[a-z]+-\d{1,3}", r".*\.shop\.example", r"(?i)prod", r"[ab]+c*d?", r"(ab|cd){1,3}", r"(a|b)*", "("],
)  # fmt: skip
def test_plain_patterns_are_taken(pattern):
    """Alternatives, sets, small counts, a few repeats in a row; what is no pattern is for the compiler to say."""
    refuse_costly(pattern)
