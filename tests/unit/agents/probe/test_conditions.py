"""Conditions read, judge and explain as in Gatus."""

from __future__ import annotations

import string

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probe.conditions import ConditionError, parse
from agents.probe.operands import Answer

BODY = b"""{"user": {"name": "john", "age": 41}, "items": [{"id": 1}, {"id": 2}], "version": "1.10", "price": 1.5, "hex": "0x1F",
    "flag": true, "nothing": null, "empty": "", "path": "/a/b", "big": 9007199254740993}"""


def answer(**more) -> Answer:
    values = {
        "connected": True,
        "status": 200,
        "response_ms": 250.9,
        "ip": "192.0.2.7",
        "certificate_s": 3 * 86400.0,
        "headers": {"content-type": "application/json"},
        "body": BODY,
        **more,
    }
    return Answer(**values)


@pytest.mark.parametrize(
    "text",
    [
        "[STATUS] == 200", "[STATUS] != 201", "[STATUS] <= 200", "[STATUS] >= 200", "[STATUS] < 201", "[STATUS] > 199",
        "200 == [STATUS]", "[STATUS] == any(200, 429)", "any(200, 429) == [STATUS]", "[STATUS] != any(500, 503)", "[status] == 200",
        "[RESPONSE_TIME] < 300", "[RESPONSE_TIME] < 1s", "[RESPONSE_TIME] <= 250", "[CONNECTED] == true", "[IP] == 192.0.2.7", "[IP] == pat(192.*)",
        "[CERTIFICATE_EXPIRATION] > 48h", "[CERTIFICATE_EXPIRATION] > 2d", "[HEADER].Content-Type == application/json", "has([HEADER].X-No) == false",
        "[BODY].user.name == john", "[BODY].user.name == pat(jo*)", "[BODY].user.name == pat(j?h[a-n])", "[BODY].user.name != jane", "[BODY].user.age == 41", "[BODY].user.age > 40.5",
        "[BODY].items[0].id == 1", "[BODY].items[1].id == 2", "len([BODY].items) == 2", "len([BODY].items) > 1", "len([BODY].user.name) == 4", "len([BODY].user) == 2", "len([BODY]) == 10",
        "has([BODY].user) == true", "has([BODY].missing) == false", "has([BODY].nothing) == false", "has([BODY].items[5]) == false", "[BODY].missing != x",
        "[BODY].flag == true", "[BODY].price == 1.50", "[BODY].price > 1.4", "[BODY].hex == 31", "[BODY].hex >= 0x1f", "[BODY].user.age == 0x29", "[BODY].path == pat(*a*b)", "[BODY] == pat(*john*)",
        "[BODY].version == 1.10", "[BODY].version != 1.1", "[BODY].big == 9007199254740993", "[BODY].big != 9007199254740992",
    ],
)  # fmt: skip
def test_a_condition_that_holds(text):
    """A condition that holds has nothing to say."""
    assert parse(text).failure(answer()) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[STATUS] == 201", "[STATUS] (200) == 201"),
        ("[STATUS] != any(200, 201)", "[STATUS] (200) != any(200, 201)"),
        ("[RESPONSE_TIME] < 250", "[RESPONSE_TIME] (250) < 250"),
        ("[BODY].user.name == jane", "[BODY].user.name (john) == jane"),
        ("[BODY].user.name == [BODY].path", "[BODY].user.name (john) == [BODY].path (/a/b)"),
        ("[BODY].missing == x", "[BODY].missing (INVALID) == x"),
        ("[BODY].nothing == null", "[BODY].nothing (INVALID) == null"),
        ("[BODY].missing < 5", "[BODY].missing (INVALID) < 5"),
        ("[BODY].missing == pat(*)", "[BODY].missing (INVALID) == pat(*)"),
        ("[BODY].user.name < 5", "[BODY].user.name (john) < 5"),
        ("[BODY].items.name == x", "[BODY].items.name (INVALID) == x"),
        ("len([BODY].missing) > 0", "len([BODY].missing) (INVALID) > 0"),
        ("has([BODY].x) == true", "has([BODY].x) (false) == true"),
        ("[BODY] == pat(*Jane*)", '[BODY] ({"user": {"name": "john",...(truncated)) == pat(*Jane*)'),
        ("[CERTIFICATE_EXPIRATION] > 720h", "[CERTIFICATE_EXPIRATION] (3d) > 720h"),
        ("[HEADER].X-No == 1", "[HEADER].X-No (INVALID) == 1"),
    ],
)
def test_a_condition_that_fails_shows_what_it_saw(text, told):
    """A failed condition is told with the values in place of what they stand for, as Gatus does."""
    assert parse(text).failure(answer()) == told


def test_a_body_that_is_no_json_fails_every_path():
    """Text that is no JSON has no paths, but is still a text."""
    plain = answer(body=b"  all good\n")
    assert parse("[BODY] == all good").failure(plain) is None
    assert parse("len([BODY]) == 8").failure(plain) is None
    assert parse("[BODY].ok == true").failure(plain) == "[BODY].ok (INVALID) == true"
    assert parse("has([BODY].ok) == false").failure(plain) is None


def test_without_tls_there_is_no_expiry():
    """Without a certificate no bound on its expiry holds, in either direction."""
    plain = answer(certificate_s=None)
    assert parse("[CERTIFICATE_EXPIRATION] > 48h").failure(plain) == "[CERTIFICATE_EXPIRATION] (INVALID) > 48h"
    assert parse("[CERTIFICATE_EXPIRATION] < 48h").failure(plain) is not None


def test_an_array_at_the_root():
    """[BODY][0].id looks into an array."""
    assert parse("[BODY][1].id == 7").failure(answer(body=b'[{"id": 1}, {"id": 7}]')) is None
    assert parse("len([BODY]) == 2").failure(answer(body=b"[1, 2]")) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[STATSU] == 200", "did you mean [STATUS]?"),
        ("[CONTEXT].a == 1", "unknown placeholder [CONTEXT]"),
        ("[STATUS]==200", "a space before and after"),
        ("[STATUS] = 200", "write for instance"),
        ("[STATUS]", "write for instance"),
        ("", "write for instance"),
        ("[STATUS] == ", "on both sides"),
        ("[STATUS] < potato", "'potato' is neither a number nor a duration"),
        ("[STATUS] == ok", "'ok' is neither"),
        ("[STATUS] == any(200, ok)", "'ok' is neither"),
        ("[RESPONSE_TIME] < 300 ms", "'300 ms' is neither"),
        ("len([BODY].users == 100", "the bracket of len( is never closed"),
        ("length([BODY].users) == 100", "unknown function length"),
        ("len(hello) == 5", "len(...) takes one of"),
        ("raw == raw", "neither side is one of"),
        ("[BODY]..x == 1", "is no path into the body"),
        ("[BODY].x[a] == 1", "is no path into the body"),
        ("[BODY].x[-1] == 1", "is no path into the body"),
        ("[STATUS].code == 1", "'.code' after [STATUS]"),
        ("[STATUS] < any(1, 2)", "goes with == and != only"),
        ("[BODY] == pat([z-a])", "is no pattern"),
        ("[HEADER] == x", "[HEADER].Content-Type"),
    ],
)
def test_a_typing_error_is_named(text, why):
    """What is no condition is refused, with the condition and the reason in the message."""
    with pytest.raises(ConditionError) as error:
        parse(text)
    assert why in str(error.value)
    assert repr(text) in str(error.value)


TOKENS = st.sampled_from([
    "[STATUS]", "[BODY]", "[BODY].a", "[BODY].a[0]", "[RESPONSE_TIME]", "[CERTIFICATE_EXPIRATION]", "[HEADER].x", "[IP]", "len(", "has(", "pat(", "any(", ")", "*",
    "?", "[a-z]", "[^", "]", "\\", " == ", " < ", " >= ", " != ", "1", "0x1", "1e400", "nan", "48h", ",", " ", "a", "٣", "\x00", "\ud83d\ude00",
])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@given(
    st.lists(TOKENS, max_size=12).map("".join) | st.text(max_size=40), st.binary(max_size=40) | JSON.map(orjson.dumps)
)
def test_no_text_and_no_body_leads_to_another_error(text, body):
    """Whatever is written as a condition, and whatever a server answers: a verdict, or a ConditionError."""
    try:
        condition = parse(text)
    except ConditionError:
        return
    told = condition.failure(answer(body=body))
    assert told is None or isinstance(told, str)


@given(st.floats(-1e9, 1e9, allow_nan=False), st.floats(-1e9, 1e9, allow_nan=False))
def test_numbers_of_the_body_are_ordered_as_numbers(a, b):
    """Order and equality of JSON numbers are those of the numbers."""
    both = answer(body=orjson.dumps({"a": a, "b": b}))
    for operator, holds in (("<", a < b), ("<=", a <= b), (">", a > b), (">=", a >= b), ("==", a == b), ("!=", a != b)):
        assert (parse(f"[BODY].a {operator} [BODY].b").failure(both) is None) is holds


def test_deep_nesting_is_no_trouble():
    """A body nested a thousand deep is judged like any other."""
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert parse("[BODY].a == 1").failure(answer(body=deep)) is not None
    assert parse("has([BODY].a.a.a) == true").failure(answer(body=deep)) is None
    assert parse("[BODY].a == 1").failure(answer(body=b"[" * 100_000)) is not None
