"""Shell patterns match as Go's filepath.Match does, separators being ordinary characters."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probe.pattern import check, matches


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("", "", True),
        ("", "a", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ok*", "/x/ok\n/", True),
        ("j?hn", "john", True),
        ("j?hn", "jhn", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[-a]", "-", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
        (r"[\]]", "]", True),
        ("a.c", "abc", False),
        ("[", "[", True),
        ("*ab*ab", "abab", True),
        ("*ab*ab", "xab", False),
    ],
)
def test_table(pattern, text, expected):
    """The cases people meet."""
    assert matches(pattern, text) is expected


@given(st.text("ab*?", max_size=8), st.text("ab\n", max_size=10))
def test_stars_and_question_marks_are_those_of_the_shell(pattern, text):
    """With stars and question marks alone, the answer is the standard library's."""
    assert matches(pattern, text) is fnmatch.fnmatchcase(text, pattern)


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_a_pattern_or_a_value_error(pattern, text):
    """A text that is no pattern is a ValueError, and nothing else is raised."""
    try:
        check(pattern)
    except ValueError:
        return
    matches(pattern, text)


def test_a_hostile_body_takes_no_longer_than_a_large_one():
    """Many stars on a megabyte that almost matches are decided: going back over it for each would take years."""
    assert not matches("*a*a*a*a*a*a*a*a*b", "a" * 1_000_000)
