"""When an attempt is made again."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.notify.retry import RETRY_AFTER_CAP_S, backoff, may_have_arrived, next_try, parse_retry_after


@given(attempt=st.integers(1, 10_000), rand=st.floats(0, 1, exclude_max=True))
def test_backoff_stays_between_nothing_and_the_longest(attempt, rand):
    """Full jitter: anywhere from zero to the exponential, and never over the longest."""
    wait = backoff(attempt, initial=0.5, longest=30.0, rand=rand)
    assert 0 <= wait <= min(30.0, 0.5 * 2.0 ** min(attempt - 1, 60))


def test_backoff_doubles():
    """Each attempt may wait twice as long as the one before."""
    assert [backoff(n, initial=1.0, longest=100.0, rand=0.5) for n in (1, 2, 3, 8)] == [0.5, 1.0, 2.0, 50.0]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("30", 30.0), ("1.5", 1.5), ("-4", 0.0), ("soon", None), ("", None), ("nan", None), ("inf", None),
     (formatdate(1_000_010, usegmt=True), 10.0), (formatdate(999_000, usegmt=True), 0.0)],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_date(value, seconds):
    """A number of seconds or an HTTP date; whatever else is as if it were not there."""
    assert parse_retry_after(value, now=1_000_000.0) == seconds


def test_the_last_attempt_is_made_at_the_deadline():
    """No pause, not even one asked for, goes past the deadline; after it there is no attempt."""
    assert next_try(now=10, delay=5, retry_after=None, deadline=100) == 15
    assert next_try(now=10, delay=5, retry_after=60, deadline=100) == 70
    assert next_try(now=10, delay=5, retry_after=1, deadline=100) == 15
    assert next_try(now=90, delay=5, retry_after=60, deadline=100) == 100
    assert next_try(now=100, delay=5, retry_after=None, deadline=100) is None
    assert next_try(now=0, delay=1, retry_after=1e9, deadline=1e9) == RETRY_AFTER_CAP_S


def test_only_silence_after_sending_may_have_arrived():
    """A refusal is an answer; a timeout, a cut connection or a gateway's error may hide a delivery."""
    assert all(map(may_have_arrived, ("timeout", "connection_lost", "http_502", "http_504")))
    assert not any(map(may_have_arrived, ("http_503", "http_429", "connect_error", "connect_timeout", "smtp_451")))
