"""Lines of one statement become one template."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.log_templates import ANY, Templates
from streams.log_text import Masker

WORDS = st.sampled_from(["a", "b", "c", "open", "close", "file", "17", "10.0.0.1"])
LINES = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=60)


def templates(most: int = 200, similarity: float = 0.6) -> Templates:
    return Templates(Masker(), lambda _: (), most, similarity)


def test_words_that_differ_become_a_wildcard() -> None:
    """Lines of one statement share a template; the words in which they differ are <*>."""
    t = templates()
    for name in ("alice", "bob", "carol"):
        t.add(f"user {name} logged in from 10.0.0.{len(name)}")
    t.add("user database is being migrated now and here")
    assert sorted(x.text for x in t.by_id.values()) == [
        f"user {ANY} logged in from <ip>",
        "user database is being migrated now and here",
    ]


def test_errors_that_differ_in_what_happened_are_apart() -> None:
    """Short lines are not thrown together for one word that they share."""
    t = templates()
    lines = ["connection refused", "connection reset", "ORA-00942: no such table", "ORA-01017: login denied today"]
    assert [t.add(line).new for line in lines] == [True] * 4
    assert [t.add(line).new for line in lines] == [False] * 4


def test_an_example_without_secrets_is_kept() -> None:
    """A template knows the first line that it was made of, cut."""
    t = templates()
    made = t.add("ERROR disk 7 full " + "x" * 1000).template
    assert made.example.startswith("ERROR disk 7 full")
    assert len(made.example) == 300
    assert made.level == "error"


@given(LINES)
def test_templates_cover_their_lines(lines: list[str]) -> None:
    """A line agrees with its template in every word that is no wildcard, and counts add up."""
    t = templates()
    mask = Masker()
    for line in lines:
        words = t.add(line).template.words
        assert len(words) == len(mask(line).split())
        assert all(a in (ANY, b) for a, b in zip(words, mask(line).split(), strict=True))
    assert sum(x.count for x in t.by_id.values()) == len(lines)


@given(LINES, st.integers(0, 60))
def test_what_was_learnt_survives(lines: list[str], cut: int) -> None:
    """Templates stored and loaded, by way of JSON, treat the next lines as if nothing had happened."""
    through, stored = templates(), templates()
    for line in lines[:cut]:
        through.add(line)
        stored.add(line)
    loaded = templates()
    loaded.load(json.loads(json.dumps(stored.dump())))
    for line in lines[cut:]:
        a, b = through.add(line), loaded.add(line)
        assert (a.new, a.template.id, a.template.text) == (b.new, b.template.id, b.template.text)


def test_their_number_is_bounded() -> None:
    """Beyond the most, the template not seen for longest goes, and its id goes to another."""
    t = templates(most=10)
    for n in range(10):
        t.add(f"kind{n} happened once more here")
    for _ in range(200):
        t.add("kind0 happened once more here")
    late = t.add("something else entirely is here today")
    assert (late.new, late.template.id) == (True, 2)
    assert len(t.by_id) == 10
    assert t.add("kind1 happened once more here").new


def test_an_explosion_of_templates_tells_nothing_new() -> None:
    """Where every line is a template of its own, they overflow, and nobody is told of thousands of new ones."""
    t = templates(most=20)
    found = [t.add(" ".join(f"w{n}x{i}" for i in range(5))) for n in range(1000)]
    assert sum(m.new for m in found) == 20
    assert sum(m.overflow for m in found) == 980
    assert len(t.by_id) == 20
    assert sum(map(len, t._leaves.values())) == 20


@pytest.mark.parametrize("line", ["", "   ", "\t", "x" * 5000, "y " * 5000, "<*>", "<num> <*>", "\x00"])
def test_odd_lines_have_a_template_too(line: str) -> None:
    """Nothing, blanks, one long word, many words: each is counted, and found again."""
    t = templates()
    assert t.add(line).new
    assert not t.add(line).new
    assert all(len(x.text) <= 500 for x in t.by_id.values())
