"""Silences and selectors: matchers in every notation, times, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.instants import instant, iso
from streams.labels import Matcher, parse
from streams.selectors import looks_like_selector, selector
from streams.silences import Silence, expired, matcher_text, text_of

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


def silence(*matchers, starts=1000.0, ends=2000.0):
    return Silence(matchers=matchers, starts=starts, ends=ends)


@given(NAMES, st.sampled_from(["=", "!="]), TEXTS)
def test_a_matcher_survives_being_written(name, operator, value):
    """Whatever the value, quotes and backslashes too, the text of a matcher is read back as the same matcher."""
    matcher = Matcher(name, operator, value)
    assert parse(text_of(matcher)) == matcher
    assert selector(text_of(matcher) + f",{text_of(matcher)}") == (text_of(matcher), text_of(matcher))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": "a", "value": "x"}, 'a="x"'),
        ({"name": "a", "value": "x", "isRegex": True}, 'a=~"x"'),
        ({"name": "a", "value": "x", "isEqual": False}, 'a!="x"'),
        ({"name": "a", "value": "x", "isRegex": True, "isEqual": False}, 'a!~"x"'),
        ("a=x", "a=x"),
    ],
)
def test_alertmanagers_objects_are_matchers(given, text):
    """Each of the four kinds of Alertmanager's API has its text."""
    assert matcher_text(given) == text


@pytest.mark.parametrize(
    "given", [{"name": "a b", "value": "x"}, {"value": "x"}, {"name": "a", "value": 3}, {"name": "a", "op": "x"}]
)
def test_an_object_that_is_no_matcher_is_refused(given):
    """A bad name, a value that is no text, and a field that no matcher has are errors."""
    with pytest.raises(ValidationError):
        silence(given)


@given(st.floats(0, 5000, allow_nan=False))
def test_a_silence_holds_from_its_start_up_to_its_end(now):
    """It is pending before the start, active from it on, and expired from the end on."""
    wanted = "pending" if now < 1000 else "active" if now < 2000 else "expired"
    assert silence("a=b").state(now) == wanted


def test_every_matcher_must_pass():
    """A silence hits what passes all of its matchers; an absent label is the empty text."""
    both = silence("team=web", 'host=~"a|b"', "env!=test")
    assert both.hits({"team": "web", "host": "a"})
    assert not both.hits({"team": "web", "host": "ab"})
    assert not both.hits({"team": "web", "host": "a", "env": "test"})


@pytest.mark.parametrize("matchers", [('a=~".*"',), ("a!=b",), ('a=""', 'b!~"x"')])
def test_a_silence_of_everything_is_refused(matchers):
    """At least one matcher must ask for a value."""
    with pytest.raises(ValidationError, match="at least one matcher"):
        silence(*matchers)


def test_it_ends_after_it_starts():
    """A silence without a length is refused."""
    with pytest.raises(ValidationError, match="ends after it starts"):
        silence("a=b", ends=1000.0)


def test_alertmanagers_field_names_are_read():
    """startsAt, endsAt and createdBy are the fields of Alertmanager's API."""
    read = Silence.model_validate(
        {
            "matchers": ["a=b"],
            "startsAt": "1970-01-01T00:00:01Z",
            "endsAt": "1970-01-01T01:00:02+01:00",
            "createdBy": "ada",
        }
    )
    assert (read.starts, read.ends, read.author) == (1000.0, 2000.0, "ada")


def test_expiry_ends_what_began_and_deletes_what_did_not():
    """An active silence gets an end; one that has not begun is deleted."""
    assert expired(silence("a=b"), 1500.0)["ends"] == 1500.0
    assert expired(silence("a=b"), 3000.0)["ends"] == 2000.0
    assert expired(silence("a=b"), 500.0) is None


@given(st.integers(0, 4_102_444_800_000))
def test_an_instant_survives_being_written(at):
    """Milliseconds to ISO 8601 and back are the same."""
    assert instant(iso(float(at))) == float(at)


@pytest.mark.parametrize(
    "text", ["2026-11-21T14:00:00", "soon", True, None, float("nan"), -1, 1e300, "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_instant_is_refused(text):
    """A local time says nothing without its offset; neither do words, NaN or years that no calendar has."""
    with pytest.raises(ValueError):
        instant(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{a="b", c=~"d,e"}', ('a="b"', 'c=~"d,e"')),
        ("a=b,c!=d", ("a=b", "c!=d")),
        ('a="x\\"y,z"', ('a="x\\"y,z"',)),
        ("{a=b,}", ("a=b",)),
    ],
)
def test_several_matchers_in_one_text(text, parts):
    """Commas part matchers, but not within quotes; braces may be left out."""
    assert selector(text) == parts


@pytest.mark.parametrize("text", ["", "{}", "{a=b", "a=b}", "a", 'a="b', "a=b,,c=d", '{a="b" c="d"}'])
def test_what_is_no_selector_is_refused(text):
    """An empty list, a lone brace, a missing quote."""
    with pytest.raises(ValueError):
        selector(text)


def test_a_name_is_not_taken_for_matchers():
    """A selector has an operator or braces; a name has neither."""
    assert not looks_like_selector("host-1/disk")
    assert looks_like_selector("kind=host")
    assert looks_like_selector("{a=~b}")
