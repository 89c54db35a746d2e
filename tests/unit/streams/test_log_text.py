"""Secrets go, what varies is masked, levels are found."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.log_text import Masker, level_in, level_of, redact

MASK = Masker()


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("Authorization: Bearer abc.def.ghi", "abc"),
        ("proxy-authorization: Basic dXNlcjpwYXNz", "dXNl"),
        ('{"authorization": "Digest username=bob, response=6629", "x": 1}', "6629"),
        ("password=hunter2 user=bob", "hunter2"),
        ("PASSWORD: hunter2", "hunter2"),
        ('{"db_password": "my \\"pass\\" phrase", "a": 1}', "phrase"),
        ("passwd='open sesame'", "sesame"),
        ("GET /login?token=abcd1234&x=1", "abcd1234"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+g", "def"),
        ("curl -H 'X-Api-Key: 123abc' http://x", "123abc"),
        ("client_secret => s3cr3t", "s3cr3t"),
        ("Set-Cookie: sid=31d4d96e407aad42; Path=/", "31d4"),
        ("postgres://app:p%40ss@db/shop", "p%40ss"),
        ("id eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "c2ln"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIA"),
        ("pushed with ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_"),
        ("card 4111 1111 1111 1111 declined", "1111"),
        ("card=5500-0000-0000-0004", "0004"),
        ("-----BEGIN RSA PRIVATE KEY----- MIIEpAIBAAKCAQEA", "MIIE"),
    ],
)
def test_secrets_are_replaced(line: str, secret: str) -> None:
    """Nothing of a secret is left, and a second pass changes nothing more."""
    done = redact(line)
    assert secret not in done
    assert "<secret>" in done or "<card>" in done
    assert redact(done) == done


@pytest.mark.parametrize(
    "line",
    [
        "token bucket is empty",
        "primary key: id",
        "monkey: banana keyboard",
        "basic check of the authorization module",
        "order 1234567890123456 created",
        "took 1700000000000 ns",
        "see https://example.com/a:b",
        "password changed for bob",
    ],
)
def test_other_words_pass(line: str) -> None:
    """What only looks a little like a secret stays."""
    assert redact(line) == line


@given(st.text(max_size=200))
def test_any_text_may_come(text: str) -> None:
    """No line makes any of the functions fail, and masking leaves no digit at a word's start."""
    level_in(text)
    assert not re.search(r"(?<![\w.,:/-])[0-9](?!\w)", MASK(redact(text)))


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        "password=",
        '"',
        "a:",
        "0a",
        "://",
        "1 ",
        "a" * 9 + "-",
        "token",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        ".",
        "1" + " " * 50,
    ],
)
def test_no_line_takes_long(text: str) -> None:
    """Hostile lines are no way to stop the role: time grows with a line's length, not with its square."""
    line = text * (200_000 // len(text))
    MASK(redact(line))
    level_in(line)


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("10.0.0.1:5432 refused after 12 ms", "<ip> refused after <num> ms"),
        ("2001:db8::8a2e:370:7334 and fe80::1", "<ip> and <ip>"),
        ("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id <uuid>"),
        ("at 0xdeadBEEF, commit 1a2b3c4d5e6f", "at <hex>, commit <hex>"),
        ("2025-10-12T13:55:36.123Z up", "<time> up"),
        ("2025-10-12 13:55:36,123 up", "<time> up"),
        ("[12/Oct/2025:13:55:36 +0000] up", "[<time>] up"),
        ("at 12:34:56 it took 1,234.5 ms", "at <num> it took <num> ms"),
        ("host-12 of worker=7", "host-<num> of worker=<num>"),
        ("ORA-00942: no table, E1001 in node12", "ORA-00942: no table, E1001 in node12"),
        ("std::vector deadbeef cafe", "std::vector deadbeef cafe"),
    ],
)
def test_what_varies_is_masked(line: str, masked: str) -> None:
    """Numbers, addresses, ids and times become their kind; numbers that are part of a name stay."""
    assert MASK(line) == masked


def test_own_masks_come_first() -> None:
    """A configured mask takes its text before the built-in ones do."""
    mask = Masker({"order": r"\b[A-Z]{2}-\d{6}\b"})
    assert mask("order AB-123456 of 10.0.0.1") == "order <order> of <ip>"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2025-10-12 13:55 ERROR x", "error"),
        ("[warn] y", "warning"),
        ("level=error msg=x", "error"),
        ('{"level":"info","msg":"no error"}', "info"),
        ("ValueError: bad", "error"),
        ("java.lang.NullPointerException at x", "error"),
        ("Traceback (most recent call last):", "error"),
        ("GET /error HTTP/1.1", ""),
        ("0 errors", ""),
        ("x" * 200 + " ERROR", ""),
    ],
)
def test_the_level_is_read_from_the_text(line: str, level: str) -> None:
    """The first word for a level near the line's beginning counts; a path or a plural is none."""
    assert level_in(line) == level


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("ERROR", "error"),
        ("Fatal", "error"),
        ("warn", "warning"),
        ("NOTICE", "info"),
        ("50", "error"),
        ("4", "warning"),
        ("x", ""),
    ],
)
def test_levels_have_many_names(word: str, level: str) -> None:
    """Names of any library and the numbers of syslog and pino."""
    assert level_of(word) == level
