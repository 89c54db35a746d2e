"""Lines in JSON, and their way into records."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import LogBatch, encode
from streams.log_lines import MOST_CHARACTERS, Line, LineError, batches, from_object, milliseconds, parse


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2023-11-14T22:13:20Z", 1_700_000_000_000.0),
        ("2023-11-14T22:13:20.5+00:00", 1_700_000_000_500.0),
        ("2023-11-14 22:13:20,5", 1_700_000_000_500.0),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000_000.0),
        (1_700_000_000, 1_700_000_000_000.0),
        (1_700_000_000.5, 1_700_000_000_500.0),
        ("1700000000000", 1_700_000_000_000.0),
        (1_700_000_000_000_000, 1_700_000_000_000.0),
        (1_700_000_000_000_000_000, 1_700_000_000_000.0),
    ],
)
def test_times_in_any_usual_form(value: object, expected: float) -> None:
    """ISO 8601, seconds, milliseconds, micro- and nanoseconds."""
    assert milliseconds(value) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("value", ["yesterday", "", -5, 0, math.nan, math.inf, True, None, [], "nan"])
def test_other_values_are_no_time(value: object) -> None:
    """They leave the line with its arrival."""
    assert milliseconds(value) is None


@pytest.mark.parametrize(
    "values",
    [
        {"message": "hi", "level": "WARN", "time": "2023-11-14T22:13:20Z"},
        {"msg": "hi", "level": 40, "time": 1_700_000_000_000},
        {"log": "hi\n", "severity": "warning", "date": 1_700_000_000.0},
        {"line": "hi", "levelname": "WARNING", "@timestamp": "2023-11-14T22:13:20.000Z"},
    ],
)
def test_the_names_that_shippers_use_are_known(values: dict) -> None:
    """pino, Fluent Bit, logstash and Python's own words for the same line."""
    assert from_object(values) == Line("hi", 1_700_000_000_000.0, "warning", {})


def test_other_fields_become_attributes_without_secrets() -> None:
    """Few, short, and a field whose name says that it is a secret is none any more."""
    line = from_object(
        {"message": "x", "pid": 7, "api_key": "abcdef", "nested": {"a": 1}, **{f"k{i}": i for i in range(50)}}
    )
    assert line.attributes["pid"] == "7"
    assert line.attributes["api_key"] == "<secret>"
    assert "nested" not in line.attributes
    assert len(line.attributes) == 20


def test_bodies_of_every_form() -> None:
    """One object, a list, JSON lines; the nearest name of a target counts."""
    assert parse(b'{"target":"a","lines":["x",{"msg":"y","target":"b"}]}') == {"a": [Line("x")], "b": [Line("y")]}
    assert parse(b'["x","y"]', "a") == {"a": [Line("x"), Line("y")]}
    assert parse(b'{"message":"x"}\r\n\r\n"y"\n{"target":"b","lines":["z"]}', "a") == {
        "a": [Line("x"), Line("y")],
        "b": [Line("z")],
    }
    assert parse(b'"\xff"', "a") == {"a": [Line("\ufffd")]}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "line 1"), (b'["x"]', "item 1: no target"), (b"[[1]]", "list within a list"), (b"7", "not int"),
        (b'{"a":1}', "no message"), (b'"x"\n{', "line 2 is no JSON"), (b'"x"\nnull', "line 2: a line is"), (b"null", "NoneType"),
    ],
)  # fmt: skip
def test_what_is_no_line_is_told_with_its_place(body: bytes, told: str) -> None:
    """The error says where and what."""
    if body == b"":
        assert parse(body, "a") == {}
        return
    with pytest.raises(LineError, match=told):
        parse(body, "" if "no target" in told else "a")


@given(st.binary(max_size=100))
def test_any_body_is_lines_or_an_error(body: bytes) -> None:
    """Nothing else comes out."""
    with contextlib.suppress(LineError):
        parse(body, "a")


@given(st.lists(st.text(max_size=2000), max_size=40))
def test_batches_hold_every_line_in_order(texts: list[str]) -> None:
    """Whatever their sizes, the lines of all records are the lines that came, and each record fits the topic."""
    made = list(batches("a", [Line(t * 50) for t in texts]))
    assert [m for b in made for m in b.message] == [t * 50 for t in texts]
    assert all(len(encode(b)) < 1_000_000 for b in made)
    assert all(isinstance(b, LogBatch) and math.isnan(b.time[0]) for b in made)


def test_a_line_is_cut_on_its_way_in() -> None:
    """One line never fills a record."""
    assert len(from_object({"message": "x" * 1_000_000}).message) == MOST_CHARACTERS
