"""Rate limits as servers tell them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probe.rate_limit import metrics_of


@pytest.mark.parametrize(
    ("headers", "used", "total"),
    [
        ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "12", "x-ratelimit-used": "48"}, 48, 60),
        ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "12"}, 48, 60),
        ({"x-rate-limit-limit": "300", "x-rate-limit-remaining": "299"}, 1, 300),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "20", "ratelimit-reset": "5"}, 80, 100),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, 50, 100),
        ({"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'}, 50, 100),
        ({"ratelimit": '"burst";r=90, "day";r=10;t=9', "ratelimit-policy": '"burst";q=100;w=60,"day";q=1000;w=86400'}, 990, 1000),
        ({"x-app-usage": '{"call_count":28,"total_time":91,"total_cputime":25}'}, 91, 100),
        ({"x-ratelimit-limit": "10", "x-ratelimit-remaining": "20"}, 0, 10),
    ],
)  # fmt: skip
def test_used_and_total(headers, used, total):
    """Used, total and share of the allowance nearest its end."""
    assert metrics_of(headers) == {
        "rate_limit.used": used,
        "rate_limit.total": total,
        "rate_limit.used_percent": 100 * used / total,
    }


@pytest.mark.parametrize("headers", [
    {}, {"x-ratelimit-limit": "60"}, {"x-ratelimit-limit": "many", "x-ratelimit-remaining": "few"}, {"x-ratelimit-limit": "0", "x-ratelimit-remaining": "0"},
    {"ratelimit": '"default";r=50'}, {"ratelimit": '"a";r=5', "ratelimit-policy": '"b";q=100'}, {"x-app-usage": "{"}, {"x-app-usage": "[1]"},
])  # fmt: skip
def test_what_tells_no_limit(headers):
    """Headers that are incomplete or no numbers tell nothing."""
    assert metrics_of(headers) == {}


@given(st.dictionaries(st.sampled_from(["ratelimit", "ratelimit-policy", "x-app-usage", "x-ratelimit-limit", "x-ratelimit-remaining"]), st.text('";=,qrtw019. {}:[]e-\\', max_size=60)))  # fmt: skip
def test_no_header_raises(headers):
    """Whatever a server sends, shares are finite and not negative."""
    found = metrics_of(headers)
    assert all(0 <= value < float("inf") for value in found.values())


def test_a_long_hostile_header_is_read_quickly():
    """The parser takes no more than linear time."""
    metrics_of({"ratelimit": "a;" * 1_000_000, "ratelimit-policy": '"' * 1_000_000})
    metrics_of({"ratelimit": "a" + " ; a" * 2000 + " ;", "ratelimit-policy": "x"})
