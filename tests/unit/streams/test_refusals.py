"""What is wrong with a value, in words for whoever wrote it."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from streams.refusals import meant, said


class Plan(BaseModel):
    """A shape with a field of each kind that is spoken of."""

    level: Literal["critical", "Warning", "info"] = "info"
    names: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    inner: Plan | None = None
    title: str = ""
    size: int = 0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"level": "crit"}, "Input should be 'critical', 'Warning' or 'info'; did you mean critical?"),
        ({"level": "warnin"}, "Input should be 'critical', 'Warning' or 'info'; did you mean Warning?"),
        ({"level": "blue"}, "Input should be 'critical', 'Warning' or 'info'"),
        ({"level": 3}, "Input should be 'critical', 'Warning' or 'info'"),
        ({"names": "a"}, "must be a list: [a, b], or a line with a dash for each"),
        ({"labels": ["a"]}, "must be a mapping: {name: value}"),
        ({"inner": "a"}, "must be a mapping: {name: value}"),
        ({"title": 5}, "must be a text; write it in quotes"),
        ({"title": ["a"]}, "must be a text"),
        ({"size": "many"}, "Input should be a valid integer, unable to parse string as an integer"),
    ],
)
def test_a_refusal_speaks_of_lists_mappings_and_the_nearest_word(value, words):
    """No word of Python's types, and what was meant where a word is nearly one of those that there are."""
    with pytest.raises(ValidationError) as caught:
        Plan.model_validate(value)
    (error,) = caught.value.errors()
    assert said(error) == words
    bare = {"type": error["type"], "msg": error["msg"]}
    assert words.startswith(said(bare))


def test_the_nearest_word_is_found_by_letters_or_by_how_it_begins():
    """Case does not matter; one letter alone begins too many words."""
    assert meant("equls", ["equals", "notEquals"]) == "; did you mean equals?"
    assert meant("GREATERTHAN", ["greaterThan"]) == "; did you mean greaterThan?"
    assert meant("crit", ["critical", "info"]) == "; did you mean critical?"
    assert meant("c", ["critical"]) == ""
    assert meant("", ["critical"]) == ""
